"""The attributes of K-Blocks that affinities use, in arrays with a place for each K-Block."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import repeat
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.intp]
Floats = NDArray[np.float64]

WIDTHS: Mapping[str, int] = MappingProxyType(
    {"tags": 8, "authors": 1, "principles": 8, "layers": 1, "folders": 1, "sources": 1}
)
"""So many labels of each kind are kept for a K-Block, the first ones."""

UNKNOWN = 0
"""The place of every K-Block that is unknown."""

NO_TEXT = -1
"""The key of the text of a K-Block that has none."""

LETTERS_PER_WORD = 6
"""Characters for an English word and the space after it."""

_FIRST = 64


class Label(NamedTuple):
    """One tag, author, principle, layer, folder or source."""

    kind: str
    name: str | int


class ItemAttributes:
    """The places of K-Blocks, and by place: the row of its readers, `appeared`, labels, words.

    `appeared` is the time of creation, else that of the first touch (seconds since 1970), else
    infinity. Labels are kept as numbers, 0 for none. The key of a text is that of `TextVectors`,
    `NO_TEXT` for none.
    """

    def __init__(self) -> None:
        self._places: dict[str, int] = {}
        self._names: list[Label] = [Label("", "")]
        self._numbers: dict[Label, int] = {}
        self._words: list[int | None] = [None]
        self._row = np.zeros(_FIRST, np.intp)
        self._appeared = np.full(_FIRST, np.inf)
        self._is_dated = np.zeros(_FIRST, np.bool_)
        self._labels = np.zeros((_FIRST, sum(WIDTHS.values())), np.int32)
        self._text = np.full(_FIRST, NO_TEXT)

    def place(self, kblock_id: str) -> int:
        """Return the place of a K-Block; a new one if it has none."""
        place = self._places.setdefault(kblock_id, len(self._places) + 1)
        if place == len(self._words):
            self._words.append(None)
            if place == len(self._row):
                self._grow()
        return place

    def places(self, kblock_ids: Iterable[str], count: int) -> Numbers:
        """Return the places of some K-Blocks, UNKNOWN for those that have none."""
        found = map(self._places.get, kblock_ids, repeat(UNKNOWN))
        return np.fromiter(found, np.intp, count)

    def _grow(self) -> None:
        size = len(self._row)
        self._row = np.concatenate([self._row, np.zeros(size, np.intp)])
        self._appeared = np.concatenate([self._appeared, np.full(size, np.inf)])
        self._is_dated = np.concatenate([self._is_dated, np.zeros(size, np.bool_)])
        self._labels = np.concatenate([self._labels, np.zeros_like(self._labels)])
        self._text = np.concatenate([self._text, np.full(size, NO_TEXT)])

    def describe(
        self,
        place: int,
        labels: Mapping[str, Sequence[str | int]],
        words: int | None,
        created: float | None,
        text: int = NO_TEXT,
    ) -> None:
        """Set the attributes of a K-Block; `created` is in seconds since 1970."""
        self._text[place] = text
        self._words[place] = words
        numbers: list[int] = []
        for kind, width in WIDTHS.items():
            known = [self._number(Label(kind, each)) for each in labels.get(kind, ())[:width]]
            numbers += known + [0] * (width - len(known))
        self._labels[place] = numbers
        if created is not None:
            self._appeared[place], self._is_dated[place] = created, True

    def _number(self, label: Label) -> int:
        number = self._numbers.get(label)
        if number is None:
            number = self._numbers[label] = len(self._names)
            self._names.append(label)
        return number

    def appear(self, place: int, at: float) -> None:
        """Record that a K-Block existed at a time (seconds since 1970)."""
        if not self._is_dated[place]:
            self._appeared[place] = min(self._appeared[place], at)

    def row(self, place: int) -> int:
        """Return the row of a K-Block in `RecentReaders`, 0 for none."""
        return int(self._row[place])

    def set_row(self, place: int, row: int) -> None:
        """Set the row of a K-Block in `RecentReaders`."""
        self._row[place] = row

    def texts(self, places: Numbers) -> Numbers:
        """Return the keys of the texts of K-Blocks, `NO_TEXT` for none."""
        keys: Numbers = self._text[places]
        return keys

    def words(self, place: int) -> int | None:
        """Return the number of words of a K-Block, None where it is unknown."""
        return self._words[place]

    def rows(self, places: Numbers) -> Numbers:
        """Return the rows of some places."""
        rows: Numbers = self._row[places]
        return rows

    def appeared(self, places: Numbers) -> Floats:
        """Return when K-Blocks appeared, in seconds since 1970."""
        appeared: Floats = self._appeared[places]
        return appeared

    # Labels

    def affinities(self, places: Numbers, worth: Floats, prior: float) -> tuple[Numbers, Floats]:
        """Return labels, and the affinity to each: net / (gross + prior) of the worths given.

        `places` and `worth` are by interaction. A label is repeated for each K-Block that has it,
        with the same affinity each time.
        """
        of_places = self._labels.take(places, axis=0)
        at = np.flatnonzero(of_places)
        labels = of_places.take(at).astype(np.intp)
        spread = worth[at // self._labels.shape[1]]
        net = np.bincount(labels, spread, len(self._names))[labels]
        gross = np.bincount(labels, np.abs(spread), len(self._names))[labels]
        affinities: Floats = net / (gross + prior)
        return labels, affinities

    def among(self, places: Numbers, others: Numbers) -> NDArray[np.bool_]:
        """Return, by place, whether it is among `others`."""
        flags = np.zeros(len(self._words), np.bool_)
        flags[others] = True
        flags[UNKNOWN] = False
        return flags[places]

    def labels(self, places: Numbers) -> list[list[Label]]:
        """Return the labels of each K-Block."""
        return [self.named(row[row > 0]) for row in self._labels[places]]

    def known(self, labels: Iterable[Label]) -> Numbers:
        """Return the numbers of some labels, 0 for one that no K-Block has."""
        return np.array([self._numbers.get(label, 0) for label in labels], np.intp)

    def named(self, labels: Numbers) -> list[Label]:
        """Return the labels with some numbers."""
        return [self._names[number] for number in labels.tolist()]

    def means(self, places: Numbers, labels: Numbers, affinities: Floats) -> dict[str, Floats]:
        """Return, by kind, the mean affinity to the labels of each K-Block; 0 without labels."""
        if not len(labels):
            return {kind: np.zeros(len(places)) for kind in WIDTHS}
        of_label = np.zeros(len(self._names))
        of_label[labels] = affinities
        of_places = self._labels[places]
        found, first = {}, 0
        for kind, width in WIDTHS.items():
            of_kind = of_places[:, first : first + width]
            count = np.count_nonzero(of_kind, axis=1)
            found[kind] = of_label[of_kind].sum(axis=1) / np.maximum(count, 1)
            first += width
        return found
