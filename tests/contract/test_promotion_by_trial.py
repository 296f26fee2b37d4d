"""Promotion by trial through the service: gate, trial, promotion, holdback; and what stops them."""

from datetime import timedelta

import pytest
from sqlalchemy import delete, update

from harken.database import Kind
from harken.domain.slates import Exposure, Slate, Trial
from harken.errors import InvalidInput
from harken.services.experiments.definitions import State
from harken.services.experiments.promotion.plans import (
    TrialPlan,
    holdback_of,
    trial_id,
    trial_of,
)
from harken.services.feed.service import FeedService
from harken.services.integrity.quarantine.acts import Decision, Quarantine
from harken.services.learning.model_storage.trials import Trials
from harken.services.record.admission.quarantines import Target
from harken.services.record.persistence import FeedFeedbackPersistence
from harken.services.registry.serving import ModelsInService
from harken.services.registry.store import MODELS
from tests.support.age_models import TriedOnce, age_model, models_are_tried_once
from tests.support.trial_readers import FEED, Readers

pytestmark = pytest.mark.usefixtures(models_are_tried_once.__name__)
PLAN = TrialPlan([FEED], share=0.9, readers=40, window_days=1)
DAYS = timedelta(days=3)


def newest(rank: int) -> bool:
    """Want all but the oldest; a page of the oldest first has some of both."""
    return rank < 18


@pytest.fixture(scope="module")
def trees():
    """Models that put the newest first, with other features, and the oldest first."""
    return {
        "newest": age_model(newest_first=True, without=("user_similarity",)),
        "oldest": age_model(newest_first=False),
        "oldest again": age_model(newest_first=False, seed=1),
    }


@pytest.fixture
async def readers(session_factory, clock):
    service = FeedService(
        session_factory, clock=clock, swap_share=1.0,
        record=FeedFeedbackPersistence(session_factory, clock=clock),
    )  # fmt: skip
    opened = Readers(service, clock, newest)
    await opened.open()
    yield opened
    await service.close()


async def begun(readers, candidate: str, serving: str | None, *, retrained: bool = False):
    """Begin a trial without asking the gate."""
    experiments = readers.service.experiments
    await experiments.create(trial_of(candidate, serving, PLAN, retrained=retrained))
    return await experiments.start(trial_id(candidate))


async def state(readers, model_id: str) -> tuple[State, str | None]:
    found = await readers.service.experiments.store.get(trial_id(model_id))
    return found.state, (found.decision or {}).get("arm")


async def test_a_better_model_passes_the_gate_and_the_trial_and_is_held_back(readers, trees):
    models = readers.service.registry.models
    old = await readers.model(trees["oldest"])
    await models.promote(old)
    new = await readers.model(trees["newest"])
    assert (await readers.step(PLAN)).details["gate"]["slates"] == 0
    await readers.visit(range(50))
    begun = await readers.step(PLAN)
    assert begun.details["gate"]["state"] == "passed", begun.said
    assert await state(readers, new) == (State.RUNNING, None)
    await readers.visit(range(50))
    assert "goes on" in (await readers.step(PLAN)).said[-1]  # no window is closed
    readers.clock.now += DAYS
    over = await readers.step(PLAN)
    assert over.promoted == new, over.said
    assert await models.in_service() == new
    assert await state(readers, new) == (State.DECIDED, "candidate")
    [holdback] = await readers.service.experiments.store.running()
    assert holdback.definition.id == f"holdback-{new}"
    assert [arm.model for arm in holdback.definition.arms] == [old, new]
    # The next steps: there is nothing new to try, and the holdback goes on until it is over.
    again = await readers.step(PLAN)
    assert "goes on" in again.said[0]
    readers.clock.now += timedelta(days=30)
    assert "stays" in (await readers.step(PLAN)).said[0]
    assert await models.in_service() == new


