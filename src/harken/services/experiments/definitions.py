"""Definitions of experiments: what they compare, on whom, and by what.

A definition is checked as a whole, and each message names its field. What depends on the database,
such as whether a model exists, is checked by `service`.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from typing import Annotated, Any

from pydantic import Field, StrictBool, StrictInt, StrictStr

from harken.domain.declarations import FEED_ID
from harken.domain.exploration import CAPS, EXPLORATIONS
from harken.domain.feedback import KeptJSON
from harken.domain.feeds import LEARNED, RANKING_NAME, RANKINGS, Weighting, find_ranking
from harken.domain.fields import (
    WHOLE,
    Documented,
    Identifier,
    Label,
    Part,
    StrictText,
    Text,
    at_most,
    parse,
)
from harken.errors import InvalidInput, Problem
from harken.services.experiments.adaptive.versions import LEAST_SHARE, Allocations
from harken.services.experiments.assignment import SLOTS
from harken.services.experiments.metrics import CREDIT, RETURN_DAYS, Metric, find_metric

MOST_ARMS = 10
MOST_FEEDS = 20
MOST_GUARDRAILS = 10
MOST_WINDOW = 90
RANKING_LAYER = "ranking"
"""The layer of experiments with rankings, if the definition names no other."""
RESERVED = frozenset({"exposures"})
INTERLEAVED = "interleaved"
"""The arm of every unit of an interleaving: all see both sides."""


class Kind(StrEnum):
    """Kinds of experiments."""

    AB = "ab"
    INTERLEAVING = "interleaving"


class State(StrEnum):
    """States of an experiment, in their order."""

    DRAFT = "draft"
    RUNNING = "running"
    STOPPED = "stopped"
    DECIDED = "decided"


class Readers(StrEnum):
    """Who may come into an experiment."""

    ALL = "all"
    NAMED = "named"
    GUESTS = "guests"


Number = Annotated[float, Field(allow_inf_nan=False), Documented({"type": "number"})]
Whole = Annotated[StrictInt, WHOLE]


class Arm(Part):
    """One thing that is compared: a ranking with its settings, a model, or a value of a flag."""

    name: Label
    ranking: Annotated[StrictStr, RANKING_NAME] | None = None
    model: Identifier | None = Field(
        None, description="A model of the learned ranking, by its id; it need not be in service."
    )
    weights: Weighting | None = Field(None, description="With ranking=weighted.")
    half_life: StrictText | None = Field(None, description="With ranking=trending, such as 6h.")
    temperature: Number | None = None
    explore: Annotated[StrictStr, Documented({"enum": list(EXPLORATIONS)})] | None = None
    most_per_author: Whole | None = None
    most_per_tag: Whole | None = None
    most_per_source: Whole | None = None
    value: KeptJSON = Field(
        None,
        description="For a flag: what the product's code gets. Null stands for the arm's name.",
    )

    @property
    def orders(self) -> bool:
        """Whether the arm says how a feed is ordered."""
        return self.ranking is not None or self.model is not None

    @property
    def ranked_by(self) -> str:
        """The name of its ranking; a model is one of the learned ranking."""
        return LEARNED.name if self.ranking is None else self.ranking

    @property
    def settings(self) -> dict[str, Any]:
        """The settings of its ranking that are given."""
        names = ("weights", "half_life", "temperature", "explore", *CAPS)
        return {each: getattr(self, each) for each in names if getattr(self, each) is not None}


class Eligibility(Part):
    """Who may come into an experiment."""

    readers: Readers = Readers.ALL


class Guardrail(Part):
    """A metric that may not get worse by more than a margin, in the metric's own unit."""

    metric: StrictText
    margin: Annotated[Number, Field(ge=0)]


