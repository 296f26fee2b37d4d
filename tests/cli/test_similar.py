"""`harken similar`."""

import json


def test_neighbours_are_shown_with_their_reasons(harken, tmp_path):
    lines = tmp_path / "notes.jsonl"
    names = ("rebase", "merge", "squash")
    lines.write_text(
        "".join(
            json.dumps({"id": n, "title": f"On [{n}]", "tags": ["git"], "author": "Ines"}) + "\n"
            for n in names
        )
    )
    assert harken("import", "jsonl", str(lines)).code == 0
    run = harken("similar", "rebase")
    assert run.code == 0
    assert "On [merge]" in run.out
    assert "Behaviour" in run.out
    found = harken("similar", "rebase", "--limit", "1", "--json").json
    assert [item["position"] for item in found["items"]] == [0]
    assert set(found["items"][0]["explanation"]) == {"behaviour", "content"}
    harken("record", "ada", "merge", "dismiss")
    found = harken("similar", "rebase", "--user-id", "ada", "--json").json
    assert [item["id"] for item in found["items"]] == ["squash"]
    harken("record", "ada", "squash", "dismiss")
    assert (
        harken("similar", "rebase", "--user-id", "ada").out
        == "There are no similar K-Blocks yet.\n"
    )


def test_an_unknown_kblock_is_a_message(harken):
    run = harken("similar", "never")
    assert run.code == 1
    assert "there is no K-Block 'never'" in run.err
