"""XLSX through calamine, which holds one sheet at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, TypeAlias

import pyarrow as pa
from python_calamine import CalamineSheet, CalamineWorkbook, SheetTypeEnum, SheetVisibleEnum

from workbench.errors import ReadError
from workbench.readers.columns import TARGET_ROWS, Column, distinct_names, make_table
from workbench.readers.faults import MAGIC, MARKUP, border, no_rows
from workbench.readers.formats import SUFFIXES, Format, Options, Scan
from workbench.readers.headers import SAMPLE_ROWS, choose_header, is_blank
from workbench.readers.sheet_parts import LARGE, SheetFacts, sheet_facts
from workbench.readers.values import ValueEvidence, cell_text, make_array

MIN_DENSITY = 1 / 100
"""calamine holds the whole rectangle of a sheet, some 30 bytes a cell: a large one must not be nearly empty."""

Row: TypeAlias = list[Any]


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


def scan_workbook(path: Path, options: Options) -> Scan:
    """Open a workbook, choose the sheet and go through it once; raises ReadError."""
    with border(path):
        _refuse_impostor(path)
        facts = sheet_facts(path)
        with CalamineWorkbook.from_path(path) as workbook:
            sheet = _choose(path, workbook, options.sheet, facts)
            names = tuple(workbook.sheet_names)
        header_row, doubts = _header(path, sheet, options.header_row)
        header = next(islice(sheet.iter_rows(), header_row, None))
        survey = _Survey()
        for block in _blocks(sheet, header_row):
            survey.see(block)
    if not survey.rows:
        raise no_rows(path, f", sheet {sheet.name!r},")
    columns = _columns(header, survey)
    seen = facts.get(sheet.name, SheetFacts())
    return Scan(
        path=path,
        format="xlsx",
        columns=columns,
        rows=survey.rows,
        tables=lambda: _tables(path, sheet, header_row, columns),
        sheet=sheet.name,
        sheets=names,
        header_row=header_row,
        error_cells=seen.errors,
        notes=(*doubts, *_empty_cells(seen)),
    )


def _empty_cells(seen: SheetFacts) -> Iterator[str]:
    if seen.errors:
        yield f"cells with an Excel error, read as null: {seen.errors}"
    if seen.unstored:
        yield f"formulas without a stored value, read as null: {seen.unstored} (open and save the file in Excel once)"


def _refuse_impostor(path: Path) -> None:
    with path.open("rb") as stream:
        head = stream.read(1 << 10)
    if head.startswith((b"PK", MAGIC[1][0])):  # a ZIP, or the container of old and of encrypted workbooks
        return
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    kinds = [what for magic, what, _ in MAGIC if head.startswith(magic)]
    kinds += [what for mark, what in MARKUP if start.startswith(mark)]
    what = kinds[0] if kinds else "something else"
    raise ReadError(f"{path.name} is {what}, not an Excel workbook.", hint="if it is text, name it .csv.")


def _choose(
    path: Path, workbook: CalamineWorkbook, wanted: str | int | None, facts: dict[str, SheetFacts]
) -> CalamineSheet:
    if wanted is not None:
        return _load(path, workbook, _named(path, workbook.sheet_names, wanted), facts)
    sheets = [sheet for sheet in workbook.sheets_metadata if sheet.typ == SheetTypeEnum.WorkSheet]
    sheets.sort(key=lambda sheet: sheet.visible != SheetVisibleEnum.Visible)  # hidden ones last, else in order
    fallback = None
    for metadata in sheets:
        sheet = _load(path, workbook, metadata.name, facts)
        rows = sum(1 for row in islice(sheet.iter_rows(), SAMPLE_ROWS) if not all(map(is_blank, row)))
        if rows > 1 or sheet.height > SAMPLE_ROWS:
            return sheet
        fallback = fallback or (sheet if rows else None)
    if fallback is None:
        raise ReadError(f"{path.name} has no sheet with data.", hint=f"it has {_listed(workbook.sheet_names)}.")
    return fallback


def _named(path: Path, names: Sequence[str], wanted: str | int) -> str:
    if wanted in names:
        return str(wanted)
    if isinstance(wanted, int) and not isinstance(wanted, bool):
        if 0 <= wanted < len(names):
            return names[wanted]
        if str(wanted) in names:
            return str(wanted)
    raise ReadError(f"sheet {wanted!r} is not in {path.name}.", hint=f"it has {_listed(names)}.")


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - 30} more" if len(names) > 30 else ""
    return ", ".join(map(repr, names[:30])) + more


def _load(path: Path, workbook: CalamineWorkbook, name: str, facts: dict[str, SheetFacts]) -> CalamineSheet:
    fact = facts.get(name)
    if fact and fact.area >= LARGE and fact.cells < fact.area * MIN_DENSITY:
        raise ReadError(
            f"{path.name}, sheet {name!r}: its {fact.cells} cells reach to row {fact.rows} and column {fact.columns}.",
            hint="a stray cell stands far away: delete the rows and columns behind the table and save.",
        )
    return workbook.get_sheet_by_name(name)


def _header(path: Path, sheet: CalamineSheet, wanted: int | None) -> tuple[int, tuple[str, ...]]:
    first = sheet.start[0] if sheet.start else 0
    shown = first + SAMPLE_ROWS if wanted is None else sheet.height + first
    rows = list(islice(sheet.iter_rows(), max(shown, 0)))
    skipped = first if wanted is None else 0  # blank rows above the data tell nothing
    row, doubts = choose_header(rows[skipped:], wanted, path)
    return row + skipped, tuple(doubt.replace(f"row {row}", f"row {row + skipped}") for doubt in doubts)


def _blocks(sheet: CalamineSheet, header_row: int) -> Iterator[list[Row]]:
    """Give the columns of the rows below the header in blocks, without blank rows and with null for empty cells."""
    rows = islice(sheet.iter_rows(), header_row + 1, None)
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


def _tables(path: Path, sheet: CalamineSheet, header_row: int, columns: Sequence[Column]) -> Iterator[pa.Table]:
    with border(path):
        for block in _blocks(sheet, header_row):
            yield make_table(columns, [make_array(block[int(c.source)], c.kind, cell_text) for c in columns])


for _suffix in (".xlsx", ".xlsm"):
    SUFFIXES.register(_suffix, Format("xlsx", scan_workbook))
