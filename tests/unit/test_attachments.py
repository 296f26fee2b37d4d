"""Files that belong to entries: read from feeds as they are written, kept, and read back."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harken.services.kblocks.attachments import (
    BEGIN,
    END,
    MOST_ATTACHMENTS,
    Attachment,
    as_html,
    split,
)
from harken.services.kblocks.importers.rss import feeds
from harken.services.kblocks.importers.run import ImportItem
from harken.services.kblocks.importers.syndication.enclosures import (
    MOST_SECONDS,
    read_seconds,
    read_size,
    usable,
)

ITUNES = 'xmlns:itunes="http://www.itunes.com/dtds/podcast-1.0.dtd"'
MEDIA = 'xmlns:media="http://search.yahoo.com/mrss/"'
TALK = "https://p.example/talk.mp4"
EPISODE = "https://p.example/1.mp3"


def read(path, document):
    path.write_text(document)
    units = [unit for feed in feeds(path) for unit in feed]
    return [unit.kblock for unit in units if isinstance(unit, ImportItem)]


def rss(*items):
    inner = "".join(f"<item><guid>{n}</guid>{item}</item>" for n, item in enumerate(items))
    return f'<rss version="2.0" {ITUNES} {MEDIA}><channel><title>P</title>{inner}</channel></rss>'


def attachments(path, document):
    return [split(each.content)[1] for each in read(path, document)]


def test_podcasts_have_a_type_a_size_and_a_duration(tmp_path):
    enclosure = f'<enclosure url="{EPISODE}" length="24300000" type="audio/mpeg"/>'
    [[found]] = attachments(
        tmp_path / "f.xml",
        rss(f"<title>One</title>{enclosure}<itunes:duration>42:10</itunes:duration>"),
    )
    assert found == Attachment(EPISODE, "1.mp3", "audio/mpeg", 24_300_000, 2_530)
    assert found.facts == ["audio/mpeg", "24.3 MB", "42:10"]


def test_media_and_atom_and_json_say_it_in_their_own_way(tmp_path):
    media = (
        f'<title>T</title><enclosure url="{TALK}" type="video/mp4"/><media:group>'
        f'<media:content url="{TALK}" fileSize="12345678" duration="3723"/>'
        '<media:content url="https://p.example/i.jpg" type="image/jpeg"/></media:group>'
    )
    [[talk, picture]] = attachments(tmp_path / "m.xml", rss(media))
    assert talk == Attachment(TALK, "talk.mp4", "video/mp4", 12_345_678, 3_723)
    assert talk.facts == ["video/mp4", "12.3 MB", "1:02:03"]
    assert picture == Attachment("https://p.example/i.jpg", "i.jpg", "image/jpeg")
    atom = f"""<feed xmlns="http://www.w3.org/2005/Atom"><title>A</title><entry><id>1</id>
        <title>t</title><link rel="enclosure" href="{EPISODE}" title="Episode 1 &lt;live&gt;"
        type="audio/mpeg" length="5000"/></entry></feed>"""
    [[found]] = attachments(tmp_path / "a.xml", atom)
    assert found == Attachment(EPISODE, "Episode 1 <live>", "audio/mpeg", 5_000)
    file = {"url": EPISODE, "mime_type": "audio/mpeg", "title": "One", "size_in_bytes": 1e6,
            "duration_in_seconds": 61.5}  # fmt: skip
    wrong = {"url": f"{EPISODE}?2", "size_in_bytes": [], "duration_in_seconds": True, "title": 7}
    given = {
        "version": "https://jsonfeed.org/version/1.1", "title": "J",
        "items": [{"id": "1", "title": "t", "attachments": [file, wrong, 7]}],
    }  # fmt: skip
    [[one, other]] = attachments(tmp_path / "j.json", json.dumps(given))
    assert one == Attachment(EPISODE, "One", "audio/mpeg", 1_000_000, 61)
    assert other == Attachment(f"{EPISODE}?2", "1.mp3")


def test_a_picture_that_the_text_shows_is_not_listed_and_an_episode_is(tmp_path):
    html = f'&lt;img src="https://p.example/i.jpg"&gt; &lt;a href="{EPISODE}"&gt;hear&lt;/a&gt;'
    files = (
        '<media:content url="https://p.example/i.jpg" medium="image" type="image/jpeg"/>'
        f'<enclosure url="{EPISODE}" type="audio/mpeg"/>'
    )
    [kblock] = read(tmp_path / "f.xml", rss(f"<description>{html}</description>{files}"))
    text, [found] = split(kblock.content)
    assert found.url == EPISODE
    assert text.startswith("<img")


def test_a_list_in_a_text_of_a_feed_is_not_taken_for_its_attachments(tmp_path):
    forged = (
        '&lt;ul class="attachments"&gt;&lt;li&gt;&lt;a href="https://e.example"&gt;x&lt;/ul&gt;'
    )
    [kblock] = read(tmp_path / "f.xml", rss(f"<description>{forged}</description>"))
    assert split(kblock.content) == (kblock.content, [])


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("42:10", 2_530), ("1:02:03", 3_723), ("3600", 3_600), ("3600.7", 3_600), ("00:00", None),
        ("0", None), ("-5", None), ("1:2:3:4", None), ("", None), ("an hour", None), ("1e3", None),
        ("999999999", None), ("٤٢", None), (" 5", None), ("12345:00", 740_700), ("NaN", None),
    ],
)  # fmt: skip
def test_durations(text, seconds):
    assert read_seconds(text) == seconds


@pytest.mark.parametrize(
    ("text", "size"),
    [("24300000", 24_300_000), ("0", None), ("1", None), ("", None), ("12 MB", None),
     ("-1", None), ("9" * 15, None), ("9" * 5_000, None), ("٩٩٩٩", None)],
)  # fmt: skip
def test_sizes(text, size):
    assert read_size(text) == size


@given(st.text(max_size=30))
def test_any_text_may_stand_where_a_number_should(text):
    assert read_size(text) is None or int(text) >= 1_000
    assert (read_seconds(text) or 1) in range(1, MOST_SECONDS + 1)


def test_what_is_said_of_a_file_twice_is_joined():
    first = Attachment(EPISODE, "", "audio/mpeg")
    again = Attachment(EPISODE, "Title", "audio/mp3", 5_000, 7)
    hidden = Attachment("file:///etc/passwd")
    assert usable([first, hidden, again], 99) == (
        Attachment(EPISODE, "Title", "audio/mpeg", 5_000, 7),
    )
    picture = Attachment("https://p.example/i.jpg", "", "image/jpeg")
    [one, other] = usable([picture, first], 99)
    assert (one.seconds, other.seconds) == (None, 99)
    assert len(usable(Attachment(f"https://e.example/{n}") for n in range(50))) == MOST_ATTACHMENTS


TEXT = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=40)


@given(
    st.lists(
        st.builds(
            Attachment, TEXT.map("HTTPS://e.example/".__add__), TEXT, TEXT,
            st.none() | st.integers(1_000, 10**12), st.none() | st.integers(1, MOST_SECONDS),
        ),
        max_size=5,
    ),
    st.sampled_from(["", "<p>Text.</p>", "<ul><li>a</li></ul>"]),
)  # fmt: skip
def test_a_list_is_read_back_as_it_was_written(files, before):
    content = "\n".join(part for part in (before, as_html(files)) if part)
    assert split(content) == (before, files)


PIECES = ["<li>", "<a href='https://e.example/1'>", "</a>", "<![x[", "<![if x]>", "<!", "<!-",
          "]>", "<?", "&#0;", "<data value='²'>", "<time datetime='PT9S'>", "x", "<", "</",
          "\0"]  # fmt: skip


@given(st.lists(st.sampled_from(PIECES), max_size=12).map("".join))
def test_any_list_is_read(within):
    before, files = split(f"Text.\n{BEGIN}{within}{END}")
    assert before == "Text."
    assert all(each.url == "https://e.example/1" for each in files)
