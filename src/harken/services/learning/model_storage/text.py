"""LightGBM's text of a model: read strictly, and written anew from what was read.

LightGBM trusts its text. Children that loop hang it, a feature or a size out of range ends the
process. So a text is read here first, line by line in the order in which LightGBM writes them, and
LightGBM is given only what `write` makes of what was found: no byte of the file gets through to it.

The format is that of `GBDT::SaveModelToString` and `Tree::ToString` in LightGBM's sources, version
v4 of the text, with what Harken trains: one tree a round, numerical splits, constant leaves.
"""

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from harken.errors import InvalidModel

MOST_CHARACTERS = 16 << 20
MOST_LINES = 50_000
MOST_TREES = 1_000
MOST_LEAVES = 256
MOST_STEPS = 10_000
"""What one row takes at most: the sum of the trees' depths. Training makes 2,400 at most."""
MOST_TO_EXPLAIN = 5_000_000
"""What TreeSHAP takes for a row: the sum of leaves × depth². Training makes 2,300,000 at most."""
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
_RANGE = re.compile(rf"none|\[-?(?:inf|{_REAL}):-?(?:inf|{_REAL})\]")
_NAME = re.compile("[!-~]{1,200}")
_IMPORTANCE = re.compile(r"[!-~]{1,200}=[0-9]{1,10}")
_PARAMETER = re.compile(r"\[[a-z0-9_]{1,100}: ?[ -~]{0,2000}\]")
# Numerical; by default to the right or left (2); what is missing: nothing, zero (4), NaN (8).
_DECISIONS = frozenset({0, 2, 4, 6, 8, 10})


class Tree(NamedTuple):
    """A tree: of n leaves and n − 1 splits, whose children are splits, or leaves as −1 − leaf."""

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
    """What a text says: names of features, and trees over them."""

    names: tuple[str, ...]
    trees: tuple[Tree, ...]


def read(name: str, text: str) -> Trees:
    """Read a text; `name` is what errors call the model.

    Children make a tree and nothing else, features are in range, all numbers are finite, and sizes
    are bounded: asking such a model ends soon and gives finite scores. Raises InvalidModel, which
    says what is wrong in which line.
    """
    if len(text) > MOST_CHARACTERS or text.count("\n") > MOST_LINES:
        raise InvalidModel(name, "has a text that is larger than any model's")
    lines = _Lines(name, text)
    names, sizes = _header(lines)
    trees = tuple(_tree(lines, number, size, len(names)) for number, size in enumerate(sizes))
    lines.fixed("end of trees")
    _trailer(lines)
    _check_work(lines, trees)
    return Trees(names, trees)


def write(found: Trees) -> str:
    """Write what was read, as LightGBM reads it."""
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
    """The lines of a text, one after the other; all that is unexpected is refused."""

    def __init__(self, name: str, text: str) -> None:
        self._name = name
        self._lines = text.split("\n")
        self._next = 0

    def refusal(self, what: str) -> InvalidModel:
        """Make the error about the latest line."""
        return InvalidModel(self._name, f"has trees that cannot be used: line {self._next}: {what}")

    def line(self) -> str:
        """Return the next line."""
        if self._next == len(self._lines):
            raise self.refusal("the text ends too early")
        self._next += 1
        return self._lines[self._next - 1]

    def fixed(self, expected: str) -> None:
        """Expect a line."""
        if self.line() != expected:
            raise self.refusal(f"{expected!r} should stand here" if expected else "no blank line")

    def value(self, key: str) -> str:
        """Return what a key has."""
        found, _, value = self.line().partition("=")
        if found != key:
            raise self.refusal(f"{key}= should stand here")
        return value

    def wholes(self, key: str, count: int | None, least: int, most: int) -> list[int]:
        """Return so many whole numbers of a range, or any number of them."""
        value = self.value(key)
        found = list(map(int, value.split(" "))) if _WHOLES.fullmatch(value) else []
        if count not in {None, len(found)} or (not found and value):
            raise self.refusal(f"{key} should have {count or 'some'} whole numbers")
        if found and not (least <= min(found) and max(found) <= most):
            raise self.refusal(f"{key} should have numbers from {least} to {most}")
        return found

    def reals(self, key: str, count: int, most: float = math.inf) -> list[float]:
        """Return so many finite numbers, none farther from 0 than `most`."""
        value = self.value(key)
        found = list(map(float, value.split(" "))) if _REALS.fullmatch(value) else []
        if len(found) != count or (not found and value):
            raise self.refusal(f"{key} should have {count} numbers")
        if not all(math.isfinite(each) and abs(each) <= most for each in found):
            raise self.refusal(f"{key} should have finite numbers, up to {most:g}")
        return found

    def until_blank(self) -> Iterator[str]:
        """Yield lines up to a blank one."""
        while line := self.line():
            yield line

    def block(self, begin: int) -> int:
        """Return how many characters the lines since one have, with their ends."""
        return sum(len(line) + 1 for line in self._lines[begin : self._next])

    @property
    def at(self) -> int:
        """How many lines were read."""
        return self._next

    @property
    def has_ended(self) -> bool:
        """Whether there are no more lines."""
        return self._next == len(self._lines)


def _header(lines: _Lines) -> tuple[tuple[str, ...], list[int]]:
    """Return the features' names, and the trees' sizes."""
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
    # A tree of one leaf has no weight of it.
    tree = Tree(
        features=lines.wholes("split_feature", splits, 0, features - 1),
        gains=lines.reals("split_gain", splits),
        thresholds=lines.reals("threshold", splits),
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
        raise lines.refusal(f"tree {number} has another size than tree_sizes says")
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
    """Say what is wrong with a tree; nothing is said of one that is none."""
    splits = len(tree.left)
    if not _DECISIONS.issuperset(tree.decisions):
        return f"has a decision_type that is none of {sorted(_DECISIONS)}"
    children = sorted([*tree.left, *tree.right])
    if splits and children != [n for n in range(-splits - 1, splits) if n]:
        return "does not lead to each split and each leaf once"
    pairs = list(enumerate(zip(tree.left, tree.right, strict=True)))
    for parent, pair in pairs:
        # A split is numbered when it is made, which is after that above it.
        if any(0 <= child <= parent for child in pair):
            return f"leads from split {parent} back to one before it"
    for parent, pair in pairs:
        if tree.counts[parent] != sum(_count(tree, child) for child in pair):
            return f"has another count at split {parent} than what is below it"
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
        raise lines.refusal("the trees are too deep, and would hold up every feed")


def _trailer(lines: _Lines) -> None:
    """Expect what follows the trees. It changes no score, and nothing of it is kept."""
    lines.fixed("")
    lines.fixed("feature_importances:")
    if not all(map(_IMPORTANCE.fullmatch, lines.until_blank())):
        raise lines.refusal("a feature's name and how often it is used should stand here")
    lines.fixed("parameters:")
    if not all(map(_PARAMETER.fullmatch, lines.until_blank())):
        raise lines.refusal("a parameter should stand here, as [name: value]")
    for expected in ("end of parameters", "", "pandas_categorical:null", ""):
        lines.fixed(expected)
    if not lines.has_ended:
        raise lines.refusal("nothing should follow")


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
