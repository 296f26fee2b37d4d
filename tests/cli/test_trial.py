"""`harken models trial`, from a new candidate to what became of it."""

import asyncio
import json
import re
from pathlib import Path

import pytest
from sqlalchemy import delete

from harken.database import Database, Kind
from harken.domain.slates import Exposure, Trial
from harken.services.registry.store import MODELS
from tests.conftest import session_factory_for
from tests.support.age_models import age_model, models_are_tried_once
from tests.support.trial_life import let_pass, readers_of
from tests.support.trial_readers import FEED

pytestmark = pytest.mark.usefixtures(models_are_tried_once.__name__)
ON_SQLITE = pytest.mark.parametrize("database_kind", ["sqlite"])
"""Contract tests have the same on both databases; each command loads models, which takes time."""
PLAN = ("--readers", 100, "--share", 0.9, "--window-days", 1)


PAGE = Path(__file__).parents[2] / "docs/promotion.md"


def form(sentence):
    """Return a sentence without its figures and the model's id, which differ from run to run."""
    named = re.sub(r"learned-[0-9a-f-]+", "ID", sentence)
    return re.sub(r"[+-]?\d+(\.\d+)?", "0", named).replace("0 more day.", "0 more days.")


def documented():
    """Return what the page of promotion shows as the output of the command."""
    shown = re.findall(r"^```console\n(.*?)^```", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    lines = "".join(shown).splitlines()
    return [line for line in lines if line and not line.startswith(("$ ", "# "))]


def newest(rank):
    """Want all but the oldest; a page of the oldest first has some of both."""
    return rank < 18


@pytest.fixture(scope="module")
def trees():
    """Models that put the newest first, with other features, and the oldest first."""
    return {
        "newest": age_model(newest_first=True, without=("user_similarity",)),
        "oldest": age_model(newest_first=False),
    }


class Life:
    """A feed that a model orders: its candidate, its readers, and the command that tries it."""

    def __init__(self, harken, url):
        self.url = url
        self._harken = harken
        self.said = []

    def harken(self, *arguments):
        return self._harken(*arguments, HARKEN_PROMOTION="trial")

    def step(self, *arguments):
        """Take a step of a small trial, and return what is said."""
        run = self.harken("models", "trial", *arguments, *PLAN)
        assert run.code == 0, run.err
        self.said += run.out.splitlines()
        return run.out

    def open(self, serving, candidate):
        """Open the feed with two models; returns their ids, the one in service first."""

        async def opening():
            async with readers_of(self.url, newest) as readers:
                await readers.open()
                old = await readers.model(serving)
                await readers.service.registry.models.promote(old)
                return old, await readers.model(candidate)

        return asyncio.run(opening())

    def visit(self, first, last, wanted=newest):
        """Let readers come, one page each."""

        async def visiting():
            async with readers_of(self.url, wanted) as readers:
                await readers.visit(range(first, last))

        asyncio.run(visiting())

    def let_pass(self, days):
        asyncio.run(let_pass(self.url, days))

    def start_lopsided_test(self, file):
        """Start an A/B test of the same feed, with all its readers in one arm."""
        other = {
            "id": "other", "feeds": [FEED], "metric": "engagements_per_slate", "slots": [950, 999],
            "arms": [{"name": "a", "ranking": "personal"}, {"name": "b", "ranking": "learned"}],
        }  # fmt: skip
        file.write_text(json.dumps(other))
        assert self.harken("experiment", "create", file).code == 0
        assert self.harken("experiment", "start", "other").code == 0

        async def exposing():
            async with readers_of(self.url, newest) as readers:
                for n in range(150):
                    exposure = Exposure(Trial("other", 1, "a"), f"x{n}", 0.5)
                    await readers.service.ledger.expose(exposure)

        asyncio.run(exposing())

    @property
    def in_service(self):
        return self.harken("models", "list", "--json").json["in_service"]

    def decision(self, model):
        """Return the state of a trial, and the arm that it was decided for."""
        found = self.harken("experiment", "status", f"trial-{model}", "--json").json
        return found["state"], (found["decision"] or {}).get("arm")


@pytest.fixture
def life(harken, database_url):
    return Life(harken, database_url)


def test_a_better_candidate_from_the_gate_to_its_holdback(life, trees, harken, tmp_path):
    asked = harken("models", "trial")
    assert (asked.code, asked.err) == (
        1,
        "harken: HARKEN_PROMOTION: is replay; trials of models need HARKEN_PROMOTION=trial\n",
    )
    assert "no feed is ordered by a model" in life.harken("models", "trial").err
    old, new = life.open(trees["oldest"], trees["newest"])
    assert life.step() == (
        "The gate is not open: since the model's training no page has swapped pairs. "
        "Servers swap some with HARKEN_PROMOTION=trial.\n"
    )
    assert life.harken("experiment", "list", "--json").json == {"experiments": []}

    life.visit(0, 60)
    begun = life.step().splitlines()
    assert begun[0].startswith("The gate passed: 60 readers saw ")
    assert begun[1].startswith("A trial of 100 readers takes about ")
    assert begun[2:] == [f"The trial of {new} has begun: trial-{new}, version 1."]

    life.visit(100, 180)
    assert life.step() == (
        f"The trial of {new} goes on. Not yet: 0 readers with closed windows, of about 100. "
        "About 2 more days.\n"
    )
    other = life.harken("models", "trial", old)
    assert f"the trial of {new} is not over; wait, or end it by" in other.err
    life.let_pass(3)

    life.start_lopsided_test(tmp_path / "other.json")
    assert life.step().startswith(
        f"The trial of {new} goes on. Not decided: an alarm stands, so nothing is promoted. "
        "The readers of other, version 1 are not in the planned shares."
    )
    assert life.in_service == old
    assert life.harken("experiment", "stop", "other").code == 0
    over = life.step().splitlines()
    assert over[0].startswith(
        f"The trial of {new} is over. Promoted: readers choose its items more; mean credit +"
    )
    assert over[1:] == [
        f"5 % of the readers stay on the old model: holdback-{new}, version 1.",
    ]
    assert life.in_service == new
    assert life.decision(new) == ("decided", "candidate")
    assert life.step().startswith(f"The holdback of {new} goes on. Not yet")
    life.let_pass(30)
    assert f"The holdback of {new} is over. {new} stays: it is not proven worse." in life.step()
    assert {form(line) for line in documented()} <= {form(line) for line in life.said}


@ON_SQLITE
def test_a_worse_candidate_is_dropped(life, trees):
    old, new = life.open(trees["newest"], trees["oldest"])
    life.visit(0, 60, lambda rank: rank < 5)
    assert "The gate failed, readers prefer the order as it is: " in life.step()
    few = life.harken("models", "trial", "--no-gate", "--readers", 100_000, "--json").json
    assert few["said"][-1].startswith("Too few readers for a trial of 100000: "), few["said"]
    assert few["said"][-1].endswith("Plan with fewer readers, or a larger share.")
    assert few["readers"]["needed"] == 100_000
    assert "trial" not in few
    begun = life.step("--no-gate").splitlines()
    assert [line.partition(" about ")[0] for line in begun] == [
        "A trial of 100 readers takes",
        f"The trial of {new} has begun: trial-{new}, version 1.",
    ]
    life.visit(100, 180, lambda rank: rank < 5)
    life.let_pass(3)
    assert f"The trial of {new} is over. Dropped: readers choose its items less; " in life.step()
    assert life.in_service == old
    assert life.decision(new) == ("decided", "in_service")
    again = life.step()
    assert again.startswith(f"There is no new candidate: {new} was tried. Dropped: ")


@ON_SQLITE
def test_where_nothing_is_proven_the_model_in_service_stays(life, trees):
    old, new = life.open(trees["oldest"], trees["newest"])
    life.visit(0, 30)
    life.step("--no-gate")
    life.visit(100, 240, lambda _rank: True)
    life.let_pass(3)
    assert "over. The model in service stays: nothing is proven; mean credit " in life.step()
    assert life.in_service == old
    assert life.decision(new) == ("decided", "in_service")


@ON_SQLITE
@pytest.mark.parametrize(
    ("is_served", "said"),
    [
        (True, "the trial stopped, the arm candidate cannot be served: the model {new} cannot be "),
        (False, "the candidate cannot be read, there is no model '{new}'."),
    ],
    ids=["pages are served", "no page is served"],
)
def test_where_the_candidate_is_deleted_the_trial_stops(life, trees, is_served, said):
    old, new = life.open(trees["oldest"], trees["newest"])
    life.visit(0, 30)
    life.step("--no-gate")

    async def deleted():
        async with (
            session_factory_for(life.url) as factory,
            Database(factory).transaction(Kind.WRITE) as connection,
        ):
            await connection.execute(delete(MODELS).where(MODELS.c.model_id == new))

    asyncio.run(deleted())
    if is_served:  # their readers get the other model
        life.visit(100, 103)
    assert f"The model in service stays: {said.format(new=new)}" in life.step()
    assert life.in_service == old
    assert life.decision(new) == ("decided", "in_service")
    assert "There is no candidate: " in life.step()
