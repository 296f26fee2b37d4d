"""A provider for OpenFeature's Python SDK that evaluates flags in this process, without a network.

It needs the extra `flags`. The experiments are those of `GET /api/experiments?state=running`, or of
`FeedService.experiments.running`. The targeting key is the reader's id; with `guest=True` among the
attributes it is a guest's session. Testers name an arm in the attribute `arm`, as
`<experiment>:<arm>`. Exposures are for the caller to record, those of testers as `forced`.

An adaptive experiment is an error here, and the code gets its default: a unit keeps the arm of its
first exposure, and only the service knows which one that was.

    api.set_provider(HarkenProvider.of(answer["experiments"]))
    client.get_boolean_value("large-cards", False, EvaluationContext(targeting_key="ada"))
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

from harken.domain.fields import is_identifier
from harken.errors import InvalidInput, MissingExtra
from harken.services.experiments.definitions import (
    Definition,
    Experiment,
    Kind,
    State,
    define,
)
from harken.services.experiments.flags import Evaluation, evaluate

try:
    from openfeature.evaluation_context import EvaluationContext
    from openfeature.exception import (
        FlagNotFoundError,
        GeneralError,
        InvalidContextError,
        TargetingKeyMissingError,
        TypeMismatchError,
    )
    from openfeature.flag_evaluation import FlagResolutionDetails
    from openfeature.provider import AbstractProvider, Metadata
except ModuleNotFoundError as error:
    raise MissingExtra("the OpenFeature provider", "flags") from error

V = TypeVar("V")
_ONLY_AB = ("metric", "allocation", "guardrails")


def running_from(listed: Iterable[Mapping[str, Any]]) -> list[Experiment]:
    """Return the running experiments of an answer of `GET /api/experiments`.

    Raises InvalidInput for one that cannot be read.
    """
    return [_read(each) for each in listed if each.get("state") == State.RUNNING.value]


def _read(given: Mapping[str, Any]) -> Experiment:
    fields = {
        name: given[name]
        for name in Definition.model_fields
        if name in given and not (given.get("kind") == Kind.INTERLEAVING and name in _ONLY_AB)
    }
    at = datetime.fromisoformat(str(given["created_at"])).astimezone(UTC)
    return Experiment(define(fields), int(given["version"]), State.RUNNING, at)


class HarkenProvider(AbstractProvider):
    """Evaluates experiments that it was given; `experiments` may be replaced at any time."""

    def __init__(self, experiments: Iterable[Experiment]) -> None:
        super().__init__()
        self.replace(experiments)

    @classmethod
    def of(cls, listed: Iterable[Mapping[str, Any]]) -> "HarkenProvider":
        """Return a provider of the experiments of an answer of `GET /api/experiments`.

        Raises InvalidInput for one that cannot be read.
        """
        return cls(running_from(listed))

    def replace(self, experiments: Iterable[Experiment]) -> None:
        """Evaluate these experiments from now on."""
        self._experiments = {each.id: each for each in experiments}

    def get_metadata(self) -> Metadata:
        """Return the provider's name."""
        return Metadata(name="Harken")

    def resolve_boolean_details(
        self, flag_key: str, default_value: bool,  # noqa: ARG002, FBT001 — the SDK's signature
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[bool]:  # fmt: skip
        """Return the value of an arm that is true or false."""
        return self._resolved(flag_key, evaluation_context, lambda value: isinstance(value, bool))

    def resolve_string_details(
        self, flag_key: str, default_value: str,  # noqa: ARG002 — the SDK's signature
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[str]:  # fmt: skip
        """Return the value of an arm that is text; without a value it is the arm's name."""
        return self._resolved(flag_key, evaluation_context, lambda value: isinstance(value, str))

    def resolve_integer_details(
        self, flag_key: str, default_value: int,  # noqa: ARG002 — the SDK's signature
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[int]:  # fmt: skip
        """Return the value of an arm that is a whole number."""
        return self._resolved(flag_key, evaluation_context, lambda value: _is_number(value, int))

    def resolve_float_details(
        self, flag_key: str, default_value: float,  # noqa: ARG002 — the SDK's signature
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[float]:  # fmt: skip
        """Return the value of an arm that is a number."""
        found = self._resolved(
            flag_key, evaluation_context, lambda value: _is_number(value, (int, float))
        )
        found.value = float(found.value)  # JSON writes 2.0 as 2
        return found

    def resolve_object_details(
        self, flag_key: str, default_value: Sequence[Any] | Mapping[str, Any],  # noqa: ARG002 — the SDK's signature
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[Any]:  # fmt: skip
        """Return the value of an arm that is an object or a list."""
        return self._resolved(
            flag_key, evaluation_context, lambda value: isinstance(value, dict | list)
        )

    def _resolved(
        self, key: str, context: EvaluationContext | None, fits: Callable[[Any], bool]
    ) -> FlagResolutionDetails[Any]:
        experiment = self._experiments.get(key)
        if experiment is None:
            raise FlagNotFoundError(f"no experiment {key!r} runs")
        unit, is_guest = _unit(context)
        found = _evaluated(experiment, unit, context, is_guest=is_guest)
        if not fits(found.value):
            raise TypeMismatchError(f"the value of {key!r} is {found.value!r}")
        metadata: dict[str, bool | int | float | str] = {"version": experiment.version}
        if found.propensity is not None:
            metadata["propensity"] = found.propensity
        if found.is_forced:
            metadata["forced"] = True
        return FlagResolutionDetails(
            found.value, reason=found.reason, variant=found.arm, flag_metadata=metadata
        )


def _evaluated(
    experiment: Experiment, unit: str, context: EvaluationContext | None, *, is_guest: bool
) -> Evaluation:
    forced = None if context is None else context.attributes.get("arm")
    if not (forced is None or isinstance(forced, str)):
        raise InvalidContextError("arm: must be text")
    try:
        return evaluate(experiment, unit, is_guest=is_guest, forced=forced)
    except InvalidInput as error:
        if error.problems[0].field == "arm":
            raise InvalidContextError(str(error)) from None
        raise GeneralError(str(error)) from None


def _unit(context: EvaluationContext | None) -> tuple[str, bool]:
    """Return the unit of a context, and whether it is a guest's session."""
    unit = None if context is None else context.targeting_key
    if context is None or not unit:
        raise TargetingKeyMissingError("the targeting key is the reader's id")
    if not is_identifier(unit):
        raise InvalidContextError("the targeting key must be 1 to 64 characters of text")
    return unit, context.attributes.get("guest") is True


def _is_number(value: Any, kinds: type | tuple[type, ...]) -> bool:
    return isinstance(value, kinds) and not isinstance(value, bool)
