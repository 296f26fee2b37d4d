"""What an off-policy evaluation says, in one sentence."""

from collections.abc import Mapping

from harken.services.evaluation.off_policy import Estimate, WeightDiagnostics

PREFERRED = {"dr": "doubly robust", "rips": "RIPS", "snips": "SNIPS", "ips": "IPS"}
"""The estimators by which the sentence goes, the first that there is, with their names."""

SLACK = 1e-9


def conclusion(
    logged: Estimate,
    estimates: Mapping[str, Estimate],
    weighing: WeightDiagnostics,
    unit: str,
) -> str:
    """Return whether the target would earn more than the logged policy did; `unit` is "a row".

    It is better or worse only if the two 95 % intervals do not overlap. This is stricter than a
    test of the difference: the policies are estimated from the same rows, and their errors go
    together.
    """
    low, high = weighing.mean.interval
    if not low - SLACK <= 1 <= high + SLACK:
        return (
            "So this log says nothing of the target: the weights do not add up, see above. Correct "
            "the propensities first."
        )
    name = next(each for each in PREFERRED if each in estimates)
    target = estimates[name]
    would = f"would earn {_written(target)} {unit} ({PREFERRED[name]})"
    earned = f"the logged policy earned {_written(logged)}"
    if target.interval.low > logged.interval.high:
        return f"So the target is better: it {would}; {earned}."
    if target.interval.high < logged.interval.low:
        return f"So the target is worse: it {would}; {earned}."
    return (
        f"So it is not known which is better: the target {would}; {earned}. The intervals overlap."
    )


def _written(found: Estimate) -> str:
    low, high = found.interval
    return f"{found.value:.5f} (95 % interval {low:.5f} to {high:.5f})"