class Definition(Part):
    """The definition of an experiment."""

    id: Annotated[StrictStr, Documented({"pattern": f"^{FEED_ID.pattern}$"})]
    description: Annotated[Text, Field(max_length=500)] = ""
    kind: Kind = Kind.AB
    feeds: Annotated[tuple[StrictText, ...], Field(max_length=MOST_FEEDS), at_most(MOST_FEEDS)] = (
        Field((), description="The feeds whose rankings it compares; none for a flag.")
    )
    arms: Annotated[tuple[Arm, ...], Field(max_length=MOST_ARMS), at_most(MOST_ARMS)]
    allocation: Annotated[dict[str, Number], at_most(MOST_ARMS)] | None = Field(
        None, description="The share of each arm; they add up to 1. By default all are equal."
    )
    adaptive: StrictBool = Field(
        False,
        description="Give more readers to arms that are likely to be the best; changed at most "
        "daily. `allocation` is then that of the start.",
    )
    control: StrictText | None = Field(None, description="By default the first arm.")
    eligibility: Eligibility = Eligibility()
    metric: StrictText | None = Field(None, description="The primary metric: it alone decides.")
    guardrails: Annotated[
        tuple[Guardrail, ...], Field(max_length=MOST_GUARDRAILS), at_most(MOST_GUARDRAILS)
    ] = ()
    margin: Annotated[Number, Field(ge=0, le=1)] | None = Field(
        None,
        description="Interleaving: by how much credit the other arm may be worse and still be "
        "taken. Without it, it has to be better.",
    )
    layer: Label | None = Field(
        None, description="Experiments of one layer share no reader; each feed has one layer."
    )
    slots: tuple[Whole, Whole] = Field(
        (0, SLOTS - 1), description="The first and the last of its slots of the layer, 0 to 999."
    )
    planned_size: Annotated[Whole, Field(ge=2, le=1_000_000_000)] = Field(
        10_000, description="How many readers are planned; the intervals are narrowest there."
    )
    window_days: Annotated[Whole, Field(ge=1, le=MOST_WINDOW)] = Field(
        14, description="For how many days after the first exposure a reader is counted."
    )
    alpha: Annotated[Number, Field(ge=0.0001, le=0.5)] = Field(
        0.05, description="How often a difference may be claimed where there is none."
    )
    negligible: Annotated[Number, Field(gt=0)] | None = Field(
        None, description="A difference of the primary metric below which nobody would act."
    )
    salt: Annotated[Text, Field(min_length=1, max_length=128)] | None = Field(
        None, description="By default the id and the version, so that each version draws anew."
    )

    @property
    def is_flag(self) -> bool:
        """Whether it gives values to the product's own code, and orders no feed."""
        return not self.feeds

    @property
    def in_layer(self) -> str:
        """The layer whose slots it takes; a flag has its own unless it names one."""
        if self.layer is not None:
            return self.layer
        return f"flag {self.id}"[:64] if self.is_flag else RANKING_LAYER

    @property
    def shares(self) -> dict[str, float]:
        """The share of each arm, in the order of the arms."""
        if self.allocation is None:
            return {arm.name: 1 / len(self.arms) for arm in self.arms}
        return {arm.name: float(self.allocation.get(arm.name, 0.0)) for arm in self.arms}

    @property
    def compared_with(self) -> str:
        """The name of the control arm."""
        return self.arms[0].name if self.control is None else self.control

    @property
    def measured_by(self) -> Metric:
        """The primary metric."""
        if self.kind is Kind.INTERLEAVING:
            return CREDIT
        return find_metric("metric", str(self.metric))

    def arm(self, name: str) -> Arm | None:
        """Return an arm by its name; None if there is none."""
        return next((arm for arm in self.arms if arm.name == name), None)


@dataclass(frozen=True)
class Experiment:
    """One version of an experiment, with its state."""

    definition: Definition
    version: int
    state: State
    created_at: datetime
    started_at: datetime | None = None
    stopped_at: datetime | None = None
    stop_reason: str | None = None
    decided_at: datetime | None = None
    decision: Mapping[str, Any] | None = None
    allocations: Allocations | None = None
    """The versions of an adaptive allocation, once it was started."""

    @property
    def id(self) -> str:
        """The id of the experiment, which its versions share."""
        return self.definition.id

    @cached_property
    def salt(self) -> str:
        """The salt of its assignment."""
        return self.definition.salt or f"{self.id}:{self.version}"

    @cached_property
    def shares(self) -> dict[str, float]:
        """The share of each arm at the start, in the order of the arms."""
        return self.definition.shares

    @property
    def is_adaptive(self) -> bool:
        """Whether its allocation changes while it runs."""
        return self.definition.adaptive

    @property
    def lacks_allocation(self) -> bool:
        """Whether its allocation is adaptive and was started, and its versions are not known."""
        return self.is_adaptive and self.started_at is not None and self.allocations is None

    @property
    def name(self) -> str:
        """Its name in messages."""
        return f"{self.id}, version {self.version}"


def unreadable_allocation(experiment: Experiment) -> Problem:
    """Return the problem of an experiment that lacks its allocation."""
    return Problem("id", f"the allocation of {experiment.name} cannot be read; stop it")


def define(fields: Mapping[str, Any]) -> Definition:
    """Check the fields of a definition; raises InvalidInput with the problems found."""
    definition = parse(Definition, fields)
    if problems := list(_problems(definition)):
        raise InvalidInput(*problems)
    return definition


def _problems(given: Definition) -> Iterator[Problem]:
    if not FEED_ID.fullmatch(given.id):
        problem = "must be 1 to 64 letters, digits, '-', '_' and '.', a letter or digit first"
        yield Problem("id", problem)
    elif given.id in RESERVED:
        yield Problem("id", f"{given.id!r} is reserved; choose another name")
    yield from _problems_of_arms(given)
    yield from _problems_of_allocation(given)
    yield from _problems_of_adaptive(given)
    yield from _problems_of_slots(given)
    yield from _problems_of_metrics(given)
    if given.kind is Kind.INTERLEAVING:
        yield from _problems_of_interleaving(given)


