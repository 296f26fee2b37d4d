"""Documents are fetched within limits, and only from where they may be."""

import contextlib
import gzip
import ipaddress
import zlib
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harken.errors import InvalidInput
from harken.services.kblocks.importers.syndication.addresses import is_public
from harken.services.kblocks.importers.syndication.compression import Broken, TooLarge, decompressed
from harken.services.kblocks.importers.syndication.fetching import Fetcher
from harken.services.kblocks.web_addresses import is_web, without_secrets
from tests.support.web import Answer, moved, web

PUBLIC = "93.184.216.34"
TEXT = b"<rss>" + b"feed " * 1_000 + b"</rss>"


# Without the time of now, so that each process of the suite has the same tests.
packed = partial(gzip.compress, mtime=0)


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")


def reason_of(fetcher: Fetcher, url: str, *, named: bool = True) -> str:
    with pytest.raises(InvalidInput) as caught:
        fetcher.fetch(url, named=named)
    return str(caught.value)


def raw_deflate(data: bytes) -> bytes:
    engine = zlib.compressobj(wbits=-15)
    return engine.compress(data) + engine.flush()


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("", TEXT),
        ("identity", TEXT),
        ("gzip", packed(TEXT)),
        ("X-GZIP", packed(TEXT)),
        ("gzip", packed(TEXT[:100]) + packed(TEXT[100:])),
        ("gzip", packed(TEXT) + b"\0" * 20),
        ("gzip", TEXT),
        ("", packed(TEXT)),
        ("gzip", packed(packed(TEXT))),
        ("deflate", zlib.compress(TEXT)),
        ("deflate", raw_deflate(TEXT)),
    ],
)
def test_answers_are_decompressed(encoding, body):
    headers = {"Content-Encoding": encoding} if encoding else {}
    with web({"/": Answer(body, headers=headers)}) as served:
        assert Fetcher().fetch(f"{served.url}/", named=True).content == TEXT
        assert served.asked[0][1]["accept-encoding"] == "gzip, deflate"
        assert served.asked[0][1]["user-agent"].startswith("harken/")


@pytest.mark.parametrize(
    ("encoding", "body", "reason"),
    [
        ("br", b"x", "its Content-Encoding is 'br'; gzip and deflate can be read"),
        ("gzip, gzip", b"x", "its Content-Encoding is 'gzip, gzip'"),
        ("gzip", packed(TEXT)[:-20], "its compressed text ends too early"),
        ("deflate", b"\x78\x9cnothing", "its compressed text cannot be read"),
        ("gzip", packed(b"") * 200, "it is compressed in more than 100 parts"),
    ],
)
def test_answers_that_cannot_be_decompressed(encoding, body, reason):
    with web({"/": Answer(body, headers={"Content-Encoding": encoding})}) as served:
        assert f"cannot be fetched: {reason}" in reason_of(Fetcher(), f"{served.url}/")


def bomb(size: int) -> bytes:
    return packed(b"\0" * size)


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("", b"x" * 60_001),
        ("gzip", bomb(50_000_000)),
        ("gzip", packed(bomb(50_000_000))),
        ("gzip", packed(b"x" * 50_000) * 2),
        ("deflate", zlib.compress(b"\0" * 50_000_000)),
    ],
)
def test_what_comes_out_is_limited(encoding, body):
    with web({"/": Answer(body, headers={"Content-Encoding": encoding})}) as served:
        reason = reason_of(Fetcher(max_bytes=60_000), served.url)
    assert reason == "takes more than 60000 bytes; at most these are read"


@given(st.binary(max_size=3_000), st.integers(1, 2_000))
def test_no_more_is_made_than_the_limit(data, limit):
    for encoding, body in (("gzip", packed(data)), ("deflate", zlib.compress(data))):
        if data.startswith(b"\x1f\x8b"):
            continue
        if len(data) <= limit:
            assert decompressed(body, encoding, limit) == data
        else:
            with pytest.raises(TooLarge):
                decompressed(body, encoding, limit)


@given(st.binary(max_size=300), st.sampled_from(["", "gzip", "deflate", "x, y", "zstd"]))
def test_anything_is_decompressed_or_refused(data, encoding):
    with contextlib.suppress(TooLarge, Broken):
        assert len(decompressed(b"\x1f\x8b" + data, encoding, 100)) <= 100


