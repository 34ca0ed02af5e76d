"""Excel and OpenDocument workbooks through calamine, which holds one sheet at a time.

A sheet too large for that, which the ZIP directory tells, is streamed by openpyxl, slower and in bounded memory. What
cannot be judged before it is opened (.xls, .xlsb, .ods, odd .xlsx) is opened in a process with limits.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
from python_calamine import CalamineSheet, CalamineWorkbook, SheetMetadata, SheetTypeEnum, SheetVisibleEnum

from workbench.errors import ReadError, few
from workbench.readers.columns import TARGET_ROWS, Column, distinct_names, make_table
from workbench.readers.faults import MAGIC, MARKUP, SAVE_AS_XLSX, border, no_rows
from workbench.readers.formats import SUFFIXES, Format, Options, Scan
from workbench.readers.guarded import scan_guarded
from workbench.readers.headers import SAMPLE_ROWS, choose_header, filled
from workbench.readers.merged_headers import Row, below_title, merged_names
from workbench.readers.sheet_parts import LARGE, SheetFacts, kind_of_workbook, looks_safe, ods_errors, sheet_facts
from workbench.readers.sheet_stream import StreamedSheet
from workbench.readers.values import ValueEvidence, cell_text, make_array

MODERN = (".xlsx", ".xlsm")
OLD = MAGIC[1][0]
"""How the container of .xls, and of encrypted workbooks, begins."""
STREAM_FROM = 1 << 30
"""Bytes of a sheet's XML from which it is streamed: calamine takes about as much memory."""
STREAM_SAMPLE_FROM = 20 << 20
"""The same where only the first rows are wanted."""
HELD_CELLS = 2_000_000
"""Cells that are held as values, some 60 bytes each, between the decision on types and the table."""
MIN_DENSITY = 1 / 100
"""calamine holds the whole rectangle of a sheet, some 30 bytes a cell: a large one must not be nearly empty."""
LOOKED_AT = 8
"""Sheets among which one that looks like a table is preferred to a first one that does not."""
COVER_ROWS = 20
"""A cover has fewer lines of text."""
HELD_WHOLE = (".xls", ".ods")
"""Of these calamine has all sheets as soon as the workbook is open."""


class Fit(IntEnum):
    """How well a sheet suits."""

    EMPTY = 0
    ROW = 1
    ROWS = 2
    TABLE = 3
    """At least half of its rows have several cells, or it is no cover."""
    HAS_COLUMNS = 4
    """It has the columns that are looked for."""


@dataclass(slots=True)
class _Survey:
    rows: int = 0
    columns: list[ValueEvidence] = field(default_factory=list)

    def see(self, columns: Sequence[Sequence[Any]]) -> None:
        if not self.columns:
            self.columns = [ValueEvidence(whole_is_integer=True) for _ in columns]
        for evidence, values in zip(self.columns, columns, strict=True):
            evidence.see(values)
        self.rows += len(columns[0])


def scan_xlsx(path: Path, options: Options) -> Scan:
    """Scan an .xlsx workbook, under guard where its parts tell too little or too much; raises ReadError."""
    with border(path):
        _refuse_impostor(path)
        safe = looks_safe(path)
    return scan_workbook(path, options) if safe else scan_guarded(path, options)


def scan_workbook(path: Path, options: Options) -> Scan:
    """Open a workbook, choose the sheet and go through it once; raises ReadError."""
    with border(path):
        _refuse_impostor(path)
        facts = sheet_facts(path)
        with CalamineWorkbook.from_path(path) as workbook:
            sheet = _choose(path, workbook, options, facts)
            names = tuple(workbook.sheet_names)
            others = [] if options.sheet is not None else [*_other_sheets(path, workbook, sheet.name, facts)]
        header_row, doubts = _header(path, sheet, options.header_row)
        header, header_end = _names(sheet, header_row, options.header_row is None)
        blocks = _Blocks(sheet, header_end, options.limit)
        survey = _Survey()
        for block in blocks:
            survey.see(block)
    if not survey.rows:
        raise no_rows(path, f", sheet {sheet.name!r},")
    columns = _columns(header, survey)
    seen = facts.get(sheet.name) or SheetFacts(errors=_errors(path, sheet.name))
    partly = isinstance(sheet, StreamedSheet) and survey.rows == options.limit
    return Scan(
        path=path,
        format="xlsx" if path.suffix.lower() in MODERN else path.suffix.lower()[1:],
        columns=columns,
        rows=survey.rows,
        estimated_rows=sheet.height - header_end - 1 if partly else None,
        tables=lambda: _tables(path, blocks, columns),
        sheet=sheet.name,
        sheets=names,
        header_row=header_row,
        error_cells=seen.errors,
        notes=(*doubts, *others, *_empty_cells(seen)),
    )