async def test_a_worse_model_is_stopped_by_the_gate_and_dropped_by_a_trial(readers, trees):
    models = readers.service.registry.models
    good = await readers.model(trees["newest"])
    await models.promote(good)
    bad = await readers.model(trees["oldest"])
    readers.wanted = lambda rank: rank < 5
    await readers.visit(range(50))
    refused = await readers.step(PLAN)
    assert refused.details["gate"]["state"] == "failed", refused.said
    assert not await readers.service.experiments.store.running()
    await begun(readers, bad, good)
    await readers.visit(range(100, 150))  # who saw nothing before
    readers.clock.now += DAYS
    assert "Dropped" in (await readers.step(PLAN)).said[-1]
    assert await models.in_service() == good
    assert await state(readers, bad) == (State.DECIDED, "in_service")
    assert "was tried" in (await readers.step(PLAN)).said[-1]


async def test_a_model_that_cannot_be_read_ends_its_trial(readers, trees, database):
    good = await readers.model(trees["newest"])
    bad = await readers.model(trees["oldest"])
    await readers.service.registry.models.promote(good)
    await begun(readers, bad, good)
    async with database.transaction(Kind.WRITE) as connection:
        gone = update(MODELS).where(MODELS.c.model_id == bad).values(model="gone")
        await connection.execute(gone)
    readers.service.requests.arms._models = ModelsInService(readers.service.registry.models)
    await readers.visit(range(3))  # readers get their pages
    assert (await state(readers, bad))[0] is State.STOPPED
    [said] = (await readers.step(PLAN, bad)).said
    assert said.startswith("The model in service stays: the trial stopped, the arm candidate")
    assert await state(readers, bad) == (State.DECIDED, "in_service")


async def test_readers_in_quarantine_decide_nothing(readers, trees, session_factory):
    """Bots want what the candidate puts first, readers what the model in service does."""
    old = await readers.model(trees["oldest"])
    await readers.service.registry.models.promote(old)
    new = await readers.model(trees["newest"])
    trial = await begun(readers, new, old)
    await readers.visit(range(50))
    readers.wanted = lambda rank: rank > 18
    await readers.visit(range(100, 150))
    bots = [f"reader-{n}" for n in range(50)]
    decision = Decision("test", "bots", confirm=True)
    await Quarantine(session_factory).add(Target.READER, bots, decision)
    readers.clock.now += DAYS
    exposed = await readers.service.experiments.store.exposed(trial)
    step = await readers.step(PLAN)
    assert "Dropped" in step.said[-1], step.said
    found = step.details["trial"]["results"]
    [without], [everyone] = found["comparisons"], found["with_quarantined"]
    assert found["readers"]["quarantined"] == sum(exposed.values()) - without["readers"]
    assert found["readers"]["quarantined"] > 30
    assert everyone["readers"] == sum(exposed.values())
    assert everyone["effect"] > without["effect"] + 0.2


async def test_a_machine_too_busy_to_check_a_model_ends_no_trial(readers, trees):
    """The program that checks models cannot be started; pages are served, and do not count."""
    old, new = await readers.model(trees["oldest"]), await readers.model(trees["newest"])
    models = readers.service.registry.models
    await models.promote(old)
    trial = await begun(readers, new, old)
    models._trials = Trials(("/nowhere",))
    readers.service.requests.arms._models = ModelsInService(models)
    await readers.visit(range(3))
    assert await state(readers, new) == (State.RUNNING, None)
    assert await readers.service.experiments.store.exposed(trial) == {}
    assert "goes on" in (await readers.step(PLAN)).said[-1]
    models._trials = TriedOnce()
    readers.service.requests.arms._models = ModelsInService(models)
    await readers.visit(range(3))
    assert await readers.service.experiments.store.exposed(trial) == {"interleaved": 3}


async def test_a_deleted_candidate_ends_its_trial_though_no_page_needed_it(
    readers, trees, database
):
    good, bad = await readers.model(trees["newest"]), await readers.model(trees["oldest"])
    await readers.service.registry.models.promote(good)
    await begun(readers, bad, good)
    async with database.transaction(Kind.WRITE) as connection:
        await connection.execute(delete(MODELS).where(MODELS.c.model_id == bad))
    assert f"cannot be read, there is no model '{bad}'" in (await readers.step(PLAN)).said[-1]
    assert await state(readers, bad) == (State.DECIDED, "in_service")


