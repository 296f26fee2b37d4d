"""`harken events` prints the log in the order of commits, and goes on from a cursor."""

import json

from tests.cli.conftest import call


def test_events_are_printed_and_gone_on_from(database_url):
    env = {"HARKEN_DATABASE_URL": database_url}
    for each in ("b", "a", "c"):
        assert call("record", "ada", "k", "view", "--interaction-id", each, **env).code == 0

    def printed(*options):
        run = call("events", *options, **env)
        assert run.code == 0, run.err
        return [json.loads(line) for line in run.out.splitlines()]

    found = printed()
    assert [each["interaction_id"] for each in found] == ["b", "a", "c"]
    assert printed("--limit", 2) == found[:2]
    assert printed("--after", found[0]["cursor"], "--follow", "--limit", 2) == found[1:]
    assert printed("--after", found[2]["cursor"]) == []
    assert "after: is no cursor" in call("events", "--after", "x", **env).err
