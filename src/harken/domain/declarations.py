"""Declarations of feeds as JSON: validation, and conversion to and from `Feed`."""

import json
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Strict, StrictStr, model_validator
from pydantic import Field as Described

from harken.domain.durations import parse_duration, write_duration
from harken.domain.feeds import (
    CHRONOLOGICAL,
    DEFAULT_FEEDS,
    RANKING_NAME,
    Feed,
    FeedFilter,
    FeedSource,
    Field,
    Operator,
    Source,
    Weighting,
    find_ranking,
    weights_of,
)
from harken.domain.fields import Part, StrictText, Text, at_most, check_label, parse
from harken.domain.kblock import LAYERS, MAX_LOSS
from harken.domain.times import from_micros, in_utc, micros
from harken.errors import InvalidInput, Problem, quoted

MOST_PARTS = 16
MOST_SPAN = timedelta(days=36_500)
# Paths under /feed that exist or may be added: a feed with such a name would hide them.
RESERVED = {
    "analytics", "config", "declaration", "dismissals", "feedback", "feeds", "history", "personal",
    "rank", "reads", "saved", "unread",
}  # fmt: skip

FEED_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)

_COMPARED = (Operator.LT, Operator.GT, Operator.BETWEEN)
OPERATORS: Mapping[Field, tuple[Operator, ...]] = {
    Field.LAYER: (Operator.EQ, *_COMPARED),
    Field.LOSS: (Operator.EQ, *_COMPARED),
    Field.CREATED: _COMPARED,
    Field.KIND: (Operator.EQ,),
    Field.AUTHOR: (Operator.EQ,),
    Field.TAG: (Operator.CONTAINS,),
    Field.PRINCIPLE: (Operator.CONTAINS,),
    Field.SOURCE: (Operator.EQ,),
}
ALIASES = {"loss": Field.LOSS, "time": Field.CREATED}


class DeclaredSource(Part):
    """Where a feed's K-Blocks come from."""

    kind: Source
    value: Any = Described(None, description="A layer, an author, a tag or the key of a source.")

    @model_validator(mode="after")
    def _check(self) -> "DeclaredSource":
        match self.kind:
            case Source.ALL | Source.CONFLICTS:
                if self.value is not None:
                    raise ValueError(f"value: must be left out for {self.kind}")
            case Source.LAYER:
                _layer(self.value)
            case _:
                _label(self.value)
        return self


class DeclaredFilter(Part):
    """A condition that K-Blocks have to meet."""

    field: StrictText
    operator: StrictText
    value: Any = Described(description="For between, a list of both ends, which are included.")

    @model_validator(mode="after")
    def _check(self) -> "DeclaredFilter":
        self.meaning()
        return self

    def meaning(self) -> FeedFilter:
        """Return the filter that this declares; raises ValueError."""
        field = ALIASES.get(self.field) or next((f for f in Field if f == self.field), None)
        if field is None:
            raise ValueError(
                f"field: {quoted(self.field)} is unknown; known are {', '.join(Field)}"
            )
        if self.operator not in OPERATORS[field]:
            raise ValueError(
                f"operator: {field} allows {', '.join(OPERATORS[field])}, "
                f"not {quoted(self.operator)}"
            )
        operator, read = Operator(self.operator), _READ[field]
        if operator is not Operator.BETWEEN:
            return FeedFilter(field, operator, read(self.value))
        if not isinstance(self.value, list | tuple) or len(self.value) != 2:
            raise ValueError("value: between takes a list of two, such as [1, 3]")
        least, most = (read(each) for each in self.value)
        if _is_upside_down(least, most):
            raise ValueError("value: the first of the two must not be greater than the second")
        return FeedFilter(field, operator, (least, most))


def _some(sources: tuple[DeclaredSource, ...]) -> tuple[DeclaredSource, ...]:
    if not sources:
        raise ValueError("must not be empty; leave it out for a feed of all K-Blocks")
    return sources


