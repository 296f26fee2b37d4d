"""JSON forms of experiments; REST and the command line share them."""

from datetime import datetime
from typing import Any

from harken.services.experiments.definitions import Experiment
from harken.services.experiments.flags import Evaluation


def experiment(found: Experiment) -> dict[str, Any]:
    """Return the JSON form of one version of an experiment, with all that assigns units to arms."""
    given = found.definition
    return {
        "id": found.id,
        "version": found.version,
        "state": found.state.value,
        "kind": given.kind.value,
        "description": given.description,
        "feeds": list(given.feeds),
        "arms": [arm.model_dump(mode="json", exclude_unset=True) for arm in given.arms],
        "control": given.compared_with,
        "allocation": found.shares,
        "adaptive": found.is_adaptive,
        "allocations": [] if found.allocations is None else found.allocations.as_json(),
        "eligibility": given.eligibility.model_dump(mode="json"),
        "metric": given.measured_by.name,
        "guardrails": [each.model_dump(mode="json") for each in given.guardrails],
        "layer": given.in_layer,
        "slots": list(given.slots),
        "planned_size": given.planned_size,
        "window_days": given.window_days,
        "alpha": given.alpha,
        "negligible": given.negligible,
        "salt": found.salt,
        "created_at": _utc(found.created_at),
        "started_at": _utc(found.started_at),
        "stopped_at": _utc(found.stopped_at),
        "stop_reason": found.stop_reason,
        "decided_at": _utc(found.decided_at),
        "decision": None if found.decision is None else dict(found.decision),
    }


def evaluation(found: Evaluation) -> dict[str, Any]:
    """Return the JSON form of an evaluated flag, as OpenFeature's remote evaluation has it."""
    content: dict[str, Any] = {
        "key": found.experiment.id,
        "value": found.value,
        "reason": found.reason,
        "metadata": {"version": found.experiment.version},
    }
    if found.arm is not None:
        content["variant"] = found.arm
        known = {"propensity": found.propensity, "allocation": found.allocation}
        noted = {name: each for name, each in known.items() if each is not None}
        content["metadata"] |= noted | ({"forced": True} if found.is_forced else {})
    return content


def _utc(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat().replace("+00:00", "Z")
