"""A sheet too large to be held: openpyxl goes through it row by row."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from workbench.readers.sheet_parts import SheetFacts


class StreamedSheet:
    """A sheet with the face of a calamine one: rows of equal length, "" for empty cells and for Excel's errors."""

    start = (0, 0)

    def __init__(self, path: Path, name: str, facts: SheetFacts) -> None:
        self._path = path
        self.name = name
        self.height = facts.rows
        self._width = facts.columns

    def iter_rows(self) -> Iterator[list[Any]]:
        """Go through the rows from the first row of the sheet on."""
        from openpyxl import load_workbook
        from openpyxl.cell.cell import ERROR_CODES

        workbook = load_workbook(self._path, read_only=True, data_only=True)
        empty = {None, *ERROR_CODES}
        try:
            sheet = workbook[self.name]
            sheet.reset_dimensions()  # what the file says of them is often wrong
            for cells in sheet.iter_rows(values_only=True):
                row = ["" if isinstance(cell, str | None) and cell in empty else cell for cell in cells[: self._width]]
                yield row + [""] * (self._width - len(row))
        finally:
            workbook.close()
