"""What an off-policy evaluation says in a sentence."""

import pytest

from harken.services.evaluation.conclusion import conclusion
from harken.services.evaluation.intervals import Interval
from harken.services.evaluation.off_policy import Estimate, WeightDiagnostics

LOGGED = Estimate(0.2, Interval(0.15, 0.25))
FAIR = WeightDiagnostics(100.0, 2.0, Estimate(1.0, Interval(0.9, 1.1)))


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (0.26, 0.4, "the target is better: it would earn"),
        (0.05, 0.14, "the target is worse: it would earn"),
        (0.2, 0.3, "not known which is better"),
        (0.25, 0.4, "not known which is better"),
    ],
)
def test_better_worse_or_not_known(low, high, words):
    target = Estimate((low + high) / 2, Interval(low, high))
    said = conclusion(LOGGED, {"ips": LOGGED, "dr": target}, FAIR, "a row")
    assert words in said
    interval = f"(95 % interval {low:.5f} to {high:.5f})"
    assert f"{target.value:.5f} {interval} a row (doubly robust)" in said
    assert said.endswith(".")


def test_weights_that_do_not_add_up_say_nothing():
    wrong = WeightDiagnostics(100.0, 2.0, Estimate(0.5, Interval(0.4, 0.6)))
    said = conclusion(LOGGED, {"snips": LOGGED}, wrong, "a page")
    assert "says nothing of the target" in said