def _errors(path: Path, sheet: str) -> int:
    """Count the error cells of a sheet of which `sheet_facts` knows nothing; of .xls and .xlsb none is told."""
    return ods_errors(path).get(sheet, 0) if path.suffix.lower() == ".ods" else 0


def _empty_cells(seen: SheetFacts) -> Iterator[str]:
    if seen.errors:
        yield f"cells with an Excel error, read as null: {seen.errors}"
    if seen.unstored:
        yield f"formulas without a stored value, read as null: {seen.unstored} (open and save the file in Excel once)"


def _refuse_impostor(path: Path) -> None:
    """Raise ReadError where a file is of another kind than its suffix says; a damaged one may pass."""
    with path.open("rb") as stream:
        head = stream.read(1 << 10)
    suffix = path.suffix.lower()
    found = kind_of_workbook(path) if head.startswith(b"PK") else _kind_of_old(path) if head.startswith(OLD) else None
    if found not in (None, suffix) and {found, suffix} != set(MODERN):
        hint = f"name it {path.stem}{found}."
        raise ReadError(f"{path.name} is a workbook of the kind {found}, not {suffix}.", hint=hint)
    if head.startswith((b"PK", OLD)):
        return
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    kinds = [(what, hint) for magic, what, hint in MAGIC if head.startswith(magic)]
    kinds += [(what, SAVE_AS_XLSX) for mark, what in MARKUP if start.startswith(mark)]
    what, hint = next(iter(kinds), ("something else", "if it is text, name it .csv."))
    raise ReadError(f"{path.name} is {what}, not an Excel workbook.", hint=hint)


def _kind_of_old(path: Path) -> str | None:
    """Say .xls where the container names a stream as old workbooks do; encrypted new ones stand in it too."""
    data = path.read_bytes()
    return ".xls" if any(name.encode("utf-16-le") in data for name in ("Workbook", "Book\0")) else None


def _choose(
    path: Path, workbook: CalamineWorkbook, options: Options, facts: dict[str, SheetFacts]
) -> CalamineSheet | StreamedSheet:
    """Take the sheet that is named, or the best of the first ones; a hidden one only where no other will do."""
    if options.sheet is not None:
        return _load(path, workbook, _named(path, workbook.sheet_names, options.sheet), facts, options)
    best, fit = None, Fit.EMPTY
    enough = Fit.HAS_COLUMNS if options.columns else Fit.TABLE
    for place, metadata in enumerate(_worksheets(workbook)):
        last_resort = place >= LOOKED_AT or metadata.visible != SheetVisibleEnum.Visible
        if fit >= enough or (last_resort and fit >= Fit.ROWS and not options.columns):
            break
        try:
            sheet = _load(path, workbook, metadata.name, facts, options)
        except ReadError:
            if best is None:
                raise
            continue
        found = _fit(path, sheet, options)
        if found > fit and (found == enough or fit < Fit.ROWS or not last_resort):
            best, fit = sheet, found
    if best is None:
        raise ReadError(f"{path.name} has no sheet with data.", hint=f"it has {_quoted(workbook.sheet_names)}.")
    return best


def _worksheets(workbook: CalamineWorkbook) -> list[SheetMetadata]:
    """Give the sheets that have cells; hidden ones last, else in order."""
    sheets = [sheet for sheet in workbook.sheets_metadata if sheet.typ == SheetTypeEnum.WorkSheet]
    return sorted(sheets, key=lambda sheet: sheet.visible != SheetVisibleEnum.Visible)


def _fit(path: Path, sheet: CalamineSheet | StreamedSheet, options: Options) -> Fit:
    counts = [count for count in map(filled, islice(sheet.iter_rows(), SAMPLE_ROWS)) if count]
    if options.columns and counts:
        header_row, _ = _header(path, sheet, None)
        header, _ = _names(sheet, header_row, True)
        if set(distinct_names(map(cell_text, header))).issuperset(options.columns):
            return Fit.HAS_COLUMNS
    several = sum(count > 1 for count in counts)
    if len(counts) >= COVER_ROWS or sheet.height > SAMPLE_ROWS or 2 * several >= len(counts) > 1:
        return Fit.TABLE
    return Fit.ROWS if len(counts) > 1 else Fit.ROW if counts else Fit.EMPTY


def _other_sheets(path: Path, workbook: CalamineWorkbook, chosen: str, facts: dict[str, SheetFacts]) -> Iterator[str]:
    """Name the other sheets that hold rows, without loading them."""
    shown = [sheet.name for sheet in _worksheets(workbook) if sheet.visible == SheetVisibleEnum.Visible]
    held = path.suffix.lower() in HELD_WHOLE
    others = [
        name
        for name in shown
        if name != chosen
        and (facts[name].has_rows if name in facts else held and workbook.get_sheet_by_name(name).height > 1)
    ]
    if others:
        hold = "holds" if len(others) == 1 else "hold"
        rest = f"{_quoted(others)} {hold} rows too"
        yield f"only sheet {chosen!r} of {len(shown)} is read; {rest}: ingest.sheet names another"


