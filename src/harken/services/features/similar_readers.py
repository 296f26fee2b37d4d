"""Features of the readers of candidates: what they have in common with this reader.

`ReaderPairs` says of this reader and another one how many K-Blocks both touched (C), in how many
the other was ahead (A), and how many each touched (n). From these, another reader has

    a lift        ln of (C + 5 p) over (n + 5) p, where p is the share of all K-Blocks that this
                  reader touched: by how much it is more likely that this reader touches what the
                  other touched (naive Bayes, smoothed as by 5 K-Blocks)
    a similarity  the cosine: C over the root of (n + 5) (n of this reader + 5)
    a lead        A over n + 5

The features are sums, a mean and the largest of these over the readers of a candidate. Its *reach*
among similar readers is, of those who were active since it appeared, the share who came to it, each
weighed by one of these.
"""

from typing import Any, NamedTuple

import numpy as np

from harken.services.features.measures import PRIOR, decay_factors
from harken.services.features.names import CLOSEST, FADING
from harken.services.features.traces import Floats, Numbers
from harken.services.readers.co_engagement import ANYBODY, NOBODY, CandidateReaders
from harken.services.readers.reader_pairs import Pairs, ReaderPairs

_QUIET = 0.05
"""A share of the weight of all similar readers, as of active ones who did not come."""


class _Values(NamedTuple):
    """What other readers have, an entry for each of them."""

    lift: Floats
    similarity: Floats
    lead: Floats


def similar_readers(
    state: ReaderPairs, reader: int, candidate_readers: CandidateReaders, appeared: Floats,
    recent: float,
) -> dict[str, Any]:  # fmt: skip
    """Return the features by name, each by candidate.

    `appeared` is when candidates did, in seconds since 1970. Readers who came less than `recent`
    seconds ago came since this reader's last visit.
    """
    pairs, people = state.of(reader), candidate_readers.people
    entry = state.among(pairs, people)
    [own] = state.breadth(np.array([reader if reader > ANYBODY else NOBODY]))
    usual = PRIOR * (own + 1) / (state.kblocks + PRIOR)
    similar = _values(pairs, state.breadth(pairs.readers), own, usual)
    of_people = _values(_by_entry(pairs, entry), state.breadth(people), own, usual)
    found = _by_value(candidate_readers, of_people, recent)
    active = state.active(pairs.readers)
    order = np.argsort(-active, kind="stable")
    were_active = np.searchsorted(-active[order], -appeared, side="right")
    return found | _reach(candidate_readers, similar, entry, order, were_active)


def _by_entry(pairs: Pairs, entry: Numbers) -> Pairs:
    """Return pairs by other reader; `entry` is that of `ReaderPairs.among`, zeros where it is 0."""
    return Pairs(*(np.append(0, column)[entry] for column in pairs))


def _values(pairs: Pairs, breadth: Floats, own: float, usual: float) -> _Values:
    """Return the values of pairs; `breadth` is by pair, `usual` is the 5 p of a lift."""
    broad = breadth + PRIOR
    return _Values(
        np.log((pairs.common + usual) / (usual / PRIOR * broad)),
        pairs.common / np.sqrt(broad * (own + PRIOR)),
        pairs.ahead / broad,
    )


def _by_value(
    candidate_readers: CandidateReaders, values: _Values, recent: float
) -> dict[str, Any]:
    """Return the sums, the mean and the largest of values over the readers of candidates."""
    lift, similar, lead = (
        each.astype(np.float32).take(candidate_readers.person) for each in values
    )
    decay = decay_factors(candidate_readers.ages, FADING)
    lifts = candidate_readers.sum(lift)
    count = np.bincount(candidate_readers.at, minlength=candidate_readers.kblocks)
    return {
        "reader_lift_sum": lifts,
        "reader_lift_mean": lifts / np.maximum(count, 1),
        "reader_lift_best": candidate_readers.best(lift),
        "most_similar_reader": candidate_readers.best(similar),
        "similar_readers_2h": candidate_readers.sum(similar * decay["2h"]),
        "similar_readers_1d": candidate_readers.sum(similar * decay["1d"]),
        "similar_readers_since_last_visit": candidate_readers.sum(
            similar * (candidate_readers.ages < recent)
        ),
        "leaders_2h": candidate_readers.sum(lead * decay["2h"]),
        "leaders_1d": candidate_readers.sum(lead * decay["1d"]),
    }


def _reach(
    candidate_readers: CandidateReaders, similar: _Values, entry: Numbers, order: Numbers,
    were_active: Numbers,
) -> dict[str, Any]:  # fmt: skip
    """Return, of the similar readers who were active since candidates appeared, the share who came.

    `similar` are the values of the similar readers; `order` has the last active of them first;
    `were_active` is, by candidate, how many of these count. `entry` is that of `ReaderPairs.among`.
    """
    closest = np.zeros(len(order))
    closest[np.argsort(-similar.similarity, kind="stable")[:CLOSEST]] = 1.0
    weights = {
        "similar_reader_reach": similar.similarity,
        "reader_lift_reach": np.maximum(similar.lift, 0.0),
        "closest_reader_reach": closest,
    }
    found: dict[str, Any] = {}
    for name, weight in weights.items():
        total = np.append(0.0, np.cumsum(weight[order]))
        active = total[were_active]
        came = candidate_readers.sum_of_people(np.append(0.0, weight)[entry])
        found[name] = came / (active + _QUIET * total[-1] + 1e-3)
        if name == "reader_lift_reach":
            found["reader_lift_absent"] = (active - came) / (total[-1] + 1e-3)
    return found
