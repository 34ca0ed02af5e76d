"""Finding the header row of a table that has titles, notes or blank rows above it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from workbench.errors import ReadError

SAMPLE_ROWS = 200
REACHED_SHARE, FILLED_SHARE = 0.75, 0.5
"""A header reaches nearly as far as the table is wide and leaves few cells empty; a title does not do both."""

_NUMBER = re.compile(r"[-+]?[$€£]?\s?\d[\d.,'\s]*%?")
_YEAR = re.compile(r"(19|20)\d\d")
_DATE = re.compile(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}([T ].*)?")


def filled(row: Sequence[object]) -> int:
    """Count the cells that hold something."""
    return sum(not is_blank(cell) for cell in row)


def is_blank(cell: object) -> bool:
    """Say whether a cell holds nothing that can be seen."""
    return cell is None or (isinstance(cell, str) and not cell.strip("\0 \t\r\n\v\f"))


def looks_like_names(row: Sequence[object]) -> bool:
    """Say whether at least half of a row's cells are words rather than numbers or dates.

    >>> looks_like_names(["Fecha", "Importe"]), looks_like_names(["2024-01-05", "12.50"])
    (True, False)
    """
    cells = [cell for cell in row if not is_blank(cell)]
    return 2 * sum(map(is_word, cells)) >= len(cells)


def is_word(cell: object) -> bool:
    """Say whether a cell holds words or a year, rather than a number or a date."""
    text = cell.strip() if isinstance(cell, str) else ""
    return (bool(text) and not (_NUMBER.fullmatch(text) or _DATE.fullmatch(text))) or bool(_YEAR.fullmatch(text))


def find_header(rows: Sequence[Sequence[object]]) -> int | None:
    """Give the position of the first row that is nearly as full as the table is wide; null where all is blank.

    >>> find_header([["Ventas"], [], ["Fecha", "Concepto", "Importe"], ["2024-01-05", "Taxi", "80"]])
    2
    """
    counts = [filled(row) for row in rows[:SAMPLE_ROWS]]
    if not any(counts):
        return None
    usual = _usual_width(rows[:SAMPLE_ROWS])
    for position, (row, count) in enumerate(zip(rows, counts, strict=False)):
        if _extent(row) >= REACHED_SHARE * usual and count >= FILLED_SHARE * usual:
            return _below_groups(rows, position, usual)
    return counts.index(max(counts))


def _below_groups(rows: Sequence[Sequence[object]], position: int, usual: int) -> int:
    """Go on to the row of names where the found one only names groups of columns, in merged cells."""
    if usual - filled(rows[position]) < 3:
        return position
    for below in (position + 1, position + 2):
        cells = [cell for cell in rows[below] if not is_blank(cell)] if below < len(rows) else []
        if len(cells) >= REACHED_SHARE * usual > filled(rows[position]) and all(map(is_word, cells)):
            return below
    return position


def _usual_width(rows: Sequence[Sequence[object]]) -> int:
    """Give the width of the largest rectangle that the rows fill, so that a few long titles do not count."""
    extents = sorted(filter(None, map(_extent, rows)), reverse=True)
    areas = [(width * number, width) for number, width in enumerate(extents, start=1)]
    return max(areas)[1]


def _extent(row: Sequence[object]) -> int:
    return max((position for position, cell in enumerate(row, start=1) if not is_blank(cell)), default=0)


def choose_header(rows: Sequence[Sequence[object]], wanted: int | None, path: Path) -> tuple[int, tuple[str, ...]]:
    """Give the header row, the wanted or the found one, and what is doubtful about it; raises ReadError."""
    found = find_header(rows) if wanted is None else wanted
    if found is None:
        raise ReadError(f"{path.name} holds nothing but blanks.", hint="check that it is the right file or sheet.")
    if not 0 <= found < len(rows) or not filled(rows[found]):
        there = f"it has {len(rows)} rows, numbered from 0" if found >= len(rows) else "that row is blank"
        raise ReadError(f"{path.name} has no header in row {found}.", hint=f"{there}; leave header_row out to find it.")
    doubt = f"row {found} was taken for the header, but it looks like data"
    return found, () if looks_like_names(rows[found]) or wanted is not None else (doubt,)
