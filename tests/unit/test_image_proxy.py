"""Images of other hosts: what is taken for one, what may be asked for, and how hosts are spared."""

import asyncio
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harken.errors import InvalidInput, NotFound, Problem, Unavailable, Unreachable
from harken.services.kblocks.importers.syndication.fetching import Document, Fetched, Fetcher
from harken.services.sources.images import proxy as images
from harken.services.sources.images.addresses import SignedAddresses
from harken.services.sources.images.formats import format_of
from harken.services.sources.images.proxy import RETRY_SECONDS, SLOW_SECONDS, ImageProxy
from tests.support.images import IMAGES, OTHERS, png
from tests.support.web import Answer, moved, web


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")


@pytest.mark.parametrize("media_type", IMAGES)
def test_the_type_of_an_image_is_that_of_its_bytes(media_type):
    found = format_of(IMAGES[media_type])
    assert found is not None
    assert found.media_type == media_type


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_no_image_is_not_served(name):
    assert format_of(OTHERS[name]) is None


@given(st.binary(max_size=64))
def test_any_bytes_can_be_looked_at(content):
    assert format_of(content) is None or content[:1] in {b"\x89", b"\xff", b"G", b"R", b"\0"}


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=200))
def test_only_what_was_signed_is_read(url):
    signed = SignedAddresses("a secret")
    token = signed.sign(url)
    assert signed.read(token) == url
    assert set(token) <= set("-_.ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789")
    for other in (token[1:], f"{token}x", url, "", f".{token}"):
        with pytest.raises(NotFound):
            signed.read(other)
    with pytest.raises(NotFound):
        SignedAddresses("another secret").read(token)


# By a real server


async def reason_of(proxy, url, error=Unreachable):
    with pytest.raises(error) as caught:
        await proxy.get(url)
    return str(caught.value)


async def test_an_image_is_fetched_once_and_kept():
    with web({"/a.png": Answer(png(), headers={"Content-Type": "text/html"})}) as served:
        proxy = ImageProxy(Fetcher(private_hosts=["127.0.0.1"]))
        found = await asyncio.gather(*(proxy.get(f"{served.url}/a.png") for _ in range(5)))
        again = await proxy.get(f"{served.url}/a.png")
        assert {each.content for each in [*found, again]} == {png()}
        assert served.paths == ["/a.png"]
        sent = served.asked[0][1]
        assert sent["accept"].startswith("image/avif")
        assert not {"cookie", "referer", "authorization"} & sent.keys()


async def test_what_cannot_be_shown_says_why_and_is_not_asked_for_again():
    pages = {f"/{name}": Answer(body) for name, body in OTHERS.items() if " " not in name}
    pages["/moved"] = moved("http://127.0.0.2:1/secret.png")
    pages["/large"] = Answer(png() + b"\0" * 5_000)
    with web(pages) as served:
        fetcher = Fetcher(private_hosts=["127.0.0.1"], max_bytes=4_000)
        proxy = ImageProxy(fetcher)
        for name in ("svg", "html", "text", "nothing"):
            assert "is no image" in await reason_of(proxy, f"{served.url}/{name}")
        assert "404" in await reason_of(proxy, f"{served.url}/gone.png")
        assert "more than 4000 bytes" in await reason_of(proxy, f"{served.url}/large")
        assert "not a public address" in await reason_of(proxy, f"{served.url}/moved")
        asked = len(served.asked)
        assert "404" in await reason_of(proxy, f"{served.url}/gone.png")
        assert len(served.asked) == asked
    for url in ("file:///etc/passwd", "data:image/png;base64,x", "http://[", "//x/a.png"):
        assert "http" in await reason_of(proxy, url)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "169.254.169.254", "[::1]"])
async def test_no_image_is_fetched_of_a_private_network(host):
    with web({"/a.png": Answer(png())}) as served:
        url = f"http://{host}:{served.url.rpartition(':')[2]}/a.png"
        assert "not a public address" in await reason_of(ImageProxy(Fetcher()), url)
        assert served.asked == []


