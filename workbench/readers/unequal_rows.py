"""Rows of a CSV file with more or fewer cells than its header: how many they are, and where they begin."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import takewhile

SHOWN = 3
"""Lines that are named."""

_BREAK = re.compile(r"\r\n|\r|\n")


@dataclass(slots=True)
class _Some:
    rows: int = 0
    lines: list[int] = field(default_factory=list)
    """Where the first of them begin."""


@dataclass(slots=True)
class UnequalRows:
    """The rows that are shorter or longer than the header, be it by empty cells at their end alone.

    >>> seen = UnequalRows()
    >>> seen.add(5, lambda: 12)
    >>> [seen.count(rows) for rows in (1, 2, 3)], list(seen.notes(3))
    ([0, 0, 1], ['rows shorter or longer than the header: 1 (line 12)'])
    """

    _by_cells: dict[int, _Some] = field(default_factory=lambda: defaultdict(_Some))

    def add(self, padded: int, line: Callable[[], int]) -> None:
        """Take in a row; `padded` is the number of its cells if those beyond the header are empty, else 0."""
        some = self._by_cells[padded]
        some.rows += 1
        if len(some.lines) < SHOWN:
            some.lines.append(line())

    def count(self, rows: int) -> int:
        """Count those that are a fault in a file with so many rows."""
        return sum(each.rows for each in self._faults(rows))

    def notes(self, rows: int) -> Iterator[str]:
        """Word them for people."""
        count = self.count(rows)
        lines = sorted(line for each in self._faults(rows) for line in each.lines)[:SHOWN]
        if count:
            more = f" and {count - len(lines):,} more" if count > len(lines) else ""
            yield f"rows shorter or longer than the header: {count} (line {', '.join(map(str, lines))}{more})"

    def _faults(self, rows: int) -> list[_Some]:
        """Count in the padded ones where most rows have another length: a delimiter within their text moved them."""
        lengths = {cells: some.rows for cells, some in self._by_cells.items() if cells}
        lengths[0] = rows - sum(some.rows for some in self._by_cells.values())  # that of the header
        usual = max(lengths, key=lambda cells: lengths[cells])
        is_habit = 2 * lengths[usual] > rows
        return [some for cells, some in self._by_cells.items() if not cells or (is_habit and cells != usual)]


def line_of(row: Sequence[str], block: Sequence[Sequence[str]], first: int) -> int:
    r"""Give the line where a row of a block begins, itself and not one that is equal.

    >>> block = [["a\r\nb", "1"], [], ["2", "3"]]
    >>> line_of(block[2], block, 10)
    13
    """
    above = takewhile(lambda each: each is not row, block)
    return first + sum(1 + sum(len(_BREAK.findall(cell)) for cell in each) for each in above)
