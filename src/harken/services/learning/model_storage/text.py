"""LightGBM's text format of a model: read strictly, and written again from what was read.

LightGBM trusts its text. A cycle of children hangs it; a feature or a size out of range crashes
the process. So a text is read here first, line by line in the order in which LightGBM writes them.
LightGBM gets only what `write` produces from the parsed values, and no byte of the file itself.

The format is that of `GBDT::SaveModelToString` and `Tree::ToString` in LightGBM's sources, version
v4. Only what Harken trains is accepted: one tree a round, numerical splits, constant leaves.
"""

import math
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from harken.errors import InvalidModel

MOST_CHARACTERS = 16 << 20
MOST_LINES = 50_000
MOST_TREES = 1_000
MOST_LEAVES = 256
MOST_STEPS = 10_000
"""The most steps for a row: the sum of the trees' depths. Training makes at most 2,400."""
MOST_TO_EXPLAIN = 5_000_000
"""The most TreeSHAP steps for a row: Σ leaves × depth². Training makes at most 2,300,000."""
LARGEST_LEAF = 1e6
_LARGEST_COUNT = 2**31 - 1

_HEADER = {
    "version": "v4", "num_class": "1", "num_tree_per_iteration": "1", "label_index": "0",
}  # fmt: skip
_OBJECTIVE = "lambdarank"
_WHOLE = "-?[0-9]{1,10}"
_REAL = r"-?[0-9]{1,20}(?:\.[0-9]{1,40})?(?:e[+-]?[0-9]{1,3})?"
_WHOLES = re.compile(f"{_WHOLE}(?: {_WHOLE})*")
_REALS = re.compile(f"{_REAL}(?: {_REAL})*")
# LightGBM's threshold where a split only tells whether a value is missing.
_THRESHOLDS = re.compile(f"(?:inf|{_REAL})(?: (?:inf|{_REAL}))*")
_RANGE = re.compile(rf"none|\[-?(?:inf|{_REAL}):-?(?:inf|{_REAL})\]")
_NAME = re.compile("[!-~]{1,200}")
_IMPORTANCE = re.compile(r"[!-~]{1,200}=[0-9]{1,10}")
_PARAMETER = re.compile(r"\[[a-z0-9_]{1,100}: ?[ -~]{0,2000}\]")
# Bits of a numerical split: default left (2); missing values are zero (4) or NaN (8), else none.
_DECISIONS = frozenset({0, 2, 4, 6, 8, 10})


class Tree(NamedTuple):
    """A tree of n leaves and n − 1 splits; a child is the number of a split, or −1 − leaf."""

    features: list[int]
    gains: list[float]
    thresholds: list[float]
    decisions: list[int]
    left: list[int]
    right: list[int]
    leaves: list[float]
    leaf_weights: list[float]
    leaf_counts: list[int]
    values: list[float]
    weights: list[float]
    counts: list[int]
    shrinkage: float


@dataclass(frozen=True)
class Trees:
    """The parsed model: names of features, and trees over them."""

    names: tuple[str, ...]
    trees: tuple[Tree, ...]


def read(name: str, text: str) -> Trees:
    """Parse a text; `name` is the model's name in errors.

    The result is safe to score with: children form trees, features are in range, all numbers are
    finite, and sizes are bounded. Raises InvalidModel, which names the line and the problem.
    """
    if len(text) > MOST_CHARACTERS or text.count("\n") > MOST_LINES:
        raise InvalidModel(name, "has a text that is too large for a model")
    lines = _Lines(name, text)
    names, sizes = _header(lines)
    trees = tuple(_tree(lines, number, size, len(names)) for number, size in enumerate(sizes))
    lines.fixed("end of trees")
    _trailer(lines)
    _check_work(lines, trees)
    return Trees(names, trees)


def write(found: Trees) -> str:
    """Return the parsed model in LightGBM's text format."""
    blocks = [f"Tree={number}\n{_written(tree)}\n\n\n" for number, tree in enumerate(found.trees)]
    head = {
        **_HEADER,
        "max_feature_idx": str(len(found.names) - 1),
        "objective": _OBJECTIVE,
        "feature_names": " ".join(found.names),
        "feature_infos": " ".join("none" for _ in found.names),
        "tree_sizes": " ".join(str(len(block)) for block in blocks),
    }
    lines = ["tree", *(f"{key}={value}" for key, value in head.items()), "", ""]
    return "\n".join(lines) + "".join(blocks) + "end of trees\n"


