"""The reasons of an order by signals, such as the weighted one, from an index."""

from collections.abc import Mapping

import numpy as np

from harken.domain.feeds import Computed, Weights
from harken.domain.slates import Reason
from harken.services.feed.explanations.comparing import Candidates, Floats
from harken.services.feed.explanations.facts import Facts
from harken.services.feed.explanations.reasons import Part, reasons
from harken.services.index.index import Index, Rows
from harken.services.index.ordering import SHOWN, Reader
from harken.services.index.view import computed_scores

MICROS = 1_000_000


def reasons_by_signals(
    index: Index, weights: Weights, reader: Reader, rows: Rows, candidates: Rows
) -> list[list[Reason]]:
    """Return the reasons for the places of rows, which are among the candidates (ascending)."""
    values = {signal.value: SHOWN[signal](index, reader, candidates) for signal in weights}
    by_name = {signal.value: weight for signal, weight in weights.items()}
    return _reasons(index, reader, rows, candidates, values, by_name)


def reasons_by_function(
    index: Index, score: Computed, reader: Reader, rows: Rows, candidates: Rows
) -> list[list[Reason]]:
    """Return the reasons where a function computes the scores."""
    values = {"score": computed_scores(index, score)[candidates]}
    return _reasons(index, reader, rows, candidates, values, {"score": 1.0})


def _reasons(
    index: Index, reader: Reader, rows: Rows, candidates: Rows,
    values: Mapping[str, Floats], weights: Mapping[str, float],
) -> list[list[Reason]]:  # fmt: skip
    known = {name: Candidates(each) for name, each in values.items()}
    found = []
    for row, at in zip(rows.tolist(), np.searchsorted(candidates, rows).tolist(), strict=True):
        parts = []
        for name, of_all in values.items():
            value = float(of_all[at])
            weight, median = weights[name], known[name].median
            compared = known[name].compare(value)
            parts.append(Part(name, weight * value, weight * median, name, compared))
        found.append(reasons(parts, _facts(index, reader, row)))
    return found


def _facts(index: Index, reader: Reader, row: int) -> Facts:
    loss = float(index.loss[row])
    return Facts(
        age=max(reader.now - int(index.created[row]), 0) / MICROS,
        loss=None if np.isnan(loss) else loss,
        principles=len(reader.principles),
    )