class Declaration(BaseModel):
    """The declaration of a feed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    description: Annotated[Text, Described(max_length=500)] = ""
    sources: Annotated[
        tuple[DeclaredSource, ...],
        Described(max_length=MOST_PARTS),
        AfterValidator(_some),
        at_most(MOST_PARTS),
    ] = (DeclaredSource(kind=Source.ALL),)
    filters: Annotated[
        tuple[DeclaredFilter, ...], Described(max_length=MOST_PARTS), at_most(MOST_PARTS)
    ] = ()
    max_loss: Annotated[float, Strict(), Described(ge=0, le=1, allow_inf_nan=False)] | None = (
        Described(None, description="The greatest Galois loss; a request may override it.")
    )
    ranking: Annotated[StrictStr, RANKING_NAME] = CHRONOLOGICAL.name
    weights: Weighting | None = Described(None, description="With ranking=weighted.")


def check_feed_id(feed_id: str) -> None:
    """Raise InvalidInput if a declared feed cannot have this id."""
    if not FEED_ID.fullmatch(feed_id):
        problem = "must be 1 to 64 letters, digits, '-', '_' and '.', a letter or digit first"
    elif feed_id in DEFAULT_FEEDS:
        problem = f"{feed_id!r} is a default feed of Harken; choose another name"
    elif feed_id in RESERVED:
        problem = f"{feed_id!r} is reserved; choose another name"
    else:
        return
    raise InvalidInput(Problem("id", problem))


def declare(feed_id: str, fields: Mapping[str, Any]) -> Feed:
    """Make a feed from its declaration; raises InvalidInput with every problem found."""
    declared = parse(Declaration, fields)
    ranking = find_ranking(declared.ranking)
    if declared.weights is not None:
        if ranking.weights is not None:
            raise InvalidInput(Problem("weights", "go with ranking=weighted only"))
        weights_of(declared.weights)
    return Feed(
        feed_id,
        declared.description,
        sources=tuple(FeedSource(each.kind, each.value) for each in declared.sources),
        filters=tuple(each.meaning() for each in declared.filters),
        max_loss=declared.max_loss,
        ranking=ranking,
        weights=declared.weights,
        stored=True,
    )


@lru_cache(maxsize=256)
def declared(feed_id: str, text: str) -> Feed:
    """Make a feed from its declaration as JSON text, cached."""
    return declare(feed_id, json.loads(text))


def declaration(feed: Feed) -> dict[str, Any]:
    """Return the declaration of a feed as JSON values; a function is represented by its name."""
    found: dict[str, Any] = {
        "description": feed.description,
        "sources": [
            {"kind": source.kind.value} | ({} if source.value is None else {"value": source.value})
            for source in feed.sources
        ],
        "filters": [_declared_filter(each) for each in feed.filters],
        "max_loss": feed.max_loss,
        "ranking": feed.ranking.name,
        "weights": None if feed.weights is None else dict(feed.weights),
    }
    return found


def _declared_filter(condition: Any) -> dict[str, Any]:
    if not isinstance(condition, FeedFilter):
        return {"function": getattr(condition, "__name__", type(condition).__name__)}
    value = condition.value
    if condition.field is Field.CREATED:
        value = (
            [_moment_text(v) for v in value] if isinstance(value, tuple) else _moment_text(value)
        )
    return {
        "field": condition.field.value,
        "operator": condition.operator.value,
        "value": list(value) if isinstance(value, tuple) else value,
    }


def _layer(value: Any) -> int:
    least, most = LAYERS
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise ValueError(f"value: a layer must be a whole number from {least} to {most}")
    return value


def _loss(value: Any) -> float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not 0 <= value <= MAX_LOSS:
        raise ValueError(f"value: a loss must be a number from 0 to {MAX_LOSS:.0f}")
    return float(value)


def _label(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("value: must be a text")  # noqa: TRY004 — what pydantic understands
    try:
        check_label("value", value)
    except InvalidInput as error:
        raise ValueError(str(error)) from None
    return value


def _moment(value: Any) -> int | timedelta:
    """Parse a time as microseconds since 1970, or as a duration before the first page."""
    if isinstance(value, str):
        with suppress(InvalidInput):
            if (span := parse_duration("value", value)) <= MOST_SPAN:
                return span
        with suppress(ValueError):
            at = datetime.fromisoformat(value)
            if at.tzinfo is not None:
                return micros(in_utc(at))
    raise ValueError(
        "value: must be a time with its offset from UTC, such as 2025-12-25T10:30:00Z, in the "
        "years 1000 to 2999; or a duration before the first page, such as 30min, 12h, 7d or 4w, "
        f"of at most {MOST_SPAN.days} days"
    )


def _moment_text(moment: int | timedelta) -> str:
    if isinstance(moment, timedelta):
        return write_duration(moment)
    return from_micros(moment).isoformat().replace("+00:00", "Z")


def _is_upside_down(least: Any, most: Any) -> bool:
    if isinstance(least, timedelta) != isinstance(most, timedelta):
        return False  # a time and a duration: which is earlier depends on when the feed is read
    return bool(most > least if isinstance(least, timedelta) else least > most)


_READ: Mapping[Field, Callable[[Any], Any]] = {
    Field.LAYER: _layer,
    Field.LOSS: _loss,
    Field.CREATED: _moment,
    Field.KIND: _label,
    Field.AUTHOR: _label,
    Field.TAG: _label,
    Field.PRINCIPLE: _label,
    Field.SOURCE: _label,
}
