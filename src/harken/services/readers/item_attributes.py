"""What K-Blocks are, as far as tastes go by it: in arrays, a place for each K-Block."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import repeat
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.intp]
Floats = NDArray[np.float64]

WIDTHS: Mapping[str, int] = MappingProxyType(
    {"tags": 8, "authors": 1, "principles": 8, "layers": 1}
)
"""How many labels of each kind count; of more, the first ones."""

UNKNOWN = 0
"""The place of every K-Block of which nothing is known."""

LETTERS_PER_WORD = 6
"""An English word with what separates it, in characters."""

_FIRST = 64


class Label(NamedTuple):
    """One tag, author, principle or layer."""

    kind: str
    name: str | int


class ItemAttributes:
    """Places of K-Blocks, and by place: `row` of those who touched it, `appeared`, labels.

    `appeared` (seconds) is when it was made, else first touched; infinite where neither is known.
    Labels are numbers, 0 for none.
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

    def place(self, kblock_id: str) -> int:
        """Return the place of a K-Block, made now if it has none."""
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

    def describe(
        self,
        place: int,
        labels: Mapping[str, Sequence[str | int]],
        words: int | None,
        created: float | None,
    ) -> None:
        """Say what a K-Block is; `created` in seconds."""
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
        """Note that a K-Block was there at a time (seconds)."""
        if not self._is_dated[place]:
            self._appeared[place] = min(self._appeared[place], at)

    def row(self, place: int) -> int:
        """Return the row of those who touched it, 0 where there is none."""
        return int(self._row[place])

    def set_row(self, place: int, row: int) -> None:
        """Set it."""
        self._row[place] = row

    def words(self, place: int) -> int | None:
        """Return how many words it has, if that is known."""
        return self._words[place]

    def rows(self, places: Numbers) -> Numbers:
        """Return the rows of some places."""
        rows: Numbers = self._row[places]
        return rows

    def appeared(self, places: Numbers) -> Floats:
        """Return since when there are K-Blocks, in seconds."""
        appeared: Floats = self._appeared[places]
        return appeared

    # Labels

    def affinities(self, places: Numbers, worth: Floats, prior: float) -> tuple[Numbers, Floats]:
        """Return labels, and net / (gross + prior) of what interactions are worth for each.

        A label comes as often as it was met, with the same affinity each time.
        """
        labels = self._labels[places].ravel()
        spread = np.repeat(worth, self._labels.shape[1])
        net = np.bincount(labels, spread, len(self._names))[labels]
        gross = np.bincount(labels, np.abs(spread), len(self._names))[labels]
        is_label = labels > 0
        affinities: Floats = (net / (gross + prior))[is_label]
        return labels[is_label].astype(np.intp), affinities

    def among(self, places: Numbers, others: Numbers) -> NDArray[np.bool_]:
        """Tell which of some places are among others."""
        flags = np.zeros(len(self._words), np.bool_)
        flags[others] = True
        flags[UNKNOWN] = False
        return flags[places]

    def named(self, labels: Numbers) -> list[Label]:
        """Return what some labels are."""
        return [self._names[number] for number in labels.tolist()]

    def means(self, places: Numbers, labels: Numbers, affinities: Floats) -> dict[str, Floats]:
        """Return for each kind the mean affinity to the labels of some K-Blocks, 0 for none."""
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
