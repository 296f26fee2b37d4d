"""Conversion of front matter to fields of a K-Block; invalid values are left out with a remark."""

import contextlib
import math
import re
import unicodedata
from collections.abc import Iterator
from datetime import datetime
from itertools import islice
from typing import Any, NamedTuple

from harken.domain.fields import ID_LENGTH
from harken.domain.kblock import LAYERS, MAX_EDGES, MAX_LABELS, MAX_LOSS, KBlock
from harken.errors import InvalidInput, Problem
from harken.services.kblocks.importers.date_spellings import is_template, read_date
from harken.services.kblocks.importers.front_matter import FrontMatter, plain_key

MAX_QUOTED = 100
MOST_REMARKS = 20
MAX_NESTED = 4
# In order of precedence: the first one that can be read is used.
TIME_KEYS = (
    "created", "createdat", "date", "firstseen", "datecreated", "createddate", "creationdate",
    "created::", "createdat::", "date::", "datecreated::", "publishdate", "published",
    "publishedat", "pubdate",
)  # fmt: skip
_WORDS = "must be a list of words, or words with commas between them"
_SPACED = ("tags", "categories")  # `tag` and `category` name one label, which may contain spaces
_EMPTY = ("", "~", "null")
_YES = ("true", "yes", "on", "1")
_NO = ("false", "no", "off", "0")
_WHOLE = re.compile(r"[+-]?\d{1,9}", re.ASCII)
_WIKILINK = re.compile(r"\[\[([^\[\]|#]++)[^\[\]]*+\]\]")  # possessive: in linear time
_LINK = re.compile(r"\[([^\[\]]+)\]\([^()\s]*\)")
_NAMES = ("name", "title", "display_name")
_MAX_ITEMS = 10_000  # a few nested YAML aliases can expand to a billion items


class NoteFields(NamedTuple):
    """Fields of a K-Block, values that need the whole vault, and remarks on invalid values."""

    fields: dict[str, Any]
    contradicts: list[str]
    created: datetime | None
    aliases: list[str]
    is_draft: bool
    remarks: list[Problem]


def read_note_fields(matter: FrontMatter) -> NoteFields:
    """Convert front matter; unknown keys are ignored. Never fails."""
    reader = _Reader(matter)
    fields = {
        "id": reader.id(),
        "title": reader.text("title"),
        "author": reader.author(),
        "tags": reader.labels("tags", "tag", "categories", "category"),
        "principles": reader.labels("principles"),
        "layer": reader.layer(),
        "galois_loss": reader.loss(),
    }
    return NoteFields(
        {key: value for key, value in fields.items() if value is not None and value != []},
        reader.contradicts(),
        reader.created(),
        list(reader.aliases()),
        reader.is_draft(),
        _some(reader.remarks),
    )


def one_line(text: str) -> str:
    """Return text on one line, without control characters and surrogates."""
    if not text.isprintable():
        text = "".join(
            each
            for each in text
            if each.isspace() or unicodedata.category(each) not in {"Cc", "Cs"}
        )
    return " ".join(text.split())


def distinct_labels(labels: list[str]) -> list[str]:
    """Return distinct labels, ignoring case; the first spelling is kept."""
    first: dict[str, str] = {}
    for label in labels:
        first.setdefault(label.casefold(), label)
    return list(first.values())


def _some(remarks: list[Problem]) -> list[Problem]:
    more = len(remarks) - MOST_REMARKS
    if more <= 0:
        return remarks
    return [*remarks[:MOST_REMARKS], Problem("front matter", f"has {more} more such values")]


