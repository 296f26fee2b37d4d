"""`harken feed`."""

import pytest


@pytest.fixture
def filled(harken, tmp_path):
    notes = tmp_path / "vault"
    notes.mkdir()
    for day, loss in ((1, 0.1), (2, 0.9), (3, 0.05)):
        (notes / f"n{day}.md").write_text(
            f"---\nid: n{day}\ncreated: 2026-01-0{day}\ngalois_loss: {loss}\n---\n# Note {day}\n"
        )
    assert harken("import", "markdown", notes).code == 0
    return harken


def test_a_feed_is_a_table(filled):
    shown = filled("feed")
    assert shown.code == 0
    assert shown.out.index("Note 3") < shown.out.index("Note 2") < shown.out.index("Note 1")
    assert "1 to 3 of 3 K-Blocks." in shown.out
    coherent = filled("feed", "coherent")
    assert "Note 2" not in coherent.out
    assert coherent.out.index("Note 3") < coherent.out.index("Note 1")


def test_an_empty_database_is_explained_with_the_number_of_events(harken):
    assert harken("analytics").out.startswith("No K-Block has this many interactions.")
    shown = harken("feed").out
    assert shown.startswith("The database has no K-Blocks.")
    assert "known" not in shown
    assert "harken import markdown" in shown
    harken("record", "ada", "elsewhere", "view")
    assert "The log has 1 event. Events contain" in harken("feed").out
    harken("record", "bob", "elsewhere", "contradict")
    shown = harken("feed", "personal", "--explain").out
    assert "The log has 2 events. Events contain" in shown
    assert "POST /api/feed/rank" in shown
    assert harken("feed", "--json").json["items"] == []


def test_an_empty_feed_beside_others_is_a_sentence(filled):
    shown = filled("feed", "axioms")
    assert shown.out == "This feed has no K-Blocks, or the reader dismissed or muted all of them.\n"
    assert "Note" not in filled("feed", "--offset", 9).out
    assert filled("feed", "--offset", 9).out == "3 K-Blocks.\n"


def test_explain_says_what_makes_a_score(filled):
    filled("record", "ada", "n1", "engage")
    shown = filled("feed", "cosmos", "--ranking", "weighted", "--explain")
    assert "1. Note 1  n1" in shown.out
    assert "+ Readers engage with it more than with all others. (" in shown.out
    assert "raised it" in shown.out
    assert "0.200" not in shown.out
    shown = filled("feed", "cosmos", "--ranking", "weighted", "--figures")
    assert "Attention" in shown.out
    assert "+0.200" in shown.out
    page = filled("feed", "cosmos", "--ranking", "weighted", "--explain", "--json").json
    [first, *_others] = page["items"]
    assert first["explanation"]["attention"]["contribution"] == 0.2
    reasons = [(each["part"], each["direction"]) for each in first["reasons"]]
    assert reasons[0] == ("attention", "raised")
    assert page["candidates"] == 3
    shown = filled("feed", "--explain").out
    assert "The newest notes come first. Nothing else counts in this order." in shown


def test_pages_follow_each_other(filled):
    first = filled("feed", "--limit", 2, "--json").json
    rest = filled("feed", f"--cursor={first['next_cursor']}", "--json").json
    assert [item["id"] for item in first["items"] + rest["items"]] == ["n3", "n2", "n1"]
    assert "Next page: harken feed cosmos --cursor=" in filled("feed", "--limit", 2).out


def test_a_drawn_feed_says_how_likely_each_was(filled):
    drawn = ("feed", "coherent", "--temperature", 0.1, "--seed", 3)
    page = filled(*drawn, "--json").json
    assert [item["propensity"] for item in page["items"]][-1] == 1
    shown = filled(*drawn).out
    assert "Propensity" in shown
    assert f"{page['items'][0]['propensity']:.3g}" in shown
    assert "Propensity" not in filled("feed", "coherent").out
    capped = filled("feed", "--most-per-author", 1, "--most-per-tag", 1, "--json").json
    assert [item["id"] for item in capped["items"]] == ["n3", "n2", "n1"]


def test_a_personal_feed_says_why_it_is_as_it_is(filled):
    shown = filled("feed", "personal", "--user-id", "ada")
    assert "since 0 interactions are known of you and 5 are needed." in shown.out
    assert "Made from what everybody reads, " in shown.out


@pytest.mark.parametrize("database_kind", ["sqlite"])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nope"], "feed: 'nope' is unknown; known are cosmos"),
        (["--ranking", "best"], "ranking: 'best' is unknown"),
        (["--limit", "0"], "limit: must be from 1 to 100"),
        (["--max-loss", "2"], "max_loss: must be a number from 0 to 1"),
        (["--ranking", "weighted", "--weights", "recency:nan"], "weights.recency: must be"),
        (["--temperature", "0.1"], "temperature: needs a ranking by score"),
        (["--most-per-tag", "0"], "most_per_tag: must be from 1 to 100"),
        (["--cursor=abc"], "cursor: was not made by this service"),
    ],
)
def test_what_is_refused_is_a_message(harken, arguments, message):
    run = harken("feed", *arguments)
    assert run.code == 1
    assert message in run.err
