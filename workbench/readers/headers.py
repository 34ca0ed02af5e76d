"""Finding the header row of a table that has titles, notes or blank rows above it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from workbench.errors import ReadError

SAMPLE_ROWS = 200
FEW_ROWS = 10
"""Titles take up no more, and as many rows below a header show whether they hold values."""
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
    return _find(rows)[0]


def _find(rows: Sequence[Sequence[object]]) -> tuple[int | None, int | None]:
    """Give the header, and another row that may be it as well."""
    counts = [filled(row) for row in rows[:SAMPLE_ROWS]]
    if not any(counts):
        return None, None
    usual = _usual_width(rows[:SAMPLE_ROWS])
    for position, (row, count) in enumerate(zip(rows, counts, strict=False)):
        if _extent(row) >= REACHED_SHARE * usual and count >= FILLED_SHARE * usual:
            return _below_titles(rows, _below_groups(rows, position, usual), usual)
    return counts.index(max(counts)), None


def _below_titles(rows: Sequence[Sequence[object]], position: int, usual: int) -> tuple[int, int | None]:
    """Go on to the next full row, if that holds words only, where the found one has gaps or keys as titles have.

    Values below the full row decide. Without them, or without gaps and keys, a blank row above makes it doubtful.
    """
    gaps, has_key = usual - filled(rows[position]), _has_key(rows[position])
    below = _next_names(rows, position, usual)
    if below is not None:
        has_values, is_apart = _has_values(rows, below, usual), not filled(rows[below - 1])
        if has_values and (has_key or gaps > (0 if is_apart else 1)):
            return below, None
        if gaps > 1 and not has_values and (has_key or is_apart):
            return position, below
    return position, _names_behind_blank(rows, position, usual)


def _next_names(rows: Sequence[Sequence[object]], position: int, usual: int) -> int | None:
    """Give the next row without gaps and keys, if it holds names only and no row of data stands before it."""
    for below in range(position + 1, min(position + 1 + FEW_ROWS, len(rows))):
        row = rows[below]
        cells = [cell for cell in row if not is_blank(cell)]
        if filled(row[:usual]) == usual and not _has_key(row):
            return below if all(map(is_word, row[:usual])) and not _recurs(rows, below) else None
        if len(cells) > max(1, filled(rows[position])) or (len(cells) > 1 and not is_word(cells[0])):
            return None
    return None


def _names_behind_blank(rows: Sequence[Sequence[object]], position: int, usual: int) -> int | None:
    """Give a full row of words with values below, behind a blank row, where all from the found one on are words."""
    for below in range(position + 2, min(position + 1 + FEW_ROWS, len(rows))):
        if not all(is_word(cell) for cell in rows[below] if not is_blank(cell)):
            return None
        if filled(rows[below][:usual]) == usual > 1 and not filled(rows[below - 1]):
            return below if _has_values(rows, below, usual) else None
    return None


def _has_values(rows: Sequence[Sequence[object]], names: int, usual: int) -> bool:
    """Say whether a column below a row holds numbers or dates for the most part."""
    below = rows[names + 1 : names + 1 + FEW_ROWS]
    columns = [[row[place] for row in below if place < len(row) and not is_blank(row[place])] for place in range(usual)]
    return any(2 * sum(map(is_word, column)) < len(column) for column in columns)


def _recurs(rows: Sequence[Sequence[object]], names: int) -> bool:
    """Say whether a cell of a row stands below it again, as cells of data do and names do not."""
    below = rows[names + 1 : names + 1 + FEW_ROWS]
    return any(cell == name for row in below for cell, name in zip(row, rows[names], strict=False))


def _has_key(row: Sequence[object]) -> bool:
    return any(isinstance(cell, str) and cell.rstrip().endswith(":") for cell in row)


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


def choose_header(
    rows: Sequence[Sequence[object]], wanted: int | None, path: Path, above: int = 0
) -> tuple[int, tuple[str, ...]]:
    """Give the header row, the wanted or the found one, and what is doubtful about it; raises ReadError.

    Rows are numbered as if so many stood above.
    """
    found, other = _find(rows) if wanted is None else (wanted, None)
    if found is None:
        raise ReadError(f"{path.name} holds nothing but blanks.", hint="check that it is the right file or sheet.")
    if not 0 <= found < len(rows) or not filled(rows[found]):
        there = f"it has {len(rows)} rows, numbered from 0" if found >= len(rows) else "that row is blank"
        raise ReadError(f"{path.name} has no header in row {found}.", hint=f"{there}; leave header_row out to find it.")
    doubts = []
    if wanted is None and not looks_like_names(rows[found]):
        doubts = [f"row {found + above} was taken for the header, but it looks like data"]
    if other is not None:
        doubts = [f"row {found + above} was taken for the header, but row {other + above} may be it"]
    return found + above, tuple(doubts)
