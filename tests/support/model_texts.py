"""LightGBM's texts of models, and damaged variants of them."""

import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from harken.services.features.names import NAMES
from harken.services.learning.model_storage.archive import Archived, archive
from harken.services.learning.ranker import PASSED, VIEWED, Example, Model, RankerSettings, train

SMALL = RankerSettings(rounds=3, fewest=10, least_in_leaf=5, leaves=7, base_below=0)

Change = Callable[[str], str]


def small(seed: int = 0, settings: RankerSettings = SMALL) -> Model:
    """Train a small model."""
    generator, examples = np.random.default_rng(seed), []
    for n in range(30):
        grades = np.full(10, PASSED, np.int8)
        grades[n % 10] = VIEWED
        matrix = generator.normal(size=(10, len(NAMES))).astype(np.float32)
        examples.append(Example(n, matrix, grades))
    made = train(examples, replace(settings, seed=seed))
    assert made is not None
    return made


def with_text(archived: Archived, text: str) -> Archived:
    """Give a model another text with a matching checksum."""
    return Archived(text, hashlib.sha256(text.encode()).hexdigest(), archived.features)


def with_sizes(text: str) -> str:
    """Correct the tree sizes, so that LightGBM would find each tree."""
    trees = re.findall(r"^Tree=.*?(?=^Tree=|^end of trees)", text, re.DOTALL | re.MULTILINE)
    sizes = " ".join(str(len(tree)) for tree in trees)
    return re.sub(r"(?m)^tree_sizes=.*$", f"tree_sizes={sizes}", text)


def with_values(key: str, change: Callable[[list[str]], list[str]]) -> Change:
    """Change the values of a key in the first tree."""

    def changed(text: str) -> str:
        found = re.search(rf"(?m)^{key}=(.*)$", text)
        assert found is not None
        values = " ".join(change(found[1].split(" ")))
        return with_sizes(text[: found.start(1)] + values + text[found.end(1) :])

    return changed


def first(value: str) -> Callable[[list[str]], list[str]]:
    """Replace the first value."""
    return lambda values: [value, *values[1:]]


def texts(count: int) -> Iterator[str]:
    """Yield texts of trained models."""
    for seed in range(count):
        yield archive(small(seed)).text
