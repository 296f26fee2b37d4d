"""`harken experiment`."""

import json
import sys

import pytest

from harken.errors import InvalidInput, MissingExtra
from harken.protocols.cli.experiment_plot import check_plot, plot

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
    assert created.out == "newest-or-lossless, version 1: draft\n"
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
    assert "Sample ratio: no alarm (p = 1 at all looks)" in found.out
    assert "1 reader came in, the windows of 0 are closed." in found.out
    assert "lossless: " in found.out
    assert "engagements_per_slate (decides)" in found.out
    as_json = harken("experiment", "results", "newest-or-lossless", "--json").json
    assert as_json["verdicts"]["lossless"]["outcome"] == "not_yet"
    stopped = harken("experiment", "stop", "newest-or-lossless", "--reason", "enough")
    assert stopped.out == "newest-or-lossless, version 1: stopped, enough\n"
    decided = harken("experiment", "decide", "newest-or-lossless", "newest", "--json").json
    assert decided["decision"] == {"arm": "newest", "note": None}
    assert "decided" in harken("experiment", "list").out
    assert harken("experiment", "list", "--state", "running", "--json").json == {"experiments": []}


def test_an_adaptive_experiment_shows_its_versions(harken, tmp_path):
    (tmp_path / "new.yaml").write_text(f"{DEFINITION}adaptive: true\n")
    harken("experiment", "create", "new.yaml")
    assert harken("experiment", "start", "newest-or-lossless").code == 0
    for command in ("status", "results"):
        shown = harken("experiment", command, "newest-or-lossless").out
        assert "From readers" in shown
        assert "the definition" in shown
    refused = harken("experiment", "allocate", "newest-or-lossless")
    assert refused.code == 1
    assert "newest-or-lossless, version 1 changes at most once a day, next from" in refused.err


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


def results(looks):
    comparison = {
        "role": "primary", "arm": "a $x$", "control": "b", "metric": "engagements_per_slate",
        "looks": [
            {"at": 1.8e9 + n, "readers": n, "effect": 0.1, "sequence": [0.1 - 1 / n, 0.1 + 1 / n]}
            for n in range(1, looks + 1)
        ],
    }  # fmt: skip
    verdicts = {"a $x$": {"outcome": "not_yet", "text": "Not yet: 100 % of $ and $."}}
    return {"id": "x", "version": 1, "comparisons": [comparison], "verdicts": verdicts}


@pytest.mark.parametrize(("name", "start"), [("a.png", b"\x89PNG"), ("a.SVG", b"<?xml")])
def test_effects_are_drawn(tmp_path, name, start):
    plot(results(40), tmp_path / name)
    assert (tmp_path / name).read_bytes().startswith(start)


def test_what_cannot_be_drawn(harken, tmp_path):
    with pytest.raises(InvalidInput, match="too few readers are compared"):
        plot(results(0), tmp_path / "a.png")
    (tmp_path / "new.yaml").write_text(DEFINITION)
    harken("experiment", "create", "new.yaml")
    harken("experiment", "start", "newest-or-lossless")
    for file, problem in {
        "a.pdf": "--plot: a.pdf must end with .png or .svg",
        "none/a.png": "--plot: there is no folder ",
        "a.png": "--plot: too few readers are compared; there is no effect",
    }.items():
        refused = harken("experiment", "results", "newest-or-lossless", "--plot", file)
        assert (refused.code, problem in refused.err) == (1, True)
        assert not (tmp_path / file).exists()


def test_without_matplotlib_it_is_said_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingExtra, match=r"--plot needs .* 'harken\[plots\]'"):
        check_plot(tmp_path / "a.png")


def test_what_an_experiment_can_find(harken, tmp_path):
    (tmp_path / "new.yaml").write_text(DEFINITION)
    harken("experiment", "create", "new.yaml")
    refused = harken("experiment", "power", "newest-or-lossless")
    assert (refused.code, refused.err) == (
        1,
        "harken: readers: the log has 0 with this metric, 20 are needed\n",
    )
    (tmp_path / "shared.yaml").write_text(
        DEFINITION.replace("metric: engagements_per_slate", "kind: interleaving")
    )
    harken("experiment", "create", "shared.yaml")
    found = harken("experiment", "power", "newest-or-lossless", "--effect", "0.1")
    assert "readers find a difference of 0.1 in credit with a probability of 80%" in found.out
