"""`harken feeds`, and stored feeds by `harken feed`."""

import json

import pytest


def test_feeds_are_put_listed_shown_and_deleted(harken, tmp_path):
    (tmp_path / "mine.json").write_text(
        json.dumps({"description": "Of [mine]", "filters": [
            {"field": "loss", "operator": "lt", "value": 0.5}]})
    )  # fmt: skip
    lines = [{"id": f"k{i}", "title": f"Note {i}", "galois_loss": i / 2} for i in range(3)]
    (tmp_path / "k.jsonl").write_text("\n".join(map(json.dumps, lines)))
    assert harken("import", "jsonl", "k.jsonl").code == 0
    assert harken("feeds", "put", "mine", "mine.json").out == "mine: added\n"
    assert harken("feeds", "put", "mine", "mine.json").out == "mine: unchanged\n"
    listed = harken("feeds")
    assert listed.code == 0
    assert "Of [mine]" in listed.out
    assert "built-in" in listed.out
    feeds = harken("feeds", "--json").json["feeds"]
    assert [each["id"] for each in feeds][-1] == "mine"
    shown = harken("feed", "mine")
    assert "Note 0" in shown.out
    assert "Note 1" not in shown.out
    assert harken("feeds", "delete", "mine").out == "mine: deleted\n"
    gone = harken("feed", "mine")
    assert (gone.code, "feed: 'mine' is unknown" in gone.err) == (1, True)


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_what_is_refused_is_a_message(harken, tmp_path):
    (tmp_path / "bad.json").write_text("{")
    (tmp_path / "deep.json").write_text("[" * 100_000)
    (tmp_path / "list.json").write_text("[]")
    (tmp_path / "bytes.json").write_bytes(b"\xff\xfe")
    (tmp_path / "wrong.json").write_text('{"ranking": "best"}')
    for arguments, message in (
        (("put", "mine", "bad.json"), "bad.json: is not JSON"),
        (("put", "mine", "deep.json"), "deep.json: is nested too deeply"),
        (("put", "mine", "list.json"), "list.json: must be a JSON object"),
        (("put", "mine", "bytes.json"), "bytes.json: is not UTF-8"),
        (("put", "mine", "wrong.json"), "ranking: 'best' is unknown"),
        (("put", "cosmos", "wrong.json"), "'cosmos' is a default feed of Harken"),
        (("delete", "mine"), "there is no stored feed 'mine'"),
    ):
        run = harken("feeds", *arguments)
        assert run.code == 1
        assert message in run.err
    assert harken("feeds", "put", "mine", "nowhere.json").code == 2
