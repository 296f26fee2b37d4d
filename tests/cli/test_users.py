"""`harken user`."""

import json

import pytest

NOTHING = {
    "personalized": True, "weights": {}, "muted_tags": [], "muted_authors": [], "hide_read": False,
    "muted_sources": [], "most_per_source": None, "interests": {},
}  # fmt: skip


def test_preferences_are_set_and_shown(harken):
    assert harken("user", "preferences", "ada").json == NOTHING
    wanted = '{"muted_tags": ["x"], "weights": {"recency": 1}}'
    answer = harken("user", "preferences", "ada", "--set", wanted)
    assert answer.json == NOTHING | {"muted_tags": ["x"], "weights": {"recency": 1.0}}
    assert harken("user", "preferences", "ada").json == answer.json
    assert (
        harken("user", "reset", "ada").out == "The profile is reset. It uses events from now on.\n"
    )
    assert harken("user", "preferences", "ada").json == answer.json


@pytest.mark.parametrize("database_kind", ["sqlite"])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("preferences", "ada", "--set", "{"), "--set: is not JSON"),
        (("preferences", "ada", "--set", "[]"), "--set: must be a JSON object"),
        (("preferences", "ada", "--set", "[" * 50_000), "--set: is nested too deeply"),
        (("profile", "guest"), "id: guest stands for all guests, and has no profile"),
        (("profile", "x" * 65), "id: String should have at most 64"),
        (("preferences", "ada", "--set", '{"muted": []}'), "muted: is not a known field; known"),
        (("preferences", "guest", "--set", "{}"), "id: guest stands for all unknown"),
        (("preferences", "x" * 65), "user_id: String should have at most 64"),
        (("reset", "guest"), "id: guest stands for all unknown"),
    ],
)
def test_what_is_refused_is_a_message(harken, arguments, message):
    run = harken("user", *arguments)
    assert run.code == 1
    assert message in run.err


def test_labels_of_a_profile_are_harmless_to_a_terminal(harken, tmp_path):
    kblock = {"id": "n", "title": "N", "tags": ["\x1b]0;t", "[bold]"]}
    (tmp_path / "n.jsonl").write_text(json.dumps(kblock))
    assert harken("import", "jsonl", "n.jsonl").code == 0
    for _ in range(2):
        harken("record", "ada", "n", "engage")
    shown = harken("user", "profile", "ada").out
    assert "\x1b" not in shown
    assert "You like the tags \\x1b]0;t and [bold] and the source n.jsonl." in shown
