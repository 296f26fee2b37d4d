"""The definitions of trials and holdbacks, which are experiments like any other."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from harken.domain.feeds import PERSONAL
from harken.errors import InvalidInput, Problem
from harken.services.experiments.assignment import SLOTS
from harken.services.experiments.definitions import Arm, Experiment

TRIAL, HOLDBACK = "trial-", "holdback-"
"""The prefixes of the ids of both; the candidate's id follows."""
IN_SERVICE, CANDIDATE = "in_service", "candidate"
OLD, NEW = "old", "new"
HELD = 50
"""The slots of 1,000 whose readers stay on the old model: 5 %."""
FIRST_HELD = SLOTS - 2 * HELD
"""A holdback has the last slots: half of its readers have the old model, half the new one."""
MOST_SHARE = FIRST_HELD / SLOTS
FEWEST_PLANNED, MOST_PLANNED = 100, 10_000_000
MOST_WINDOW_DAYS = 28
HOLDBACK_METRIC, HOLDBACK_GUARDRAIL, HOLDBACK_MARGIN = (
    "engagements_per_slate", "dismissals_per_slate", 0.05,
)  # fmt: skip


class TrialPlan(NamedTuple):
    """How trials are run.

    feeds: those whose pages are interleaved; each is ordered by the model in service.
    share: of the readers that come into a trial.
    readers: how many readers are planned, with a closed window and something that is credited.
    window_days: the days for which a reader is counted.
    margin: by how much credit a retrained model may be worse than its predecessor.
    asks_gate: whether a trial begins only if the gate lets the candidate pass.
    """

    feeds: Sequence[str]
    share: float = 0.5
    readers: int = 1_000
    window_days: int = 7
    margin: float = 0.05
    asks_gate: bool = True

    def checked(self) -> "TrialPlan":
        """Raise InvalidInput for what is out of range or missing."""
        problems = []
        if not self.feeds:
            message = (
                'no feed is ordered by a model: store one with "ranking": "learned", or name '
                "feeds that your program registers"
            )
            problems.append(Problem("feeds", message))
        if not 0 < self.share <= MOST_SHARE:
            message = f"must be above 0, at most {MOST_SHARE:g}: the rest is for holdbacks"
            problems.append(Problem("share", message))
        if problems:
            raise InvalidInput(*problems)
        return self


def trial_id(model_id: str) -> str:
    """Return the id of the trial of a model."""
    return f"{TRIAL}{model_id}"


def trial_of(candidate: str, serving: str | None, plan: TrialPlan, *, retrained: bool) -> Any:
    """Return the definition of a trial. `retrained`: on the features of the model in service."""
    return {
        "id": trial_id(candidate),
        "description": f"Trial of {candidate} against {serving or 'the personal order'}.",
        "kind": "interleaving",
        "feeds": list(plan.feeds),
        "arms": [_arm(IN_SERVICE, serving), _arm(CANDIDATE, candidate)],
        "eligibility": {"readers": "named"},
        "slots": [0, max(0, round(plan.share * SLOTS) - 1)],
        "planned_size": plan.readers,
        "window_days": plan.window_days,
        **({"margin": plan.margin} if retrained else {}),
    }


def holdback_of(trial: Experiment) -> dict[str, Any]:
    """Return the definition of the holdback after a trial whose candidate was promoted."""
    given = trial.definition
    serving, candidate = (each.model for each in given.arms)
    return {
        "id": f"{HOLDBACK}{candidate}",
        "description": f"Holdback after the promotion of {candidate}.",
        "kind": "ab",
        "feeds": list(given.feeds),
        "arms": [_arm(OLD, serving), _arm(NEW, candidate)],
        "eligibility": {"readers": "named"},
        "slots": [FIRST_HELD, SLOTS - 1],
        "metric": HOLDBACK_METRIC,
        "guardrails": [{"metric": HOLDBACK_GUARDRAIL, "margin": HOLDBACK_MARGIN}],
        "planned_size": given.planned_size,
        "window_days": given.window_days,
    }


def _arm(name: str, model: str | None) -> dict[str, Any]:
    return {"name": name, **({"ranking": PERSONAL.name} if model is None else {"model": model})}


def candidate_of(experiment: Experiment) -> str:
    """Return the model that a trial or a holdback is about."""
    return str(experiment.definition.arms[1].model)


def is_retrained(candidate: Mapping[str, Any], serving: Mapping[str, Any]) -> bool:
    """Tell whether a model has the same features as another, by what both say of them."""
    return all(candidate.get(each) == serving.get(each) for each in ("format", "version", "names"))


def replaced_model(experiment: Experiment) -> str | None:
    """Return the model that a trial's candidate would replace; None for the personal order."""
    control: Arm = experiment.definition.arms[0]
    return control.model