@pytest.mark.parametrize("headers", [{}, {"X-Slow": "{drip}"}], ids=["body", "headers"])
def test_a_slow_answer_is_given_up(headers):
    with web({"/": Answer(drip=True, headers=headers)}) as served:
        reason = reason_of(Fetcher(timeout=0.3), f"{served.url}/")
    assert reason == "cannot be fetched: it takes longer than 0.3 seconds"


@pytest.mark.parametrize(
    ("status", "reason"),
    [(404, "404 Not Found"), (500, "500 Internal Server Error"), (304, "304 Not Modified"),
     (410, "410 Gone"), (204, "204 No Content"), (429, "429 Too Many Requests")],
)  # fmt: skip
def test_an_answer_that_is_no_document(status, reason):
    with web({"/": Answer(status=status)}) as served:
        assert reason_of(Fetcher(), f"{served.url}/") == f"cannot be fetched: {reason}"


def test_the_charset_is_that_of_the_answer():
    headers = {"Content-Type": "text/xml; charset=ISO-8859-2"}
    with web({"/": Answer(TEXT, headers=headers), "/to": moved("/")}) as served:
        document = Fetcher().fetch(f"{served.url}/to", named=True)
        assert (document.charset, document.url) == ("iso-8859-2", f"{served.url}/")


@pytest.mark.parametrize(
    ("to", "reason"),
    [
        ("file:///etc/passwd", "it is redirected to an address that is not http or https"),
        ("ftp://127.0.0.1/x", "it is redirected to an address that is not http or https"),
        ("gopher://x/", "it is redirected to an address that is not http or https"),
        ("data:text/xml,<rss/>", "cannot be fetched: "),
        ("http://[", "cannot be fetched: "),
        ("/loop", "it is redirected more than 10 times"),
        ("http://localhost:{port}/secret", "is not a public address"),
        ("http://2130706433:{port}/secret", "is not a public address"),
        ("http://0x7f.1:{port}/secret", "is not a public address"),
        ("http://[::ffff:127.0.0.1]:{port}/secret", "is not a public address"),
        ("http://0.0.0.0:{port}/secret", "is not a public address"),
        ("http://169.254.169.254/latest/meta-data", "is not a public address"),
        ("http://10.0.0.1/", "is not a public address"),
    ],
)
def test_redirections_that_are_not_followed(to, reason):
    """Also from a host that a person named: only that host itself may be private."""
    with web({"/secret": Answer(TEXT)}) as served:
        served.pages["/loop"] = moved(to.format(port=served.url.rpartition(":")[2]))
        assert reason in reason_of(Fetcher(), f"{served.url}/loop")
        assert "/secret" not in served.paths


def test_a_named_host_may_be_private_and_another_one_on_request():
    with web({"/": Answer(TEXT), "/to": moved("/")}) as served:
        assert Fetcher().fetch(f"{served.url}/to", named=True).content == TEXT
        reason = reason_of(Fetcher(), f"{served.url}/", named=False)
        assert reason == (
            "cannot be fetched: 127.0.0.1 is not a public address; "
            "--allow-private fetches it nevertheless"
        )
        assert len(served.asked) == 2
        opened = Fetcher(allow_private=True)
        assert opened.fetch(f"{served.url}/", named=False).content == TEXT
        served.pages["/there"] = moved(served.url.replace("127.0.0.1", "localhost"))
        assert opened.fetch(f"{served.url}/there", named=False).content == TEXT


def test_all_addresses_of_a_name_have_to_be_public():
    names = {"two.example": [PUBLIC, "10.0.0.1"], "six.example": ["::1"], "none.example": []}
    fetcher = Fetcher(resolver=lambda host, _port: names[host])
    for host in ("two.example", "six.example"):
        reason = reason_of(fetcher, f"http://{host}/", named=False)
        assert f"{host} resolves to {names[host][-1]}, which is not a public address" in reason
    assert "has no address" in reason_of(fetcher, "http://none.example/", named=False)