def _named(path: Path, names: Sequence[str], wanted: str | int) -> str:
    if wanted in names:
        return str(wanted)
    if isinstance(wanted, int) and not isinstance(wanted, bool):
        if 0 <= wanted < len(names):
            return names[wanted]
        if str(wanted) in names:
            return str(wanted)
    raise ReadError(f"sheet {wanted!r} is not in {path.name}.", hint=f"it has {_quoted(names)}.")


def _quoted(names: Sequence[str]) -> str:
    return few([*map(repr, names)], 30)


def _load(
    path: Path, workbook: CalamineWorkbook, name: str, facts: dict[str, SheetFacts], options: Options
) -> CalamineSheet | StreamedSheet:
    fact = facts.get(name)
    if fact and fact.area >= LARGE and fact.cells < fact.area * MIN_DENSITY:
        raise ReadError(
            f"{path.name}, sheet {name!r}: its {fact.cells} cells reach to row {fact.rows} and column {fact.columns}.",
            hint="a stray cell stands far away: delete the rows and columns behind the table and save.",
        )
    if fact and fact.bytes > (STREAM_FROM if options.limit is None else STREAM_SAMPLE_FROM):
        return StreamedSheet(path, name, fact)
    return workbook.get_sheet_by_name(name)


def _header(path: Path, sheet: CalamineSheet | StreamedSheet, wanted: int | None) -> tuple[int, tuple[str, ...]]:
    first = sheet.start[0] if sheet.start else 0
    shown = first + SAMPLE_ROWS if wanted is None else sheet.height + first
    rows = list(islice(sheet.iter_rows(), max(shown, 0)))
    skipped = first if wanted is None else 0  # blank rows above the data tell nothing
    row, doubts = choose_header(rows[skipped:], wanted, path, skipped)
    if wanted is None and isinstance(sheet, CalamineSheet):
        header = below_title(sheet, rows, row)
        if header != row:
            return header, ()
    return row, doubts


def _names(sheet: CalamineSheet | StreamedSheet, row: int, found: bool) -> tuple[Row, int]:
    """Give the header cells and their last row: cells merged downwards take all rows they cover into the header."""
    merged = merged_names(sheet, row) if found and isinstance(sheet, CalamineSheet) else None
    return merged or (list(next(islice(sheet.iter_rows(), row, None))), row)


class _Blocks:
    """The columns of the rows below the header in blocks, without blank rows and with null for empty cells."""

    def __init__(self, sheet: CalamineSheet | StreamedSheet, header_row: int, limit: int | None) -> None:
        last = None if limit is None or isinstance(sheet, CalamineSheet) else header_row + 1 + limit
        self._sheet = sheet
        self._rows = (header_row + 1, last)
        self._held: list[list[Row]] | None = None
        self._may_hold = isinstance(sheet, CalamineSheet) and sheet.height * sheet.width <= HELD_CELLS

    def __iter__(self) -> Iterator[list[Row]]:
        """Go through the sheet; a small one is held, so that its cells are made values once."""
        if self._may_hold and self._held is None:
            self._held = list(self._made())
        yield from self._made() if self._held is None else self._held

    def _made(self) -> Iterator[list[Row]]:
        rows = islice(self._sheet.iter_rows(), *self._rows)
        while block := list(islice(rows, TARGET_ROWS)):
            blank = [""] * len(block[0])
            columns = list(zip(*(row for row in block if row != blank), strict=True))
            if columns:
                yield [[None if value == "" else value for value in column] for column in columns]


def _columns(header: Row, survey: _Survey) -> tuple[Column, ...]:
    cells = [cell_text(cell) for cell in header]
    while cells and not cells[-1].strip() and not survey.columns[len(cells) - 1].filled:
        cells.pop()
    names = distinct_names(cells)
    return tuple(
        evidence.column(name, position, survey.rows)
        for position, (name, evidence) in enumerate(zip(names, survey.columns, strict=False))
    )


def _tables(path: Path, blocks: _Blocks, columns: Sequence[Column]) -> Iterator[pa.Table]:
    with border(path):
        for block in blocks:
            yield make_table(columns, [make_array(block[int(c.source)], c.kind, cell_text) for c in columns])


for _suffix in MODERN:
    SUFFIXES.register(_suffix, Format("xlsx", scan_xlsx))
for _suffix in (".xls", ".xlsb", ".ods"):
    SUFFIXES.register(_suffix, Format(_suffix[1:], scan_guarded))