async def test_a_retrained_model_is_tried_by_a_margin_where_there_are_enough_readers(
    readers, trees
):
    models, experiments = readers.service.registry.models, readers.service.experiments
    await models.promote(await readers.model(trees["oldest"]))
    new = await readers.model(trees["oldest again"])
    readers.wanted = lambda _rank: True
    await readers.visit(range(40))
    few = await readers.step(PLAN._replace(readers=5_000))
    assert few.said[-1].startswith("Too few readers for a trial of 5000: it takes "), few.said
    assert few.details["readers"]["days"] > 30
    assert not await experiments.store.running()
    await readers.step(PLAN._replace(margin=0.6, readers=30))
    trial = await experiments.store.get(trial_id(new))
    assert (trial.state, trial.definition.margin) == (State.RUNNING, 0.6)


async def test_nothing_is_promoted_while_an_alarm_stands(readers, trees):
    """All readers in one arm of an A/B test of the same feed, of which half is expected."""
    models, experiments = readers.service.registry.models, readers.service.experiments
    old = await readers.model(trees["oldest"])
    await models.promote(old)
    new = await readers.model(trees["newest"])
    await begun(readers, new, old)
    await readers.visit(range(50))
    readers.clock.now += DAYS
    await experiments.create(
        {"id": "other", "feeds": [FEED], "metric": "engagements_per_slate", "slots": [950, 999],
         "arms": [{"name": "a", "ranking": "personal"}, {"name": "b", "ranking": "learned"}]}
    )  # fmt: skip
    other = await experiments.start("other")
    for n in range(150):
        trial = Trial("other", other.version, "a")
        await readers.service.ledger.expose(Exposure(trial, f"x{n}", 0.5))
    step = await readers.step(PLAN)
    assert "an alarm stands" in step.said[-1]
    assert "readers of other, version 1 are not in the planned shares" in step.said[-1]
    assert await models.in_service() == old
    await experiments.stop("other")
    assert (await readers.step(PLAN)).promoted == new


async def test_a_holdback_brings_the_old_model_back(readers, trees):
    """Readers of the new model engage less, by what the slates and the log say."""
    service, models = readers.service, readers.service.registry.models
    old = await readers.model(trees["newest"])
    await models.promote(old)
    new = await readers.model(trees["oldest"])
    trial = await begun(readers, new, old)
    await models.promote(new)
    await service.experiments.stop(trial.id)
    await service.experiments.decide(trial.id, "candidate")
    await service.experiments.create(holdback_of(trial))
    holdback = await service.experiments.start(f"holdback-{new}")
    for n in range(50):
        arm = "old" if n % 2 else "new"
        own = Trial(holdback.id, holdback.version, arm)
        slate = Slate(
            request_id=f"r{n}", first_request_id=f"r{n}", user_id=f"u{n}", feed=FEED,
            ranking="learned", settings={}, revision=0, position=0, items=["k01"], trial=own,
        )  # fmt: skip
        await service.ledger.enter(slate, exposure=Exposure(own, f"u{n}", 0.5))
        if arm == "old" or n % 10 == 0:
            await service.record.record_interaction(f"u{n}", "k01", "engage", request_id=f"r{n}")
    readers.clock.now += DAYS
    step = await readers.step(PLAN)
    assert "is in service again" in step.said[0], step.said
    assert await models.in_service() == old
    decided = await service.experiments.store.get(holdback.id)
    assert (decided.state, (decided.decision or {})["arm"]) == (State.DECIDED, "old")


async def test_what_cannot_be_is_refused(readers, trees):
    with pytest.raises(InvalidInput, match="no feed is ordered by a model"):
        await readers.step(TrialPlan([]))
    with pytest.raises(InvalidInput, match=r"share: must be above 0, at most 0\.9"):
        await readers.step(PLAN._replace(share=0.95))
    good = await readers.model(trees["newest"])
    await readers.service.registry.models.promote(good)
    with pytest.raises(InvalidInput, match="is in service; name another model"):
        await readers.step(PLAN, good)
    assert "no candidate" in (await readers.step(PLAN)).said[-1]
    bad = await readers.model(trees["oldest"])
    await begun(readers, bad, good)
    with pytest.raises(InvalidInput, match="is not over; wait, or end it by"):
        await readers.step(PLAN, good)