class _Reader:
    """Reads the fields of one note, and collects remarks."""

    def __init__(self, matter: FrontMatter) -> None:
        self.remarks = list(matter.remarks)
        self._id = matter.values.get("id")  # only with this exact key, so that ids stay the same
        self._given: dict[str, tuple[str, Any]] = {}
        # Zola keeps tags and categories in a table of their own.
        nested = matter.values.get("taxonomies")
        inner = nested.items() if isinstance(nested, dict) else ()
        for key, value in (*matter.values.items(), *inner):
            if value is not None and not (isinstance(value, str) and value.strip() in _EMPTY):
                self._given.setdefault(plain_key(key), (key, value))

    def _remark(self, key: str, right: str, value: object, then: str = "") -> None:
        if isinstance(value, str) and is_template(value):
            right, then = "is a template that was not filled in", ""
            self.remarks.append(Problem(key[:60], f"{right}: {_described(value)}"))
            return
        after = f"; {then}" if then else ""
        self.remarks.append(Problem(key[:60], f"{right}, not {_described(value)}{after}"))

    def _cut(self, key: str, label: str) -> str:
        right = f"must have at most {ID_LENGTH} characters, and is cut: {_described(label)}"
        self.remarks.append(Problem(key[:60], right))
        return label[:ID_LENGTH].strip()

    def _many(self, key: str, items: int, most: int) -> None:
        right = f"has {items} items; the first {most} are kept"
        self.remarks.append(Problem(key[:60], right))

    def _scalar(self, key: str, right: str) -> str | None:
        """Return a value as one line of text; None if it is missing or not text."""
        name, value = self._given.get(key, (key, None))
        if value is None:
            return None
        if isinstance(value, list) and len(value) == 1:
            value = value[0]
        if isinstance(value, (list, dict)):
            self._remark(name, right, value)
            return None
        text = one_line(_text(value))
        if is_template(text):
            self._remark(name, right, text)
            return None
        return text or None

    def text(self, key: str) -> str | None:
        return self._scalar(key, "must be text")

    def id(self) -> str | None:
        value = self._id
        if value is None or value in _EMPTY:
            return None
        found: str | None = None
        text = " ".join(filter(None, _text(value).strip().split(" ")))
        with contextlib.suppress(InvalidInput):
            found = KBlock.parse({"id": text, "title": "-"}).id
        if found is None or found != one_line(found) or is_template(found):
            right = (
                f"must be text of at most {ID_LENGTH} characters, not . or .., and without control "
                "characters"
            )
            self._remark("id", right, value, "the note gets an id from its path")
            return None
        return found

    def author(self) -> str | None:
        for key in ("author", "authors", "by"):
            if key not in self._given:
                continue
            name, value = self._given[key]
            author = _person(value)
            if author is None:
                self._remark(name, "must be a name, or a list of names", value)
            elif len(author) > ID_LENGTH:
                return self._cut(name, author)
            elif author:
                return author
        return None

    def labels(self, *keys: str) -> list[str]:
        labels: list[str] = []
        for key in keys:
            if key in self._given:
                labels += self._labels_of(*self._given[key])
        found = distinct_labels(labels)
        if len(found) > MAX_LABELS:
            self._many(keys[0], len(found), MAX_LABELS)
        return found[:MAX_LABELS]

    def _labels_of(self, name: str, value: object) -> Iterator[str]:
        spaced = plain_key(name) in _SPACED
        items = _words(value, spaced=spaced) if isinstance(value, str) else _flat(value)
        for item in islice(items, _MAX_ITEMS):
            if isinstance(item, (dict, list)):
                self._remark(name, _WORDS, item)
                continue
            for word in _hashed(_text(item)):
                label = one_line(word.strip().lstrip("#"))
                if link := _WIKILINK.fullmatch(label):
                    label = link[1].strip()
                if len(label) > ID_LENGTH:
                    label = self._cut(name, label)
                if is_template(label):
                    self._remark(name, _WORDS, label)
                elif label and label not in _EMPTY:
                    yield label

    def layer(self) -> int | None:
        right = f"must be a whole number from {LAYERS[0]} to {LAYERS[1]}"
        text = self._scalar("layer", right)
        if text is None:
            return None
        if _WHOLE.fullmatch(text) and LAYERS[0] <= int(text) <= LAYERS[1]:
            return int(text)
        self._remark("layer", right, text)
        return None

    def loss(self) -> float | None:
        loss = self._number("galoisloss", MAX_LOSS, f"a number from 0 to {MAX_LOSS:.0f}")
        if loss is not None:
            return loss
        sure = self._number("confidence", 1, "a number from 0 to 1")
        return None if sure is None else 1 - sure

    def _number(self, key: str, most: float, what: str) -> float | None:
        text = self._scalar(key, f"must be {what}")
        if text is None:
            return None
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if 0 <= number <= most:
            return number
        self._remark(self._given[key][0], f"must be {what}", text)
        return None

    def contradicts(self) -> list[str]:
        name, value = self._given.get("contradicts", ("contradicts", []))
        names: list[str] = []
        for item in islice(_flat(value), _MAX_ITEMS):
            if isinstance(item, (dict, list)):
                self._remark(name, "must be one id, path or name of a note, or a list", item)
            elif found := one_line(_text(item)).removeprefix("[[").removesuffix("]]").strip():
                names.append(found)
        if len(names) > MAX_EDGES:
            self._many(name, len(names), MAX_EDGES)
        return names[:MAX_EDGES]

    def created(self) -> datetime | None:
        for key in TIME_KEYS:
            name, value = self._given.get(key, (key, None))
            if value is None or (key == "published" and _truth(value) is not None):
                continue
            try:
                return read_date(value)
            except ValueError as error:
                if not key.endswith("::"):  # prose may look like an inline property
                    self._remark(name, str(error), value)
        return None

    def aliases(self) -> Iterator[str]:
        for key in ("aliases", "alias"):
            value = self._given.get(key, (key, []))[1]
            for item in islice(_words(value) if isinstance(value, str) else _flat(value), 100):
                if isinstance(item, str) and (name := one_line(item)):
                    yield name

    def is_draft(self) -> bool:
        for key, draft in (("draft", True), ("published", False)):
            name, value = self._given.get(key, (key, None))
            truth = _truth(value)
            if truth is draft:
                return True
            if value is not None and truth is None and key == "draft":
                self._remark(name, "must be true or false", value)
        return False


