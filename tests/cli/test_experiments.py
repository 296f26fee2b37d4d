"""`harken experiment`."""

import json

import pytest

DEFINITION = """\
id: newest-or-lossless
feeds: [cosmos]
arms:
  - {name: newest, ranking: chronological}
  - {name: lossless, ranking: coherence}
metric: engagements_per_slate
"""


def test_an_experiment_from_draft_to_decision(harken, tmp_path):
    (tmp_path / "new.yaml").write_text(DEFINITION)
    created = harken("experiment", "create", "new.yaml")
    assert created.out == "newest-or-lossless, version 1, is draft\n"
    assert harken("experiment", "start", "newest-or-lossless").code == 0
    again = harken("experiment", "start", "newest-or-lossless")
    assert (again.code, again.err) == (
        1,
        "harken: state: newest-or-lossless, version 1 runs already\n",
    )
    assert harken("feed", "--user-id", "ada").code == 0
    status = harken("experiment", "status", "newest-or-lossless", "--json").json
    assert (status["state"], sum(status["exposed"].values())) == ("running", 1)
    shown = harken("experiment", "status", "newest-or-lossless").out
    assert "chronological" in shown
    assert "50.0%" in shown
    found = harken("experiment", "results", "newest-or-lossless")
    assert "1 readers came in, the windows of 0 are closed." in found.out
    assert "lossless: " in found.out
    assert "engagements_per_slate (decides)" in found.out
    as_json = harken("experiment", "results", "newest-or-lossless", "--json").json
    assert as_json["verdicts"]["lossless"]["outcome"] == "not_yet"
    stopped = harken("experiment", "stop", "newest-or-lossless", "--reason", "enough")
    assert stopped.out == "newest-or-lossless, version 1, is stopped: enough\n"
    decided = harken("experiment", "decide", "newest-or-lossless", "newest", "--json").json
    assert decided["decision"] == {"arm": "newest", "note": None}
    assert "decided" in harken("experiment", "list").out
    assert harken("experiment", "list", "--state", "running", "--json").json == {"experiments": []}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("id: [", "bad.yaml: is neither YAML nor JSON: "),
        ("- 1", "bad.yaml: must be an object with the fields of a definition"),
        (json.dumps({"id": "x"}), "arms: is required"),
        (DEFINITION.replace("coherence", "coherent"), "arms.1.ranking: 'coherent' is unknown"),
    ],
)
def test_what_is_refused(harken, tmp_path, text, problem):
    (tmp_path / "bad.yaml").write_text(text)
    refused = harken("experiment", "create", "bad.yaml")
    assert refused.code == 1
    assert problem in refused.err
