"""Which texts say nearly the same: character n-grams of their words, whatever the order, numbers and accents."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from workbench.records import skeleton

if TYPE_CHECKING:
    from scipy import sparse

NEARLY_THE_SAME = 0.8
"""Cosine of character 3-grams from which on two texts say the same."""
_BLOCK = 256
"""Texts that are compared with all others at a time."""

Booleans = npt.NDArray[np.bool_]


def gram_vectors(texts: Sequence[str]) -> sparse.csr_matrix:
    """Give the character 3-grams of the words of texts (of their skeletons) as rows of length 1."""
    from scipy import sparse

    index: dict[str, int] = {}
    values: list[float] = []
    columns: list[int] = []
    ends = [0]
    for text in texts:
        grams = Counter(_grams(skeleton(text)))
        norm = math.sqrt(sum(count * count for count in grams.values()))
        columns += [index.setdefault(gram, len(index)) for gram in grams]
        values += [count / norm for count in grams.values()]
        ends.append(len(values))
    return sparse.csr_matrix((values, columns, ends), shape=(len(texts), max(1, len(index))))


def _grams(words: str) -> Iterator[str]:
    for word in words.split():
        edged = f" {word} "
        yield from (edged[start : start + 3] for start in range(len(edged) - 2))


def likeness(texts: Sequence[str], others: Sequence[str]) -> Iterator[npt.NDArray[np.float64]]:
    """Yield, for each text, its cosine to every other one; 1 for the same skeleton."""
    vectors = gram_vectors([*texts, *others])
    columns = vectors[len(texts) :].T.tocsc()
    for start in range(0, len(texts), _BLOCK):
        yield from (vectors[start : min(start + _BLOCK, len(texts))] @ columns).toarray()


def near_any(texts: Sequence[str], others: Sequence[str]) -> Booleans:
    """Say of each text whether it says nearly the same as one of the others.

    >>> near_any(["TONER negro hp 2", "silla"], ["toner para hp negro", "mesa", "toners negros hp"]).tolist()
    [True, False]
    """
    if not len(others):
        return np.zeros(len(texts), dtype=bool)
    return np.array([row.max() >= NEARLY_THE_SAME - 1e-9 for row in likeness(texts, others)], dtype=bool)
