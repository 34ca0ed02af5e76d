"""Cut items into chunks, the same ones on every machine and in every order of the rows.

Items that stand together in a chunk influence each other's answers, and a file's order puts like beside like. So
items are ordered by a seeded hash of their id before they are cut.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import TypeVar

from workbench.llm.providers import NumberedItem

T = TypeVar("T")


def shuffled(ids: Sequence[str], seed: int) -> list[int]:
    """Give the positions of the ids in an order that depends on each id and the seed alone.

    The first n of them are a random sample of n; a larger n with the same seed only adds to it.

    >>> [["a", "b", "c"][position] for position in shuffled(["a", "b", "c"], seed=7)]
    ['b', 'a', 'c']
    """
    salt = seed.to_bytes(16, "big", signed=True)

    def rank(position: int) -> tuple[bytes, str]:
        raw = ids[position].encode("utf-8", "surrogatepass")
        return hashlib.blake2b(raw, digest_size=8, salt=salt).digest(), ids[position]

    return sorted(range(len(ids)), key=rank)


def cut(members: Sequence[T], size: int) -> Iterator[tuple[T, ...]]:
    """Cut a sequence into chunks of `size`; the last may be shorter.

    >>> list(cut("abcde", 2))
    [('a', 'b'), ('c', 'd'), ('e',)]
    """
    for start in range(0, len(members), size):
        yield tuple(members[start : start + size])


def number(fields: Sequence[dict[str, str]]) -> tuple[NumberedItem, ...]:
    """Number the items of a chunk from 1: short ids cost few tokens and are not mistyped.

    >>> number([{"cleanText": "renta"}])
    (NumberedItem(number=1, fields={'cleanText': 'renta'}),)
    """
    return tuple(NumberedItem(position, item) for position, item in enumerate(fields, start=1))
