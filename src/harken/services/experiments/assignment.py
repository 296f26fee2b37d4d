r"""From a unit to its arm: by a hash alone, without storage and without a network.

    position = SHA-256(UTF-8 of salt \x1f unit), its first 8 bytes as a big-endian number, ÷ 2^64

The position lies in [0, 1]. It is compared with the cumulative allocation. A layer has 1,000 slots:
a unit's slot is its position by the layer's name as the salt, times 1,000.

`clients/typescript/src/assignment.ts` does the same; `tests/vectors/assignment.json` pins both.
"""

from collections.abc import Mapping
from hashlib import sha256

SLOTS = 1_000
_SEPARATOR = "\x1f"
_WHOLE = 2.0**64


def position(salt: str, unit: str) -> float:
    """Return the position of a unit, from 0 to 1; it is spread evenly over units.

    Raises UnicodeEncodeError for lone surrogates, which are no text.
    """
    digest = sha256(f"{salt}{_SEPARATOR}{unit}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / _WHOLE


def slot(layer: str, unit: str) -> int:
    """Return the slot of a unit in a layer, from 0 to 999."""
    return min(int(position(layer, unit) * SLOTS), SLOTS - 1)


def arm_of(salt: str, unit: str, allocation: Mapping[str, float]) -> str:
    """Return the arm of a unit; `allocation` has the share of each arm, in order, not empty."""
    at, reached, last = position(salt, unit), 0.0, ""
    for name, share in allocation.items():
        reached += share
        if at < reached:
            return name
        last = name if share > 0 else last
    return last  # shares that add up to 1 may be rounded to less
