"""Feeds: which K-Blocks a feed contains, and how they are ranked.

Another default feed is one more entry of `DEFAULT_FEEDS`. Feeds that are declared as JSON are
parsed in `harken.domain.declarations`.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Annotated, Any

from pydantic import Strict

from harken.domain.fields import ID_LENGTH, Documented, at_most
from harken.errors import InvalidInput, Problem, close_to, quoted

RECENCY_HALF_LIFE = timedelta(days=7)
UNKNOWN_COHERENCE = 0.5
UNDECLARED_PRINCIPLES = 0.5
MAX_WEIGHT = 1_000_000


class Signal(StrEnum):
    """The signals of a score; all but popularity and trending are in [0, 1]."""

    ATTENTION = "attention"
    PRINCIPLES = "principles"
    RECENCY = "recency"
    COHERENCE = "coherence"
    POPULARITY = "popularity"
    TRENDING = "trending"


Weights = Mapping[Signal, float]

DEFAULT_WEIGHTS: Weights = MappingProxyType(
    {
        Signal.ATTENTION: 0.4,
        Signal.PRINCIPLES: 0.3,
        Signal.RECENCY: 0.2,
        Signal.COHERENCE: 0.1,
    }
)


# Trending only defines an order; it has no value that could be added to other signals.
ADDED = tuple(signal for signal in Signal if signal is not Signal.TRENDING)


Computed = Callable[[Any], Any]
"""Takes `harken.services.index.view.Columns`, and returns an array of the shape (rows,)."""


@dataclass(frozen=True)
class FeedRanking:
    """An order: by the weighted sum of signals; ties are ordered newest first.

    With empty `weights`, the order is newest first and the score is the recency. If `weights` is
    None, the weights of the request or the default ones are used. If `score` is given, it computes
    the score and the weights are ignored. A ranking with `is_personal` orders by the reader's
    affinities: see `harken.services.readers.affinities`. One with `is_learned` also uses the model
    in service, if there is one.
    """

    name: str
    description: str
    weights: Weights | None
    score: Computed | None = None
    is_personal: bool = False
    is_learned: bool = False

    @property
    def is_chronological(self) -> bool:
        """Whether the order is by time, so that no score is needed."""
        is_scored = self.weights is None or bool(self.weights) or self.score is not None
        return not is_scored and not self.is_personal

    @property
    def decays(self) -> bool:
        """Whether it uses decayed counts, and therefore a half-life."""
        return self.weights is not None and Signal.TRENDING in self.weights


CHRONOLOGICAL = FeedRanking("chronological", "newest first", {})
COHERENCE = FeedRanking("coherence", "least Galois loss first", {Signal.COHERENCE: 1.0})
PERSONAL = FeedRanking("personal", "what this reader would like most first", {}, is_personal=True)
LEARNED = FeedRanking(
    "learned", "what a model predicts this reader to choose first", {},
    is_personal=True, is_learned=True,
)  # fmt: skip
INCOHERENCE = FeedRanking("incoherence", "most Galois loss first", {Signal.COHERENCE: -1.0})

RANKINGS = {
    ranking.name: ranking
    for ranking in (
        CHRONOLOGICAL,
        FeedRanking("popularity", "most engagements and views first", {Signal.POPULARITY: 1.0}),
        COHERENCE,
        INCOHERENCE,
        FeedRanking(
            "principles", "most of the reader's principles first", {Signal.PRINCIPLES: 1.0}
        ),
        FeedRanking("attention", "highest attention score first", {Signal.ATTENTION: 1.0}),
        FeedRanking("trending", "most engagements and views lately first", {Signal.TRENDING: 1.0}),
        PERSONAL,
        LEARNED,
        FeedRanking("weighted", "highest weighted sum of the signals first", None),
    )
}


class Source(StrEnum):
    """Where a feed's K-Blocks come from."""

    ALL = "all"
    LAYER = "layer"
    AUTHOR = "author"
    TAG = "tag"
    SOURCE = "source"
    CONFLICTS = "conflicts"


@dataclass(frozen=True)
class FeedSource:
    """A set of K-Blocks: all, those of a layer, author, tag or source, or those in conflict.

    The value of a source is its key, see `harken.domain.stored_kblock.source_key`.
    """

    kind: Source = Source.ALL
    value: str | int | None = None


class Field(StrEnum):
    """What a filter looks at."""

    LAYER = "layer"
    LOSS = "galois_loss"
    CREATED = "created_at"
    KIND = "kind"
    AUTHOR = "author"
    TAG = "tag"
    PRINCIPLE = "principle"
    SOURCE = "source"


class Operator(StrEnum):
    """How a filter compares; `between` includes both ends.

    `contains` is for fields that have several labels, `eq` for those that have one.
    """

    EQ = "eq"
    LT = "lt"
    GT = "gt"
    BETWEEN = "between"
    CONTAINS = "contains"


@dataclass(frozen=True)
class FeedFilter:
    """A condition on one field. A K-Block whose field is unknown does not meet it.

    `declarations.OPERATORS` has the operators of each field, and `index/selection.py` compares.

    A time is given in microseconds since 1970, or as a timedelta before the feed's first page.
    """

    field: Field
    operator: Operator
    value: Any

    @property
    def is_relative(self) -> bool:
        """Whether its result depends on when the feed is read."""
        values = self.value if isinstance(self.value, tuple) else (self.value,)
        return any(isinstance(value, timedelta) for value in values)


Condition = FeedFilter | Computed