class _Lines:
    """The lines of a text in their order; an unexpected line raises InvalidModel."""

    def __init__(self, name: str, text: str) -> None:
        self._name = name
        self._lines = text.split("\n")
        self._next = 0

    def refusal(self, what: str) -> InvalidModel:
        """Return the error about the latest line."""
        return InvalidModel(self._name, f"has trees that cannot be used: line {self._next}: {what}")

    def line(self) -> str:
        """Return the next line."""
        if self._next == len(self._lines):
            raise self.refusal("the text ends too early")
        self._next += 1
        return self._lines[self._next - 1]

    def fixed(self, expected: str) -> None:
        """Read a line that must be as given."""
        if self.line() != expected:
            raise self.refusal(
                f"{expected!r} is expected here" if expected else "a blank line is expected"
            )

    def value(self, key: str) -> str:
        """Return the value of a key."""
        found, _, value = self.line().partition("=")
        if found != key:
            raise self.refusal(f"{key}= is expected here")
        return value

    def wholes(self, key: str, count: int | None, least: int, most: int) -> list[int]:
        """Return `count` integers from `least` to `most`; with None, any number of them."""
        value = self.value(key)
        found = list(map(int, value.split(" "))) if _WHOLES.fullmatch(value) else []
        if count not in {None, len(found)} or (not found and value):
            raise self.refusal(f"{key} should have {count or 'some'} whole numbers")
        if found and not (least <= min(found) and max(found) <= most):
            raise self.refusal(f"{key} should have numbers from {least} to {most}")
        return found

    def thresholds(self, count: int) -> list[float]:
        """Return `count` finite thresholds; infinity becomes the largest number."""
        value = self.value("threshold")
        words = value.split(" ") if _THRESHOLDS.fullmatch(value) else []
        if len(words) != count or (not words and value):
            raise self.refusal(f"threshold should have {count} numbers")
        found = [sys.float_info.max if word == "inf" else float(word) for word in words]
        if not all(map(math.isfinite, found)):
            raise self.refusal("threshold should have finite numbers, or inf")
        return found

    def reals(self, key: str, count: int, most: float = math.inf) -> list[float]:
        """Return `count` finite numbers, each at most `most` from 0."""
        value = self.value(key)
        found = list(map(float, value.split(" "))) if _REALS.fullmatch(value) else []
        if len(found) != count or (not found and value):
            raise self.refusal(f"{key} should have {count} numbers")
        if not all(math.isfinite(each) and abs(each) <= most for each in found):
            raise self.refusal(f"{key} should have finite numbers, up to {most:g}")
        return found

    def until_blank(self) -> Iterator[str]:
        """Yield the lines before the next blank line."""
        while line := self.line():
            yield line

    def block(self, begin: int) -> int:
        """Return the number of characters since a line, including line ends."""
        return sum(len(line) + 1 for line in self._lines[begin : self._next])

    @property
    def at(self) -> int:
        """The number of lines read."""
        return self._next

    @property
    def has_ended(self) -> bool:
        """Whether all lines were read."""
        return self._next == len(self._lines)


def _header(lines: _Lines) -> tuple[tuple[str, ...], list[int]]:
    """Return the names of features and the sizes of trees (characters)."""
    lines.fixed("tree")
    for key, expected in _HEADER.items():
        if lines.value(key) != expected:
            raise lines.refusal(f"{key} should be {expected}")
    [largest] = lines.wholes("max_feature_idx", 1, 0, 9_999)
    if lines.value("objective") != _OBJECTIVE:
        raise lines.refusal(f"objective should be {_OBJECTIVE}")
    names = tuple(lines.value("feature_names").split(" "))
    are_names = all(map(_NAME.fullmatch, names)) and len(set(names)) == len(names)
    if len(names) != largest + 1 or not are_names:
        raise lines.refusal(f"feature_names should have {largest + 1} names, each once")
    infos = lines.value("feature_infos").split(" ")
    if len(infos) != len(names) or not all(map(_RANGE.fullmatch, infos)):
        raise lines.refusal(f"feature_infos should have {len(names)} ranges")
    sizes = lines.wholes("tree_sizes", None, 1, MOST_CHARACTERS)
    if not 1 <= len(sizes) <= MOST_TREES:
        raise lines.refusal(f"it has {len(sizes)} trees; from 1 to {MOST_TREES} are read")
    lines.fixed("")
    return names, sizes


