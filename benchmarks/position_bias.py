"""Whether position as a feature makes a model rank closer to the readers' true interests.

    python -m benchmarks.position_bias
    python -m benchmarks.position_bias --eta 1 --seeds 30

Simulated readers look at the item at position k with the probability 1 / (1 + k)^eta, and click it
if it is of interest to them; the interest is known (`harken.services.simulation`). Pages are
ordered by earlier clicks with some randomness, so position and popularity are confounded. Models
are trained on each log without its last week:

    with        on the slates, with position as a feature
    without     on the same slates, without position
    replay      on the same log without slates: impressions, and sampled candidates

In the last week the models rank, once a day, all K-Blocks that are new to a reader. The metric is
NDCG@10 by the true interest at the time. Differences are paired by seed, with bootstrap intervals
over seeds.
"""

import argparse
import json
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from tests.support.biased_slates import Size, draw, examples_before, true_ndcg

from harken.services.evaluation.intervals import bootstrap, interval
from harken.services.learning.ranker import Model, RankerSettings, train

DAYS = 7
FEWEST = 300
"""Fewer than the default, since otherwise `replay` would have too few impressions to train."""


def main() -> int:
    options = _parse()
    runs = []
    for eta in options.eta:
        for seed in range(options.seeds):
            began = time.process_time()
            runs.append(measure(seed, eta, Size(readers=options.readers, days=options.days)))
            took = time.process_time() - began
            sys.stderr.write(f"{runs[-1]} ({took:.0f} s)\n")
    sys.stdout.write(_table(runs))
    if options.json:
        options.json.write_text(json.dumps(runs, indent=2))
    return 0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.position_bias",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--eta", type=float, nargs="+", default=[0.0, 0.5, 1.0])
    parser.add_argument("--seeds", type=int, default=15)
    parser.add_argument("--readers", type=int, default=60)
    parser.add_argument("--days", type=int, default=42)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every run")
    return parser.parse_args()


def measure(seed: int, eta: float, size: Size) -> dict[str, Any]:
    """Train on one log in each of the three ways, and measure the models."""
    biased = draw(seed, eta, size)
    examples, cut = examples_before(biased, DAYS)
    events = [event._replace(request_id=None) for event in biased.log.events]
    unknown = biased._replace(log=replace(biased.log, events=events, slates=()))
    impressions, _ = examples_before(unknown, DAYS)
    settings = RankerSettings(fewest=FEWEST, base_below=0)
    trained = {
        "with": train(examples, settings),
        "without": train(examples, replace(settings, position=False)),
        "replay": train(impressions, settings),
    }
    models: dict[str, Model] = {name: model for name, model in trained.items() if model}
    return {
        "eta": eta,
        "seed": seed,
        "slates": len(examples),
        "impressions": len(impressions),
        "trees": {name: model.metadata["trees"] for name, model in models.items()},
        "ndcg": {
            name: round(float(values.mean()), 5)
            for name, values in true_ndcg(biased, models, cut).items()
        },
    }


def _table(runs: list[dict[str, Any]]) -> str:
    lines = [
        "| eta | slates | with | without | replay | with − without | with − replay |",
        "|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for eta in dict.fromkeys(run["eta"] for run in runs):
        of_eta = [run for run in runs if run["eta"] == eta]
        slates = np.mean([run["slates"] for run in of_eta])
        means = [_mean(of_eta, name) for name in ("with", "without", "replay")]
        apart = [_difference(of_eta, name) for name in ("without", "replay")]
        lines.append(f"| {eta:g} | {slates:.0f} | {' | '.join([*means, *apart])} |")
    return "\n".join(lines) + "\n"


def _mean(runs: list[dict[str, Any]], name: str) -> str:
    found = [run["ndcg"][name] for run in runs if name in run["ndcg"]]
    return f"{np.mean(found):.3f}" if found else ""


def _difference(runs: list[dict[str, Any]], name: str) -> str:
    apart = np.array(
        [[run["ndcg"]["with"] - run["ndcg"][name]] for run in runs if name in run["ndcg"]]
    )
    if not len(apart):
        return ""
    low, high = interval(bootstrap(apart, np.ones(len(apart)), seed=0)[:, 0])
    return f"{apart.mean():+.3f} ({low:+.3f}…{high:+.3f})"


if __name__ == "__main__":
    sys.exit(main())