@dataclass(frozen=True)
class Feed:
    """A named feed: the union of its sources, restricted by its filters, and ranked.

    A filter may be a function that returns a mask. `weights` belong to the ranking `weighted`.
    """

    name: str
    description: str
    sources: tuple[FeedSource, ...] = (FeedSource(),)
    filters: tuple[Condition, ...] = ()
    max_loss: float | None = None
    ranking: FeedRanking = field(default=CHRONOLOGICAL)
    weights: Mapping[str, float] | None = None
    stored: bool = False  # declared by a user, who may change it at any time

    def conditions(self, max_loss: float | None = None) -> tuple[Condition, ...]:
        """Return its filters, with one for `max_loss` if it is given; raises InvalidInput."""
        most = self.max_loss if max_loss is None else max_loss
        if most is None:
            return self.filters
        if not 0 <= most <= 1:
            raise InvalidInput(Problem("max_loss", "must be a number from 0 to 1"))
        return (*self.filters, FeedFilter(Field.LOSS, Operator.BETWEEN, (0.0, most)))


COSMOS = "cosmos"
PERSONAL_FEED = Feed("personal", "what this reader would like most first", ranking=PERSONAL)

DEFAULT_FEEDS = {
    feed.name: feed
    for feed in (
        Feed(COSMOS, "everything, newest first"),
        Feed("coherent", "little is lost, least first", max_loss=0.2, ranking=COHERENCE),
        Feed(
            "contradictions",
            "in conflict with another, most loss first",
            sources=(FeedSource(Source.CONFLICTS),),
            ranking=INCOHERENCE,
        ),
        Feed(
            "axioms",
            "layers 1 and 2, most coherent first",
            sources=(FeedSource(Source.LAYER, 1), FeedSource(Source.LAYER, 2)),
            ranking=COHERENCE,
        ),
        Feed(
            "handwavy",
            "layer 3 with a loss over 0.5, newest first",
            sources=(FeedSource(Source.LAYER, 3),),
            filters=(FeedFilter(Field.LOSS, Operator.GT, 0.5),),
        ),
        PERSONAL_FEED,
    )
}


def _nothing(_columns: Any) -> Any:
    """Stand for what a feed holds for one reader; `services/feed/reading` has what it holds."""
    raise LookupError("what this feed holds depends on its reader")


SAVED = Feed(
    "saved", "what this reader saved for later, saved last first", filters=(_nothing,),
    ranking=FeedRanking("saved", "saved last first", {}, score=_nothing),
)  # fmt: skip
HISTORY = Feed(
    "history", "what this reader has read, read last first", filters=(_nothing,),
    ranking=FeedRanking("history", "read last first", {}, score=_nothing),
)  # fmt: skip
READER_FEEDS = {feed.name: feed for feed in (SAVED, HISTORY)}
"""Feeds of what each reader chose: neither what is muted nor what is read is hidden in them."""

LABEL_SOURCES = {source.value: source for source in (Source.TAG, Source.AUTHOR, Source.SOURCE)}


def label_feed(name: str) -> Feed | None:
    """Return the feed of a label, such as `tag:python`, `author:ada`, or `source:` and its key.

    None for other names.
    """
    kind, colon, label = name.partition(":")
    if not colon or kind not in LABEL_SOURCES or not label.strip() or len(name) > ID_LENGTH:
        return None
    return Feed(
        name, f"the {kind} {label}, newest first", (FeedSource(LABEL_SOURCES[kind], label),)
    )


def find_ranking(name: str) -> FeedRanking:
    """Return the ranking of a name; raises InvalidInput that lists the known names."""
    return RANKINGS[_known("ranking", name, RANKINGS)]


def weights_of(given: Mapping[str, float], default: Weights = DEFAULT_WEIGHTS) -> Weights:
    """Return the default weights, overridden by `given`; raises InvalidInput."""
    weights = dict(default)
    for name, weight in given.items():
        signal = Signal(_known("weights", name, [each.value for each in ADDED]))
        # With greater weights, a sum of popularities exceeds the digits of single precision.
        if isinstance(weight, bool) or not abs(weight) <= MAX_WEIGHT:
            raise InvalidInput(
                Problem(f"weights.{name}", f"must be a number from {-MAX_WEIGHT} to {MAX_WEIGHT}")
            )
        weights[signal] = float(weight)
    return weights


RANKING_NAME = Documented({"enum": list(RANKINGS)})

Weighting = Annotated[
    dict[str, Annotated[float, Strict()]],
    Documented(
        {
            "properties": {
                each.value: {"type": "number", "minimum": -MAX_WEIGHT, "maximum": MAX_WEIGHT}
                for each in ADDED
            },
            "additionalProperties": False,
        }
    ),
    at_most(len(Signal)),
]
"""Weights as an input; `weights_of` checks them."""


def parse_weights(text: str) -> dict[str, float]:
    """Parse weights such as `attention:0.5,recency:0.5`; raises InvalidInput."""
    weights = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, _, weight = part.partition(":")
        try:
            weights[name.strip()] = float(weight)
        except ValueError:
            raise InvalidInput(
                Problem("weights", f"{quoted(part)} is not of the form name:0.5,other:1")
            ) from None
    return weights


def _known(what: str, name: str, names: Iterable[str]) -> str:
    known = list(names)
    if name in known:
        return name
    hint = close_to(name, known)
    raise InvalidInput(
        Problem(what, f"{quoted(name)} is unknown; {hint}known are {', '.join(known)}")
    )
