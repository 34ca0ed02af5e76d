"""Quotes by their neighbours: legal ones stand beside a delimiter, a line end or another quote.

A file in which all do is let alone, and so is one in which none begins a cell. Elsewhere a line such as
`1,"LA ESPERANZA" SA DE CV,5.00`, whose quotes a parser drops or moves, can be cut so that they stay.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.typing import NDArray

DELIMITERS = ("\t", ",", ";", "|", "~")
"""The first wins where several cut as well: nobody types a tab into a text."""
NO_DELIMITER = "\x1f"
"""Stands in where a file has one column: a character that no text has."""
QUOTE, NEWLINE, RETURN = b'"\n\r'

_KNOWN = (*DELIMITERS, NO_DELIMITER)
EVERY = 0xFF
"""The legal quotes of a text without any."""
_BESIDE = np.zeros(256, np.uint8)
_BESIDE[[QUOTE, NEWLINE, RETURN]] = EVERY
for _bit, _delimiter in enumerate(_KNOWN):
    _BESIDE[ord(_delimiter)] |= 1 << _bit


def look_at_quotes(data: NDArray[np.uint8]) -> tuple[int, int, int]:
    """Count the quotes, and say with which delimiters all are legal and some may begin a cell, as bits.

    One at the very beginning or end, which lacks a neighbour, is counted only.

    >>> [look_at_quotes(np.frombuffer(text, np.uint8)) for text in (b'1,"a;b",2', b'1,"a;b" c,2', b'1,2" a')]
    [(2, 2, 2), (2, 0, 2), (1, 0, 0)]
    """
    places = np.flatnonzero(data == QUOTE)
    if not len(places):
        return 0, EVERY, 0
    inner = places[int(places[0] == 0) : len(places) - int(places[-1] == len(data) - 1)]
    before = _BESIDE.take(data.take(inner - 1))
    beside = before | _BESIDE.take(data.take(inner + 1))
    return len(places), int(np.bitwise_and.reduce(beside)), int(np.bitwise_or.reduce(before))


def are_legal(bits: int, delimiter: str) -> bool:
    """Say whether these are the bits of a text whose quotes are legal with a delimiter."""
    return delimiter in _KNOWN and bool(bits >> _KNOWN.index(delimiter) & 1)


def cut(line: str, delimiter: str, skip_blanks: bool = False) -> tuple[list[str], bool]:
    r"""Cut a line into cells whatever its quotes, and say whether one that begins with a quote is not legal.

    Quotes within such a cell are plain characters, if it ends with one before the next delimiter or has a backslash
    before every other; else all of its quotes are.

    >>> cut('1,"EL PATO" SA,"Tubo "PVC" 1/2","a, ""b"" c"', ",")
    (['1', '"EL PATO" SA', 'Tubo "PVC" 1/2', 'a, "b" c'], True)
    >>> cut(r'"Codo \"3/4\", y";Tee 3";"a"', ";")
    (['Codo "3/4", y', 'Tee 3"', 'a'], True)
    """
    cells, is_odd, place = [], False, 0
    text = line.rstrip("\r\n")
    while True:
        found = _cell(delimiter, skip_blanks).match(text, place)
        assert found  # the last alternative takes anything
        kind = found.lastgroup or ""
        cells.append(_UNDO[kind](found[kind]) + " " * (found.end() - found.end(kind) - 1))
        is_odd = is_odd or kind in ("escaped", "loose") or (kind == "plain" and found[kind].startswith('"'))
        if found.end() == len(text):
            return cells, is_odd
        place = found.end() + 1


_UNDO: dict[str, Callable[[str], str]] = {
    "legal": lambda text: text.replace('""', '"'),
    "escaped": lambda text: re.sub(r'\\(["\\])', r"\1", text),
    "loose": lambda text: text.replace('""', '"'),
    "plain": str,
}


@cache
def _cell(delimiter: str, skip_blanks: bool) -> re.Pattern[str]:
    sign = re.escape(delimiter)
    doubled = r'[^"]*+(?:""[^"]*+)*+'
    texts = {
        "legal": doubled,
        "escaped": r'[^"\\]*+(?:(?:\\.|"")[^"\\]*+)*+',
        "loose": rf'{doubled}"(?!["{sign}])[^{sign}]*',
    }
    quoted = [rf'"(?P<{kind}>{text})" *(?={sign}|\Z)' for kind, text in texts.items()]
    return re.compile((" *" if skip_blanks else "") + "(?:" + "|".join([*quoted, rf"(?P<plain>[^{sign}]*)"]) + ")")
