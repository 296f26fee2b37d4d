"""The program of `trials`: LightGBM reads a model from standard input and scores some rows.

It is run by its path and imports nothing of Harken, so that it starts fast. It limits its own
memory and processor time, so a harmful model affects only this process. It exits with 0 only if
all scores are finite.
"""

import importlib
import os
import sys
from typing import Any

if sys.platform != "win32":
    import resource

MEMORY_BYTES = 4 << 30
"""Limit of the address space, most of which is never used."""
PROCESSOR_SECONDS = 10
WITHOUT = ("sklearn", "pandas", "matplotlib", "graphviz", "dask")
"""What LightGBM imports where it is installed, to offer more. It starts in a third of the time
without."""


def main() -> None:
    """Read a model and score with it; exits with an error message if that fails."""
    _limit()
    os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"
    missing: Any = None
    sys.modules |= dict.fromkeys(WITHOUT, missing)
    # Imported only now, within the limits.
    np, lightgbm = importlib.import_module("numpy"), importlib.import_module("lightgbm")
    booster = lightgbm.Booster(model_str=sys.stdin.read())
    rows = np.random.default_rng(0).normal(size=(8, booster.num_feature())).astype(np.float32)
    rows[:4] = np.array([[0.0], [np.nan], [1e30], [-1e30]])
    for options in ({}, {"pred_contrib": True}):
        found = booster.predict(rows, num_threads=1, **options)
        if not np.isfinite(np.asarray(found)).all():
            sys.exit("its scores are not finite")


def _limit() -> None:
    # Windows has no such limits; there the parent process limits the time.
    if sys.platform != "win32":
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_CPU, (PROCESSOR_SECONDS, PROCESSOR_SECONDS))
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))


if __name__ == "__main__":
    main()