# By a fetcher whose answers the test lets go


class Held:
    """A fetcher whose answers wait until the test lets them go."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.now = 0.0
        self.takes = 0.0
        self.fails = False
        self.busy = self.most = self.asked = 0
        self._lock = threading.Lock()

    def clock(self):
        return self.now

    def get(self, url, *, named, headers):
        assert url.startswith("http")
        assert not named
        assert headers["Accept"]
        with self._lock:
            self.asked += 1
            self.busy += 1
            self.most = max(self.most, self.busy)
        assert self.go.wait(60)
        with self._lock:
            self.busy -= 1
        self.now += self.takes
        if self.fails:
            raise InvalidInput(Problem("", "cannot be fetched: no answer"))
        return Fetched(200, document=Document(png()))


async def until(holds):
    async with asyncio.timeout(60):
        while True:
            if holds():
                return
            await asyncio.sleep(0.005)


def proxy_of(held, **options):
    return ImageProxy(held, clock=held.clock, **options)


async def test_a_host_is_asked_for_two_at_once_and_others_need_not_wait():
    held = Held()
    proxy = proxy_of(held)
    slow = [asyncio.create_task(proxy.get(f"http://a.example/{n}.png")) for n in range(5)]
    other = asyncio.create_task(proxy.get("http://b.example/1.png"))
    await until(lambda: held.busy == 3)
    held.go.set()
    await asyncio.gather(*slow, other)
    assert (held.asked, held.most) == (6, 3)


async def test_who_waits_too_long_is_told_and_the_next_finds_it():
    held = Held()
    proxy = proxy_of(held, wait=0.05)
    reason = await reason_of(proxy, "http://a.example/1.png", Unavailable)
    assert "takes too long" in reason
    held.go.set()
    await until(lambda: not held.busy)
    assert (await proxy.get("http://a.example/1.png")).content == png()
    assert held.asked == 1


async def test_no_more_wait_than_can_be_served(monkeypatch):
    monkeypatch.setattr(images, "MOST_WAITING", 3)
    held = Held()
    proxy = proxy_of(held)
    waiting = [asyncio.create_task(proxy.get(f"http://a.example/{n}")) for n in range(3)]
    await until(lambda: held.busy == 2)
    assert "too many" in await reason_of(proxy, "http://a.example/4", Unavailable)
    held.go.set()
    await asyncio.gather(*waiting)


async def test_a_host_that_is_slow_to_fail_is_left_alone_for_a_while():
    held = Held()
    held.go.set()
    held.takes, held.fails = SLOW_SECONDS, True
    proxy = proxy_of(held)
    assert "no answer" in await reason_of(proxy, "http://a.example/1.png")
    assert "no answer" in await reason_of(proxy, "http://a.example/2.png")
    assert held.asked == 1
    held.takes, held.fails = 0.0, False
    await proxy.get("http://b.example/1.png")
    held.now += RETRY_SECONDS
    await proxy.get("http://a.example/2.png")
    assert held.asked == 3


async def test_a_single_image_that_fails_keeps_no_other_from_being_shown():
    held = Held()
    held.go.set()
    held.fails = True
    proxy = proxy_of(held)
    await reason_of(proxy, "http://a.example/1.png")
    held.fails = False
    await proxy.get("http://a.example/2.png")
    await reason_of(proxy, "http://a.example/1.png")


async def test_memory_is_bounded():
    held = Held()
    held.go.set()
    proxy = proxy_of(held, kept_bytes=2 * len(png()))
    for name in ("1", "2", "1", "3", "1"):
        await proxy.get(f"http://a.example/{name}")
    assert held.asked == 3
    await proxy.get("http://a.example/2")  # was dropped: the other two were asked for later
    assert held.asked == 4