def _problems_of_arms(given: Definition) -> Iterator[Problem]:
    names = [arm.name for arm in given.arms]
    if len(names) < 2:
        yield Problem("arms", "needs at least two arms, the control first")
    for name in {name for name in names if names.count(name) > 1}:
        yield Problem("arms", f"{name!r} is the name of two arms; each needs its own")
    if given.control is not None and given.control not in names:
        yield Problem("control", f"{given.control!r} is no arm; arms are {', '.join(names)}")
    for place, arm in enumerate(given.arms):
        for field, problem in _problems_of_arm(arm, is_flag=given.is_flag):
            yield Problem(f"arms.{place}{field}", problem)


def _problems_of_arm(arm: Arm, *, is_flag: bool) -> Iterator[tuple[str, str]]:
    if is_flag:
        if arm.orders or arm.settings:
            yield "", "orders a feed: name the feeds of the experiment in `feeds`"
        return
    if arm.value is not None:
        yield ".value", "is for flags, which have no feeds"
    if not arm.orders:
        yield ".ranking", f"is required; known are {', '.join(RANKINGS)}"
    elif arm.ranking is not None:
        yield from _problems_of_ranking(arm)


def _problems_of_ranking(arm: Arm) -> Iterator[tuple[str, str]]:
    try:
        ranking = find_ranking(str(arm.ranking))
    except InvalidInput as error:
        yield ".ranking", error.problems[0].message
        return
    if arm.model is not None and ranking is not LEARNED:
        yield ".model", f"goes with ranking={LEARNED.name} only, or without a ranking"


def _problems_of_allocation(given: Definition) -> Iterator[Problem]:
    if given.allocation is None:
        return
    names = [arm.name for arm in given.arms]
    for name, share in given.allocation.items():
        if name not in names:
            yield Problem("allocation", f"{name!r} is no arm; arms are {', '.join(names)}")
        elif not 0 < share < 1:
            yield Problem(f"allocation.{name}", "must be between 0 and 1, both excluded")
    if missing := [name for name in names if name not in given.allocation]:
        yield Problem("allocation", f"has no share for {', '.join(missing)}")
    total = math.fsum(given.allocation.values())
    if abs(total - 1) > 1e-9:
        yield Problem("allocation", f"adds up to {total:g}; the shares must add up to 1")


def _problems_of_adaptive(given: Definition) -> Iterator[Problem]:
    if not given.adaptive:
        return
    if given.kind is not Kind.AB:
        yield Problem("adaptive", "goes with kind=ab only: all readers see both sides")
    if len(given.arms) * LEAST_SHARE >= 1:
        most = math.ceil(1 / LEAST_SHARE) - 1
        yield Problem(
            "adaptive", f"goes with at most {most} arms, since each keeps {LEAST_SHARE:.0%}"
        )
    for name, share in (given.allocation or {}).items():
        if share < LEAST_SHARE:
            yield Problem(f"allocation.{name}", f"must be at least {LEAST_SHARE:g} with adaptive")


def _problems_of_slots(given: Definition) -> Iterator[Problem]:
    first, last = given.slots
    if not 0 <= first <= last < SLOTS:
        yield Problem("slots", f"must be a first and a last slot, from 0 to {SLOTS - 1}")


def _problems_of_metrics(given: Definition) -> Iterator[Problem]:
    is_ab = given.kind is Kind.AB
    named = [("metric", given.metric)] if is_ab or given.metric is not None else []
    if is_ab and given.metric is None:
        yield Problem("metric", "is required: the primary metric decides")
        named = []
    elif not is_ab and given.metric is not None:
        yield Problem("metric", "goes with kind=ab only: interleaving counts credits")
        named = []
    if is_ab and given.margin is not None:
        yield Problem("margin", "goes with kind=interleaving only: guardrails have their own")
    for place, guardrail in enumerate(given.guardrails):
        named.append((f"guardrails.{place}.metric", guardrail.metric))
    for field, name in named:
        try:
            metric = find_metric(field, str(name))
        except InvalidInput as error:
            yield error.problems[0]
            continue
        if metric.numerator == "returned" and given.window_days < RETURN_DAYS:
            yield Problem(
                field, f"needs a window_days of at least {RETURN_DAYS}, not {given.window_days}"
            )


def _problems_of_interleaving(given: Definition) -> Iterator[Problem]:
    if given.is_flag:
        yield Problem("feeds", "is required: interleaving shares the pages of feeds")
    if len(given.arms) != 2:
        yield Problem("arms", f"interleaving needs two arms, not {len(given.arms)}")
    if given.allocation is not None:
        yield Problem("allocation", "goes with kind=ab only: all readers see both sides")
    if given.guardrails:
        yield Problem("guardrails", "go with kind=ab only: all readers see both sides")
    drawn = {"temperature", "explore", *CAPS}
    for place, arm in enumerate(given.arms):
        for name in sorted(drawn & arm.settings.keys()):
            yield Problem(f"arms.{place}.{name}", "goes with kind=ab only")
