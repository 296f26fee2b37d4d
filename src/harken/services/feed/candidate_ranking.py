"""Ranking candidates that the caller sends, in a temporary index."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from harken.domain.exploration import Variety
from harken.domain.feeds import FeedRanking, Weights
from harken.domain.slates import Contribution
from harken.services.feed.caches.catalogue import Candidates
from harken.services.feed.pagination import BY_TIME, NOTHING
from harken.services.index.diversity import arrange
from harken.services.index.exclusions import hidden_rows
from harken.services.index.index import Index
from harken.services.index.ordering import Reader, best, explain, less, scores
from harken.services.index.rows import UNKNOWN
from harken.services.personal import ordering
from harken.services.personal.ordering import PersonalScorer
from harken.services.record.readers import ReaderContext

NEVER_SHOWN: Mapping[str, float] = MappingProxyType({})


@dataclass(frozen=True)
class Ranked:
    """Candidates in their order, with the contribution of each signal to each of them.

    `unknown`, `dismissed` and `muted` have ids that are unknown here, or that were left out.
    """

    kblock_ids: list[str]
    explained: list[dict[str, Contribution]]
    attention_scores: list[float]
    unknown: list[str]
    dismissed: list[str]
    muted: list[str]
    request_id: str
    propensities: list[float] | None
    model: str | None = None
    fallback: str | None = None


def order_candidates(
    ids: Sequence[str], found: Candidates, context: ReaderContext, ranking: FeedRanking,
    weights: Weights,
    variety: Variety, reader: Reader, request_id: str, scorer: PersonalScorer | None = None,
    shown: Mapping[str, float] = NEVER_SHOWN,
) -> Ranked:  # fmt: skip
    """Rank candidates for a reader; `ids` has each of them once.

    An unknown candidate is ranked like an empty K-Block. Those that the reader dismissed or muted
    are left out. Ties stay in the caller's order. With a `scorer`, the order is by its scores.
    `shown` is how often each was shown.
    """
    visible = [each for each in ids if each not in found.hidden]
    index = Index(reader.now, found.half_lives)
    # Numbers count down, since the greater number comes first among ties.
    numbered = dict(zip(range(len(visible), 0, -1), visible, strict=True))
    index.put(
        [
            found.entries.get(each, UNKNOWN)._replace(number=number)
            for number, each in numbered.items()
        ]
    )
    muted = hidden_rows(index, NOTHING, context.muted)
    mask, count = less(np.ones(len(index), np.bool_), muted), len(index)
    if scorer is not None:
        rows = np.flatnonzero(mask)
        totals = scorer.totals(
            scorer.places([numbered[number] for number in index.number[rows].tolist()])
        )
        order = ordering.rank_rows(index, rows, totals)
        rows, scores_of = rows[order], totals[order]
    else:
        by_time = ranking.is_chronological
        rows = index.newest(mask, count) if by_time else best(index, weights, reader, mask, count)
        scores_of = scores(index, weights, reader, rows)
    counts = [shown.get(numbered[number], 0.0) for number in index.number[rows].tolist()]
    known = np.maximum(np.array(counts, np.float64), index.popularity[rows])
    served = arrange(rows, scores_of, variety, {}, shown=known)
    rows = served.numbers
    ids_in_order = [numbered[number] for number in index.number[rows].tolist()]
    return Ranked(
        ids_in_order,
        scorer.explain(scorer.places(ids_in_order))
        if scorer is not None
        else explain(index, weights or BY_TIME, reader, rows),
        index.attention[rows].tolist(),
        unknown=[each for each in visible if each not in found.entries],
        dismissed=[each for each in ids if each in found.hidden],
        muted=[] if muted is None else [numbered[each] for each in index.number[muted].tolist()],
        request_id=request_id,
        propensities=None if served.propensities is None else served.propensities.tolist(),
        model=None if scorer is None else scorer.settings.get("model"),
        fallback=None if scorer is None else scorer.fallback,
    )
