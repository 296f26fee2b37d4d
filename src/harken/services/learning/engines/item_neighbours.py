"""Item-to-item neighbours of a log by an engine: `ItemNeighbours`, without the log in memory.

The neighbours are those of `ItemNeighbours.fit` on the same interests. So that one reader's pairs
stay few, only the K-Blocks that each reader touched last are interests.
"""

from typing import Any, NamedTuple

import narwhals as nw
import numpy as np

from harken.domain.feedback import GUEST, FeedbackAction
from harken.services.learning.collaborative import Collaborative
from harken.services.learning.engines.log_relations import Frame
from harken.services.learning.engines.training_rows import Keep
from harken.services.learning.factor_candidates import MOST_ITEMS, WORTH
from harken.services.learning.neighbours import NEIGHBOURS, SHRINKAGE, ItemNeighbours
from harken.services.personal.sources import most_candidates


class NeighbourRelations(NamedTuple):
    """The neighbours of K-Blocks as relations.

    kblocks: `kblock`, those that have neighbours or may be neighbours
    nearest: `kblock`, `other`, `cosine`, and `place`: 1 for the nearest
    """

    kblocks: Frame
    nearest: Frame


def neighbour_relations(events: Frame, until: int, touches: int, keep: Keep) -> NeighbourRelations:
    """Return the neighbours of K-Blocks by events before a time (microseconds since 1970).

    Of each reader, the last `touches` K-Blocks count that they viewed or engaged with.
    """
    interests = keep(_last(_interests(events.filter(nw.col("at") < until)), touches))
    counts = interests.group_by("kblock").agg(
        readers=nw.len(), length=(nw.col("worth") * nw.col("worth")).sum().sqrt()
    )
    # One group: a cluster numbers K-Blocks on one machine, which are far fewer than events.
    all_of_them = counts.with_columns(group=nw.lit(1), fewest=-nw.col("readers").cast(nw.Int64))
    kblocks = keep(_first(all_of_them, "group", ("fewest", "kblock"), MOST_ITEMS))
    kept = keep(interests.join(kblocks.select("kblock", "length"), on="kblock"))
    others = kept.select(
        "reader", other=nw.col("kblock"), its_worth=nw.col("worth"), its_length=nw.col("length")
    )
    pairs = (
        kept.join(others, on="reader")
        .filter(nw.col("kblock") != nw.col("other"))
        .with_columns(product=nw.col("worth") * nw.col("its_worth"))
        .group_by("kblock", "other", "length", "its_length")
        .agg(shared=nw.col("product").sum())
    )
    cosine = nw.col("shared") / (nw.col("length") * nw.col("its_length") + SHRINKAGE)
    ranked = pairs.with_columns(cosine=cosine).with_columns(farthest=-nw.col("cosine"))
    nearest = _first(ranked, "kblock", ("farthest", "other"), NEIGHBOURS)
    return NeighbourRelations(
        kblocks.select("kblock"), nearest.select("kblock", "other", "cosine", "place")
    )


def _interests(events: Frame) -> Frame:
    """Return the greatest worth and the latest time of each reader with each K-Block."""
    worth = nw.when(nw.col("action") == FeedbackAction.ENGAGE.value)
    return (
        events.filter(nw.col("action").is_in([*map(str, WORTH)]))
        .filter(nw.col("reader") != GUEST)
        .with_columns(
            worth=worth.then(nw.lit(WORTH[FeedbackAction.ENGAGE])).otherwise(
                nw.lit(WORTH[FeedbackAction.VIEW])
            )
        )
        .group_by("reader", "kblock")
        .agg(worth=nw.col("worth").max(), at=nw.col("at").max())
    )


def _last(interests: Frame, touches: int) -> Frame:
    """Return the latest interests of each reader."""
    late = interests.with_columns(earlier=-nw.col("at"))
    return _first(late, "reader", ("earlier", "kblock"), touches).select(
        "reader", "kblock", "worth"
    )


def _first(frame: Frame, over: str, order: tuple[str, str], most: int) -> Frame:
    """Return the first rows of each group, with their `place` from 1."""
    place = nw.col(order[0]).cum_count().over(over, order_by=order).cast(nw.Int64)
    return frame.with_columns(place=place).filter(nw.col("place") <= most)


def model_of(kblocks: Any, nearest: Any, engine: str) -> Collaborative | None:
    """Return the model of neighbours from the rows of `NeighbourRelations`, tables of pyarrow.

    None if so few K-Blocks were touched that all are candidates.
    """
    import pyarrow as pa  # noqa: PLC0415 — comes with an extra
    import pyarrow.compute as pc  # noqa: PLC0415

    items = sorted(kblocks["kblock"].to_pylist())
    if len(items) <= most_candidates():
        return None
    number = pa.array(items, pa.string())
    rows, others = (
        pc.index_in(nearest[name].cast(pa.string()), value_set=number).to_numpy()
        for name in ("kblock", "other")
    )
    places = nearest["place"].to_numpy() - 1
    shape = len(items), min(NEIGHBOURS, len(items) - 1)
    found, cosines = np.zeros(shape, np.intp), np.zeros(shape, np.float32)
    found[rows, places] = others
    cosines[rows, places] = nearest["cosine"].to_numpy()
    return Collaborative(items, ItemNeighbours(found, cosines), {"engine": engine})
