"""How notes get into a feed, in a sentence: on its tab, and where the feed is empty."""

from collections.abc import Mapping

from harken.domain.feeds import Condition, Feed, FeedFilter, FeedSource, Field, Operator, Source

_FILLED_BY: Mapping[str, str] = {
    "cosmos": "All notes, newest first: what you import, subscribe to or add over REST.",
    "coherent": (
        "Notes that say they lose little when they are restructured: a galois_loss of 0.2 or less."
    ),
    "contradictions": (
        "Notes that contradict another one: press c on a note and choose the other, or name it "
        "under contradicts in the front matter."
    ),
    "axioms": "Notes that say they belong to layer 1 or 2, the foundations.",
    "handwavy": "Notes of layer 3 that say they lose much: a galois_loss over 0.5.",
    "personal": (
        "All notes, those that you will probably like first: it learns from what you open, like "
        "and dismiss."
    ),
}
_EXAMPLES: Mapping[str, str] = {
    "coherent": "---\ngalois_loss: 0.1\n---",
    "contradictions": "---\ncontradicts: another-note\n---",
    "axioms": "---\nlayer: 1\n---",
    "handwavy": "---\nlayer: 3\ngalois_loss: 0.7\n---",
}
_OF_FIELD: Mapping[Field, str] = {
    Field.LAYER: "a layer", Field.LOSS: "a galois_loss", Field.CREATED: "a time",
    Field.KIND: "a kind", Field.AUTHOR: "an author", Field.TAG: "a tag",
    Field.PRINCIPLE: "a principle", Field.SOURCE: "a source",
}  # fmt: skip
_OPERATORS: Mapping[Operator, str] = {
    Operator.EQ: "of", Operator.CONTAINS: "of", Operator.LT: "below", Operator.GT: "over",
    Operator.BETWEEN: "between",
}  # fmt: skip


def filled_by(feed: Feed) -> str:
    """Return a sentence that says which notes a feed has, and how one gets there."""
    if feed.name in _FILLED_BY:
        return _FILLED_BY[feed.name]
    about = f"{feed.description[:1].upper()}{feed.description[1:]}".rstrip(".")
    sources = " or ".join(_source(each) for each in feed.sources)
    conditions = [_condition(each) for each in feed.conditions()]
    needed = f" and {', and '.join(conditions)}" if conditions else ""
    return (
        f"{about}: {sources}{needed}." if about else f"{sources[:1].upper()}{sources[1:]}{needed}."
    )


def example_for(feed: Feed) -> str:
    """Return the front matter by which a note gets into a default feed; empty if none is needed."""
    return _EXAMPLES.get(feed.name, "")


def _source(source: FeedSource) -> str:
    match source.kind:
        case Source.ALL:
            return "all notes"
        case Source.CONFLICTS:
            return "notes that contradict another one"
        case _:
            return f"notes with the {source.kind.value} {source.value}"


def _condition(condition: Condition) -> str:
    if not isinstance(condition, FeedFilter):
        return "chosen by a function of this program"
    value = condition.value
    if condition.field is Field.CREATED or condition.is_relative:
        return "from a certain time"
    values = value if isinstance(value, tuple) else (value,)
    what = " and ".join(f"{each:g}" if isinstance(each, float) else str(each) for each in values)
    return f"with {_OF_FIELD[condition.field]} {_OPERATORS[condition.operator]} {what}"
