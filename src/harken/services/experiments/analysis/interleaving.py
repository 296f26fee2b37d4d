"""Interleaving: whose items readers choose on pages that both rankings filled.

Credit per reader is (b − a) / (b + a) over credited acts (Chapelle, Joachims, Radlinski and Yue,
Large-scale validation and analysis of interleaved search evaluation, 2012). It tells whose items
are chosen on shared pages; only an A/B tells the size of a metric.
"""

from typing import NamedTuple

import numpy as np

from harken.services.experiments.analysis.moments import Floats


class CreditedActs(NamedTuple):
    """Counts of acts per reader (each array has the shape readers), by whose item it was.

    a is control, b the other arm.
    """

    engaged_a: Floats
    engaged_b: Floats
    dismissed_a: Floats
    dismissed_b: Floats


def credit(acts: CreditedActs) -> Floats:
    """Return each reader's credit, from −1 (control's items only) to 1; NaN without such acts.

    A dismissal credits the other side.
    """
    a = acts.engaged_a + acts.dismissed_b
    b = acts.engaged_b + acts.dismissed_a
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(a + b > 0, (b - a) / (a + b), np.nan)
