"""Off-policy estimates where the truth is known: bias, spread, coverage of intervals.

python -m benchmarks.off_policy --rounds=1000
"""

import argparse
from collections.abc import Callable, Mapping
from functools import partial

from tests.support import bandits, drawn_slates

WORLDS: dict[str, Callable[[], bandits.World]] = {
    "as in the tests": bandits.world,
    "the target is counted in a log of 400 rows": partial(bandits.world, counted=400),
    "fewer rewards": partial(bandits.world, scale=0.05, users=300),
    "the logging policy depends on the kind of visit": partial(bandits.world, kinds_differ=True),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=1_000)
    rounds = parser.parse_args().rounds
    for name, world in WORLDS.items():
        show(name, bandits.trials(world(), rounds, first=1_000))
    for temperature in (0.25, 0.6):
        name = f"slates drawn at {drawn_slates.TEMPERATURE}, target at {temperature}"
        show(
            name, drawn_slates.trials(temperature, rounds // 2)
        )  # fewer rounds, since they take longer


def show(name: str, found: Mapping[str, bandits.Record]) -> None:
    print(f"\n{name}\n| estimator | bias | spread | width | coverage |\n|---|---|---|---|---|")
    for estimator, each in found.items():
        bias = f"{each.bias:+.1%} ± {1.96 * each.error:.1%}"
        cells = (estimator, bias, f"{each.spread:.1%}", f"{each.width:.1%}", f"{each.coverage:.1%}")
        print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
