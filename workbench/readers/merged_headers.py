"""The names of columns whose header cells are merged over several rows, with groups of columns above them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Any, NamedTuple, TypeAlias

from python_calamine import CalamineSheet

from workbench.readers.headers import filled, is_blank, is_word
from workbench.readers.values import cell_text

MOST_ROWS = 10
"""No header is higher."""
NEARLY_ALL = 0.75

Row: TypeAlias = list[Any]


class _Range(NamedTuple):
    """Merged cells; columns are counted from the first that the sheet gives."""

    top: int
    left: int
    bottom: int
    right: int


def merged_names(sheet: CalamineSheet, row: int) -> tuple[Row, int] | None:
    """Give a name per column and the last row of a header that stands in several rows; null where it is one row."""
    ranges = _ranges(sheet)
    tall = [each for each in _tall(ranges, row) if each.bottom - each.top < MOST_ROWS]
    if not tall:
        return None
    start = min(each.top for each in tall)
    rows = [list(cells) for cells in islice(sheet.iter_rows(), start, max(each.bottom for each in tall) + 1)]
    tall = [each for each in tall if all(map(_holds_words, rows[row + 1 - start : each.bottom + 1 - start]))]
    if not tall:
        return None
    first, last = min(each.top for each in tall), max(each.bottom for each in tall)
    block = rows[first - start : last + 1 - start]
    inside = [each for each in ranges if first <= each.top <= last]
    if not (_is_merged_down(block[0], tall) or _stands_below_groups(block, first, inside)):
        return None
    return _joined(block, first, inside), last


def below_title(sheet: CalamineSheet, rows: Sequence[Row], row: int) -> int:
    """Go on to the header where the found row is but a title beside a box, such as a logo, that goes further down."""
    boxes = _tall(_ranges(sheet), row)
    if not boxes or merged_names(sheet, row):
        return row
    inside = {place for each in boxes for place in range(each.left, each.right + 1)}
    title = sum(not is_blank(cell) for place, cell in enumerate(rows[row]) if place not in inside)
    for below in range(row + 1, min(max(each.bottom for each in boxes) + 1, len(rows))):
        if filled(rows[below]) > title:
            is_header = filled(rows[below]) >= 2 * title and _holds_words(rows[below])
            return below if is_header else row
    return row


def _tall(ranges: Sequence[_Range], row: int) -> list[_Range]:
    return [each for each in ranges if each.top <= row <= each.bottom and each.top < each.bottom]


def _ranges(sheet: CalamineSheet) -> list[_Range]:
    """Give the merged cells as far as they lie within the sheet's columns; empty ones on its left are not given."""
    margin = sheet.start[1] if sheet.start else 0
    found = [
        _Range(top, left - margin, bottom, min(right - margin, sheet.width - 1))
        for (top, left), (bottom, right) in sheet.merged_cell_ranges or []
    ]
    return [each for each in found if 0 <= each.left <= each.right]


def _holds_words(row: Row) -> bool:
    return all(is_word(cell) for cell in row if not is_blank(cell))


def _is_merged_down(names: Row, tall: Sequence[_Range]) -> bool:
    """Say whether nearly all header cells go down, so that the few words below the others go with them."""
    named = [place for place, cell in enumerate(names) if not is_blank(cell)]
    down = {each.left for each in tall}
    return sum(place in down for place in named) >= NEARLY_ALL * len(named)


def _stands_below_groups(block: Sequence[Row], first: int, ranges: Sequence[_Range]) -> bool:
    """Say whether every lower row holds something, and all that stands below cells that are merged sideways."""
    groups = [each for each in ranges if each.left < each.right]
    return all(map(filled, block)) and all(
        any(each.bottom < first + depth and each.left <= place <= each.right for each in groups)
        for depth, row in enumerate(block[1:], start=1)
        for place, cell in enumerate(row)
        if not is_blank(cell) and not any((first + depth, place) == (each.top, each.left) for each in groups)
    )


def _joined(block: list[Row], first: int, ranges: Sequence[_Range]) -> Row:
    for top, left, _, right in ranges:
        block[top - first][left : right + 1] = [block[top - first][left]] * (right + 1 - left)
    texts = [[" ".join(cell_text(cell).split()) for cell in column] for column in zip(*block, strict=True)]
    return [" ".join(dict.fromkeys(filter(None, column))) for column in texts]
