"""Facts about the items of a page for one reader: who read them, and what the reader likes."""

from collections.abc import Mapping, Sequence

import numpy as np

from harken.domain.slates import Reference
from harken.services.feed.explanations.facts import Affinity, Facts, StatedInterest
from harken.services.index.index import Rows
from harken.services.personal.ordering import PersonalScorer
from harken.services.readers.co_engagement import ANYBODY
from harken.services.readers.item_attributes import NO_TEXT, Label

MICROS = 1_000_000


class ReaderFacts:
    """Collects facts of K-Blocks for the reader of a scorer, at its time."""

    def __init__(self, scorer: PersonalScorer) -> None:
        self._scorer = scorer
        self._affinities = scorer.affinities
        self._now = scorer.now / MICROS
        history = self._affinities.history(scorer.user_id)
        self._me = ANYBODY if history is None else history.number
        self._similar: frozenset[int] = frozenset()
        self._latest: int | None = None
        self._learned = scorer.learned()
        self._first: Sequence[float] = ()
        if history is not None and self._affinities.is_known(scorer.user_id):
            profile = self._affinities.profile(scorer.user_id, scorer.now)
            self._similar = frozenset(
                self._affinities.number(each.user_id) for each in profile.neighbours
            )
            self._latest = int(history.columns.places[-1])
            self._first = history.columns.first.tolist()

    @property
    def latest_text(self) -> int:
        """The key of the text of the reader's latest K-Block; -1 for none."""
        if self._latest is None:
            return NO_TEXT
        return int(self._affinities.attributes.texts(np.array([self._latest]))[0])

    def of(
        self, places: Rows, titles: Sequence[str | None], closest: Sequence[Reference | None],
        latest: str | None,
    ) -> list[Facts]:  # fmt: skip
        """Return the facts of K-Blocks; `latest` is the title of the reader's latest one."""
        attributes = self._affinities.attributes
        labels = attributes.labels(places)
        appeared = np.minimum(attributes.appeared(places), self._now).tolist()
        together = set(self._readers(self._latest)) if self._latest is not None else set()
        rows = zip(places.tolist(), titles, labels, appeared, closest, strict=True)
        return [
            self._facts(place, title, named, since, close_to, together, latest)
            for place, title, named, since, close_to in rows
        ]

    def _facts(
        self, place: int, title: str | None, labels: Sequence[Label], appeared: float,
        close_to: Reference | None, together: set[int], latest: str | None,
    ) -> Facts:  # fmt: skip
        readers = self._readers(place)
        return Facts(
            age=self._now - appeared,
            readers=tuple(readers.values()),
            is_full=len(readers) >= self._affinities.settings.recent_readers - 1,
            guest=self._guest(place),
            similar=tuple(age for each, age in readers.items() if each in self._similar),
            common=len(together & readers.keys()) if place != self._latest else 0,
            latest=latest,
            passed=sum(first > appeared for first in self._first),
            labels=self._by_kind(labels),
            stated=[
                StatedInterest(*each, self._scorer.stated[each])
                for each in labels if each in self._scorer.stated
            ],
            close_to=None if close_to is None else close_to.title,
            is_namesake=close_to is not None and close_to.title == title,
        )  # fmt: skip

    def _readers(self, place: int) -> dict[int, float]:
        """Return the other readers of a K-Block with a name, and how long ago each read it."""
        row = self._affinities.attributes.row(place)
        readers, last = self._affinities.recent_readers.named(row, self._me)
        ages = np.maximum(self._now - last, 0.0)
        return dict(zip(readers.tolist(), ages.tolist(), strict=True))

    def _guest(self, place: int) -> float | None:
        rows = np.array([self._affinities.attributes.row(place)])
        of_guests = self._affinities.recent_readers.who(rows)[0] == ANYBODY
        ages = self._affinities.recent_readers.ages(rows, self._now)[0][of_guests]
        return float(ages.min()) if len(ages) else None

    def _by_kind(self, labels: Sequence[Label]) -> Mapping[str, list[Affinity]]:
        found: dict[str, list[Affinity]] = {}
        for label in labels:
            known = self._learned.get(label.kind, {}).get(label.name, 0.0)
            found.setdefault(label.kind, []).append(Affinity(label.name, known))
        return found
