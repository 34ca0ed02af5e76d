"""Workbooks of any size: a frame goes to XLSX row by row, in little memory, and arrives in Excel as it was."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from numbers import Integral, Real
from pathlib import Path
from typing import Any

import pandas as pd
import xlsxwriter
from xlsxwriter.exceptions import XlsxWriterException
from xlsxwriter.worksheet import Worksheet

from workbench.errors import StorageError
from workbench.runs.artifacts import atomic_path, partial_path, remove

ROWS_PER_SHEET = 1_048_575
"""What a sheet holds below its header."""

COLUMNS_PER_SHEET = 16_384
TEXT_LENGTH = 32_767
"""What a cell holds, in UTF-16 units."""

CUT_NOTE = " […cut: too long for a cell]"
EXACT_NUMBER = 10**15
"""Excel keeps 15 digits: a longer whole number (a folio, an account) goes in as text, whole."""

_BLOCK = 5_000
_MEASURED = 200
_NARROWEST, _WIDEST = 8, 60
_ILLEGAL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_SHEET_ILLEGAL = re.compile(r"[\[\]:*?/\\\x00-\x1f]")
_FORMATS = {date: "yyyy-mm-dd", datetime: "yyyy-mm-dd hh:mm:ss", time: "hh:mm:ss", timedelta: "[h]:mm:ss"}


@dataclass
class WorkbookReport:
    """What became of a frame on its way into a workbook."""

    path: Path
    rows: int = 0
    sheets: list[str] = field(default_factory=list)
    cleaned_cells: int = 0
    """Cells that lost control characters, which XML cannot hold."""
    cut_cells: int = 0
    """Cells that were cut at 32,767 characters and say so at their end."""


def write_workbook(
    path: Path, frame: pd.DataFrame | Iterable[pd.DataFrame], *, sheet: str, rows_per_sheet: int = ROWS_PER_SHEET
) -> WorkbookReport:
    """Write a frame, or frames of the same columns, to an XLSX file that appears when it is complete.

    Numbers and dates stay what they are (times with a zone become UTC without one); text stays text, even if it looks
    like a formula or an address; null is an empty cell. More rows than `rows_per_sheet` go on in further sheets.
    Raises StorageError for more than 16,384 columns, for frames that differ and where the file cannot be written.
    """
    report = WorkbookReport(path)
    with atomic_path(path) as partial:
        spill = partial_path(path)
        spill.mkdir()
        book = _Book(partial, spill, report, sheet, min(rows_per_sheet, ROWS_PER_SHEET))
        try:
            for part in [frame] if isinstance(frame, pd.DataFrame) else frame:
                book.add(part)
            book.close()
        except XlsxWriterException as error:
            cause = error.args[0] if error.args else None
            raise cause if isinstance(cause, OSError) else StorageError(f"cannot write {path}: {error}.") from None
        finally:
            book.release()
            remove(spill)
    return report


class _PlainSheet(Worksheet):  # type: ignore[misc]
    """A sheet where text in <r>…</r> is text: xlsxwriter would take it for markup and break the file."""

    def _xml_rich_inline_string(self, string: str, attributes: Any = ()) -> None:
        self._xml_inline_string(string, string != string.strip(), attributes)


class _Book:
    """A workbook under way: the sheet that is being filled, and where in it."""

    def __init__(self, partial: Path, spill: Path, report: WorkbookReport, title: str, rows_per_sheet: int) -> None:
        options = {"constant_memory": True, "tmpdir": str(spill), "use_zip64": True}
        self._book = xlsxwriter.Workbook(str(partial), options)
        self._formats = {kind: self._book.add_format({"num_format": text}) for kind, text in _FORMATS.items()}
        self._bold = self._book.add_format({"bold": True})
        self._report = report
        self._title = title
        self._rows_per_sheet = rows_per_sheet
        self._columns: list[str] | None = None
        self._widths: list[int] = []
        self._sheet: Any = None
        self._row = 0
        self._puts: dict[type, Callable[[int, int, Any], Any]] = {}

    def add(self, frame: pd.DataFrame) -> None:
        """Put the rows of a frame below those before."""
        names = [self._text(str(name)) for name in frame.columns]
        if self._columns is None:
            self._start(names, frame)
        elif names != self._columns:
            raise StorageError(f"cannot write {self._report.path}: its parts have different columns.")
        for start in range(0, len(frame), _BLOCK):
            block = frame.iloc[start : start + _BLOCK]
            columns = [self._cells(block.iloc[:, position]) for position in range(block.shape[1])]
            for cells in zip(*columns, strict=True):
                self._put(cells)

    def close(self) -> None:
        """Finish the last sheet and write the file."""
        if self._columns is None:
            self._start([], pd.DataFrame())
        self._finish_sheet()
        self._book.close()

    def release(self) -> None:
        """Close the files behind the sheets, which xlsxwriter leaves open when something fails."""
        for sheet in self._book.worksheets():
            with suppress(OSError):
                sheet._opt_close()

    def _start(self, names: list[str], frame: pd.DataFrame) -> None:
        if len(names) > COLUMNS_PER_SHEET:
            raise StorageError(
                f"cannot write {self._report.path}: {len(names)} columns, but a sheet holds {COLUMNS_PER_SHEET}.",
                hint="export to parquet or CSV instead.",
            )
        self._columns = names
        self._widths = [_width(name, frame.iloc[:_MEASURED, position]) for position, name in enumerate(names)]
        self._start_sheet()

    def _start_sheet(self) -> None:
        name = _sheet_name(self._title, len(self._report.sheets) + 1)
        self._report.sheets.append(name)
        self._sheet = self._book.add_worksheet(name, worksheet_class=_PlainSheet)
        self._sheet.freeze_panes(1, 0)
        self._row = 0
        for position, (column, width) in enumerate(zip(self._columns or [], self._widths, strict=True)):
            self._sheet.set_column(position, position, width)
            self._sheet.write_string(0, position, column, self._bold)
        self._puts = {str: self._sheet.write_string, bool: self._sheet.write_boolean}
        self._puts |= dict.fromkeys((int, float), self._sheet.write_number)
        self._puts |= {kind: self._dated(form) for kind, form in self._formats.items()}

    def _dated(self, form: Any) -> Callable[[int, int, Any], Any]:
        write = self._sheet.write_datetime
        return lambda row, column, value: write(row, column, value, form)

    def _finish_sheet(self) -> None:
        if self._columns:
            self._sheet.autofilter(0, 0, self._row, len(self._columns) - 1)

    def _put(self, cells: tuple[Any, ...]) -> None:
        if self._row == self._rows_per_sheet:
            self._finish_sheet()
            self._start_sheet()
        self._row += 1
        self._report.rows += 1
        for position, value in enumerate(cells):
            if value is not None:
                self._puts[value.__class__](self._row, position, value)

    def _cells(self, column: pd.Series[Any]) -> list[Any]:
        """Turn a column into what the sheet takes: str, int, float, bool, a date or a time; None is empty."""
        if pd.api.types.is_datetime64_any_dtype(column.dtype):
            return [self._cell(value) for value in _naive(column)]
        missing = column.isna().tolist()
        return [None if gone else self._cell(value) for value, gone in zip(column.tolist(), missing, strict=True)]

    def _cell(self, value: Any) -> Any:
        kind = value.__class__
        if kind is str:
            return self._text(value) or None
        if kind is bool or value is None:
            return value
        if isinstance(value, Integral):
            return int(value) if -EXACT_NUMBER < int(value) < EXACT_NUMBER else str(value)
        if hasattr(value, "is_finite") or isinstance(value, Real):
            number = float(value)
            return number if number - number == 0 else str(value)
        if isinstance(value, date | time | timedelta):
            return _moment(value)
        return self._text(str(value)) or None

    def _text(self, text: str) -> str:
        if _ILLEGAL.search(text):
            self._report.cleaned_cells += 1
            text = _ILLEGAL.sub("", text)
        if len(text) > TEXT_LENGTH // 2 and len(units := text.encode("utf-16-le")) > 2 * TEXT_LENGTH:
            self._report.cut_cells += 1
            text = units[: 2 * (TEXT_LENGTH - len(CUT_NOTE))].decode("utf-16-le", "ignore") + CUT_NOTE
        return text


def _naive(column: pd.Series[Any]) -> list[Any]:
    """Give the times of a column without a zone, as plain days where none has a time of day."""
    times = column.dt.tz_convert(None) if isinstance(column.dtype, pd.DatetimeTZDtype) else column
    times = times.dt.as_unit("us")
    known = times.dropna()
    days = bool((known == known.dt.normalize()).all())
    return [None if moment is pd.NaT else moment.date() if days else moment.to_pydatetime() for moment in times]


def _moment(value: Any) -> Any:
    """Give a date or time as Excel knows it: no zone, nothing before 1900 (that becomes text)."""
    if isinstance(value, timedelta):
        return timedelta(seconds=value.total_seconds()) if value >= timedelta(0) else str(value)
    if isinstance(value, datetime):
        plain = value.to_pydatetime(warn=False) if isinstance(value, pd.Timestamp) else value
        value = plain.astimezone(UTC).replace(tzinfo=None) if plain.tzinfo else plain
    if isinstance(value, time):
        return value if value.tzinfo is None else value.isoformat()
    return value if value.year >= 1900 else value.isoformat()


def _width(name: str, column: pd.Series[Any]) -> int:
    longest = max((len(str(value)) for value in column.dropna()), default=0)
    return min(max(len(name) + 3, longest + 1, _NARROWEST), _WIDEST)


def _sheet_name(title: str, number: int) -> str:
    """Name a sheet as Excel allows: at most 31 characters, no brackets, colons, stars, question marks or slashes.

    >>> _sheet_name("enero/febrero", 1), _sheet_name("x" * 40, 12)
    ('enero febrero', 'xxxxxxxxxxxxxxxxxxxxxxxxxxxx 12')
    """
    clean = _SHEET_ILLEGAL.sub(" ", title).strip(" '") or "Sheet"
    if clean.casefold() == "history":  # a name that Excel keeps for itself
        clean += " "
    suffix = f" {number}" if number > 1 else ""
    return clean[: 31 - len(suffix)].rstrip(" '") + suffix
