"""The terms of a text: its words, as numbers, and how often each occurs.

Words are hashed to numbers, so that there is no vocabulary to keep (Weinberger et al., Feature
hashing for large scale multitask learning, ICML 2009). Text without spaces between words (Chinese,
Japanese, Korean) is cut into pairs of characters.
"""

import re
import zlib
from collections import Counter
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

BUCKETS = 1 << 20
"""Words are hashed to numbers below this."""
LETTERS = 4_000
"""So many characters of a content are read."""
MOST_TERMS = 512
"""So many different words of a text are counted at most."""

# The words of a title count as often as if they stood in the text three times.
_TITLE = 3
_LONGEST = 40  # longer "words" are data, not language
_SPACELESS = r"\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff"
_TOKEN = re.compile(rf"[{_SPACELESS}]+|[^\W_{_SPACELESS}]+")
_IS_SPACELESS = re.compile(rf"[{_SPACELESS}]")
# Addresses and tags of markup are no words of the language.
_MARKUP = re.compile(r"https?://\S+|<[^>]{1,200}>|&[a-z]{2,8};", re.IGNORECASE)


class Terms(NamedTuple):
    """The terms of a text: their numbers, each once, below `BUCKETS`; how often each occurs."""

    numbers: NDArray[np.int32]
    counts: NDArray[np.int32]


def terms_of(title: str, content: str) -> Terms:
    """Return the terms of a K-Block; content is Markdown or HTML, read up to `LETTERS`."""
    counted = Counter(_words(content[:LETTERS]))
    for word in _words(title):
        counted[word] += _TITLE
    found: dict[int, int] = {}
    for word, count in counted.most_common(MOST_TERMS):
        number = _number(word)
        found[number] = found.get(number, 0) + count
    return Terms(np.array([*found], np.int32), np.array([*found.values()], np.int32))


@lru_cache(1 << 16)
def _number(word: str) -> int:
    return zlib.crc32(word.encode("utf-8", "replace")) % BUCKETS


def _words(text: str) -> list[str]:
    words: list[str] = []
    for token in _TOKEN.findall(_MARKUP.sub(" ", text).casefold()):
        if _IS_SPACELESS.match(token):
            words += [token[at : at + 2] for at in range(max(len(token) - 1, 1))]
        elif 1 < len(token) <= _LONGEST:
            words.append(token)
    return words