def test_a_name_that_changes_its_address_is_connected_to_the_checked_one():
    """Its second answer would be the server here; it is never asked for."""
    with web({"/": Answer(TEXT)}) as served:
        port = served.url.rpartition(":")[2]
        answers = [["192.0.2.1"], ["127.0.0.1"]]

        def resolver(_host: str, _port: int) -> list[str]:
            return answers.pop(0)

        fetcher = Fetcher(resolver=resolver, timeout=0.5)
        reason = reason_of(fetcher, f"http://changing.example:{port}/", named=False)
        assert reason.startswith("cannot be fetched: ")
        assert (len(answers), served.asked) == (1, [])


def test_a_checked_address_is_what_is_connected_to():
    """A name that only this resolver knows leads to the server, with its name in the request."""
    with web({"/": Answer(TEXT)}) as served:
        port = served.url.rpartition(":")[2]
        fetcher = Fetcher(resolver=lambda _host, _port: ["127.0.0.1"])
        assert fetcher.fetch(f"http://feeds.example:{port}/", named=True).content == TEXT
        assert served.asked[0][1]["host"] == f"feeds.example:{port}"


def test_a_proxy_is_asked_for_names_but_not_for_this_machine(monkeypatch):
    monkeypatch.setenv("no_proxy", "")
    with web({"http://feeds.example/feed": Answer(TEXT)}) as served:
        monkeypatch.setenv("http_proxy", served.url)
        assert Fetcher().fetch("http://feeds.example/feed", named=False).content == TEXT
        for host in ("127.0.0.1", "2130706433", "localhost", "[::1]"):
            reason = reason_of(Fetcher(), f"http://{host}/feed", named=False)
            assert "--allow-private" in reason
        assert served.paths == ["http://feeds.example/feed"]


@pytest.mark.parametrize(
    "error", [OSError("no such name"), UnicodeError("label too long")], ids=["name", "label"]
)
def test_a_name_that_cannot_be_resolved(error):
    def resolver(_host: str, _port: int) -> list[str]:
        raise error

    assert "cannot be fetched: " in reason_of(Fetcher(resolver=resolver), "http://x.example/")


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1:1/", "http://" + "x" * 70 + ".example/", "http://x.example:99999/",
     "http://[::1", "http:///x", "http://\udcff/"],
)  # fmt: skip
def test_addresses_that_lead_nowhere(url):
    assert "cannot be fetched: " in reason_of(Fetcher(timeout=5), url)


def test_names_and_passwords_are_not_shown():
    assert without_secrets("https://ann:secret@x.example:1/a?b#c") == "https://x.example:1/a?b#c"


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.255.255.254", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1",
        "169.254.169.254", "100.64.0.1", "192.0.0.8", "192.0.2.1", "198.18.0.1", "224.0.0.1",
        "239.255.255.250", "240.0.0.1", "255.255.255.255", "::", "::1", "fe80::1", "fe80::1%eth0",
        "fc00::1", "fd12::1", "ff02::1", "fec0::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1",
        "64:ff9b::127.0.0.1", "64:ff9b::a00:1", "64:ff9b:1::1", "2002:7f00:1::", "2002:a00:1::1",
        "2001:db8::1", "2001::1", "::127.0.0.1", "100::1",
    ],
)  # fmt: skip
def test_addresses_that_are_not_public(address):
    assert not is_public(address)


@pytest.mark.parametrize(
    "address",
    [PUBLIC, "8.8.8.8", "2606:4700::1111", "64:ff9b::808:808", "::ffff:8.8.8.8", "2002:808:808::"],
)
def test_addresses_that_are_public(address):
    assert is_public(address)


@given(st.ip_addresses(v=4))
def test_an_address_of_ipv4_is_judged_alike_in_all_its_forms(address):
    public = is_public(str(address))
    if address.is_private or address.is_loopback or address.is_link_local or address.is_multicast:
        assert not public
    number = int(address)
    for form in (0xFFFF << 32 | number, 0x64FF9B << 96 | number, 0x2002 << 112 | number << 80):
        assert is_public(str(ipaddress.IPv6Address(form))) == public


@pytest.mark.parametrize(
    ("address", "expected"),
    [("http://x", True), ("HTTPS://x/y", True), ("ftp://x", False), ("http:", False),
     ("http://", False), ("x.xml", False), ("http://[", False), ("http://:80/", False)],
)  # fmt: skip
def test_addresses_of_the_web(address, expected):
    assert is_web(address) is expected