def _described(value: object) -> str:
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    text = _text(value)
    return repr(text) if len(text) <= MAX_QUOTED else f"{text[:MAX_QUOTED]!r}…"


def _text(value: object) -> str:
    """Return a scalar as text; empty for a list or mapping, which aliases can make endless."""
    if isinstance(value, (list, dict)):
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    try:
        return "" if value is None else str(value)
    except ValueError:  # an integer of thousands of digits
        return ""


def _truth(value: object) -> bool | None:
    text = _text(value).strip().lower()
    return True if text in _YES else False if text in _NO else None


def _flat(value: object) -> Iterator[object]:
    """Yield the items of nested lists; mappings, and lists that are too deep, are not expanded."""
    stack = [iter([value])]
    steps = 0
    while stack and steps < 4 * _MAX_ITEMS:
        steps += 1
        item = next(stack[-1], _END)
        if item is _END:
            stack.pop()
        elif isinstance(item, list) and len(stack) <= MAX_NESTED:
            stack.append(iter(item))
        else:
            yield item


_END = object()


def _words(text: str, *, spaced: bool = False) -> list[str]:
    """Split text at commas; if it is `spaced` and has no comma, at spaces."""
    return text.split() if spaced and "," not in text else text.split(",")


def _hashed(text: str) -> list[str]:
    """Split `#a #b` at spaces; return any other text as one item."""
    return text.split() if text.lstrip().startswith("#") else [text]


def _person(value: object) -> str | None:
    """Return the first name in a value: text, a link, or a mapping with a name.

    Returns an empty text for an empty value, and None for a value without a name.
    """
    match value:
        case [[str(name)]]:  # a link that has no quotes is a list in a list
            value = f"[[{name}]]"
    for item in islice(_flat(value), _MAX_ITEMS):
        named = _named(item)
        if named is None:
            return None
        if named and named not in _EMPTY:
            return named
    return ""


def _named(item: object) -> str | None:
    if isinstance(item, dict):
        item = next((item[key] for key in _NAMES if isinstance(item.get(key), str)), [])
    if isinstance(item, list):
        return None
    text = one_line(_text(item))
    if is_template(text):
        return None
    if link := _WIKILINK.fullmatch(text):
        # The link may contain the folder of the person's page.
        return link[1].strip().rpartition("/")[2].removesuffix(".md")
    return link[1].strip() if (link := _LINK.fullmatch(text)) else text
