"""`harken sources`."""

import pytest

from tests.support.feeds import page_naming, rss
from tests.support.web import Answer, web


@pytest.fixture
def site(monkeypatch):
    monkeypatch.setenv("HARKEN_PRIVATE_SOURCES", "127.0.0.1")
    with web({"/feed": Answer(rss("Blog", "one", "two"))}) as served:
        served.pages["/"] = page_naming("/feed", "/comments")
        yield served


def test_the_life_of_a_source(harken, site, tmp_path):
    assert "There are no sources" in harken("sources", "list").out
    added = harken("sources", "add", site.url, "--json").json
    assert (added["status"], added["added"]) == ("added", 2)
    assert added["others"] == [f"{site.url}/comments"]
    key = added["source"]["id"]
    assert f"Blog ({key}): nothing new" in harken("sources", "add", f"{site.url}/feed").out
    listed = harken("sources", "list").out
    assert all(text in listed for text in (key, "Blog", f"{site.url}/feed", "2", "read 20"))
    assert "source:" + key in str(harken("feed", "cosmos", "--json").json["items"])

    site.pages["/feed"] = Answer(rss("Blog", "three", "one", "two"))
    assert f"Blog ({key}): 1 new, 2 changed" in harken("sources", "refresh").out
    site.pages["/feed"] = Answer(status=500)
    failed = harken("sources", "refresh", key)
    assert (failed.code, "cannot be fetched: 500" in failed.out) == (1, True)
    assert "cannot be fetched: 500" in harken("sources", "list").out

    assert harken("sources", "export", "list.opml").out == "Written to list.opml.\n"
    refused = harken("sources", "export", "list.opml")
    assert (refused.code, "--force" in refused.err) == (1, True)
    assert "its items stay" in harken("sources", "remove", key).out
    assert harken("sources", "import", "list.opml").out == "1 source added, 0 known before.\n"
    assert len(harken("kblocks", "list", "--json").json["items"]) == 3


@pytest.mark.parametrize("database_kind", ["sqlite"])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("add", "http://10.0.0.1/"), "url: cannot be fetched: 10.0.0.1 is not a public address"),
        (("add", "file:///etc/passwd"), "url: must be an address of http or https"),
        (("remove", "none"), "there is no source 'none'"),
        (("refresh", "none"), "there is no source 'none'"),
        (("import", "none.opml"), "file: none.opml: No such file or directory"),
    ],
)
def test_what_is_refused_is_a_message(harken, arguments, message):
    run = harken("sources", *arguments)
    assert run.code == 1
    assert message in run.err