def _tree(lines: _Lines, number: int, size: int, features: int) -> Tree:
    begin = lines.at
    lines.fixed(f"Tree={number}")
    [count] = lines.wholes("num_leaves", 1, 1, MOST_LEAVES)
    lines.fixed("num_cat=0")
    splits = count - 1
    # LightGBM writes no leaf weight for a tree of one leaf.
    tree = Tree(
        features=lines.wholes("split_feature", splits, 0, features - 1),
        gains=lines.reals("split_gain", splits),
        thresholds=lines.thresholds(splits),
        decisions=lines.wholes("decision_type", splits, 0, max(_DECISIONS)),
        left=lines.wholes("left_child", splits, -count, splits - 1),
        right=lines.wholes("right_child", splits, -count, splits - 1),
        leaves=lines.reals("leaf_value", count, LARGEST_LEAF),
        leaf_weights=lines.reals("leaf_weight", count if splits else 0),
        leaf_counts=lines.wholes("leaf_count", count, 1, _LARGEST_COUNT),
        values=lines.reals("internal_value", splits),
        weights=lines.reals("internal_weight", splits),
        counts=lines.wholes("internal_count", splits, 1, _LARGEST_COUNT),
        shrinkage=_last(lines),
    )
    if lines.block(begin) != size:
        raise lines.refusal(f"tree {number} does not have the size in tree_sizes")
    if problem := _problem(tree):
        raise lines.refusal(f"tree {number} {problem}")
    return tree


def _last(lines: _Lines) -> float:
    lines.fixed("is_linear=0")
    [shrinkage] = lines.reals("shrinkage", 1)
    lines.fixed("")
    lines.fixed("")
    return shrinkage


def _problem(tree: Tree) -> str:
    """Return what is wrong with a tree; an empty text if nothing is."""
    splits = len(tree.left)
    if not _DECISIONS.issuperset(tree.decisions):
        return f"has a decision_type that is not one of {sorted(_DECISIONS)}"
    children = sorted([*tree.left, *tree.right])
    if splits and children != [n for n in range(-splits - 1, splits) if n]:
        return "does not reach each split and each leaf exactly once"
    pairs = list(enumerate(zip(tree.left, tree.right, strict=True)))
    for parent, pair in pairs:
        # LightGBM numbers splits as it makes them, so a parent has a smaller number.
        if any(0 <= child <= parent for child in pair):
            return f"has a child of split {parent} with a smaller number"
    for parent, pair in pairs:
        if tree.counts[parent] != sum(_count(tree, child) for child in pair):
            return f"has a count at split {parent} that is not the sum of its children's"
    return ""


def _count(tree: Tree, child: int) -> int:
    return tree.counts[child] if child >= 0 else tree.leaf_counts[~child]


def _depth(tree: Tree) -> int:
    depths = [1] * len(tree.left)
    for parent, pair in enumerate(zip(tree.left, tree.right, strict=True)):
        for child in pair:
            if child >= 0:
                depths[child] = depths[parent] + 1
    return max(depths, default=0)


def _check_work(lines: _Lines, trees: tuple[Tree, ...]) -> None:
    depths = [_depth(tree) for tree in trees]
    explained = sum(len(tree.leaves) * depth**2 for tree, depth in zip(trees, depths, strict=True))
    if sum(depths) > MOST_STEPS or explained > MOST_TO_EXPLAIN:
        raise lines.refusal("the trees are too deep: scoring would slow down every feed")


def _trailer(lines: _Lines) -> None:
    """Check what follows the trees. It does not affect scores and is not kept."""
    lines.fixed("")
    lines.fixed("feature_importances:")
    if not all(map(_IMPORTANCE.fullmatch, lines.until_blank())):
        raise lines.refusal("a feature's name and its number of uses are expected here")
    lines.fixed("parameters:")
    if not all(map(_PARAMETER.fullmatch, lines.until_blank())):
        raise lines.refusal("a parameter is expected here, as [name: value]")
    for expected in ("end of parameters", "", "pandas_categorical:null", ""):
        lines.fixed(expected)
    if not lines.has_ended:
        raise lines.refusal("the text should end here")


def _written(tree: Tree) -> str:
    arrays: dict[str, Sequence[float]] = {
        "split_feature": tree.features,
        "split_gain": tree.gains,
        "threshold": tree.thresholds,
        "decision_type": tree.decisions,
        "left_child": tree.left,
        "right_child": tree.right,
        "leaf_value": tree.leaves,
        "leaf_weight": tree.leaf_weights,
        "leaf_count": tree.leaf_counts,
        "internal_value": tree.values,
        "internal_weight": tree.weights,
        "internal_count": tree.counts,
    }
    lines = [f"num_leaves={len(tree.leaves)}", "num_cat=0"]
    lines += (f"{key}={' '.join(map(repr, values))}" for key, values in arrays.items())
    lines += ["is_linear=0", f"shrinkage={tree.shrinkage!r}"]
    return "\n".join(lines)
