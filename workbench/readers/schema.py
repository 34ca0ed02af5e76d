"""What files hold: columns, types, nulls and samples of each, and how well the files go together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd

from workbench.errors import ReadError, UsageError
from workbench.readers.archives import Opener
from workbench.readers.columns import Kind, frames
from workbench.readers.faults import border
from workbench.readers.formats import Options, Scan, scan
from workbench.readers.tallies import ColumnSchema, Tally, add_up, tallies

BATCH_ROWS = 50_000


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSchema:
    """A file and its columns, or why it could not be read (`fault`)."""

    path: str
    format: str | None = None
    bytes: int | None = None
    rows: int | None = None
    options: dict[str, Any] = field(default_factory=dict)
    """How the file was read: encoding, delimiter, sheet and header_row, as `read` takes them."""
    sheets: list[str] = field(default_factory=list)
    columns: list[ColumnSchema] = field(default_factory=list)
    ragged_rows: int = 0
    nul_bytes: int = 0
    error_cells: int = 0
    notes: list[str] = field(default_factory=list)
    fault: str | None = None
    files: int = 1
    """How many files this stands for: invoices of one folder or archive are described together."""
    modified: str | None = None
    """When it was changed, in UTC."""
    rows_looked_at: int | None = None
    """The first rows, on which types, nulls, distinct values and samples rest; null = all."""
    rows_estimated: int | None = None
    """Where only the beginning was read (`rows` is null): about how many rows there are, by the bytes."""


@dataclass(frozen=True, slots=True)
class ColumnCompatibility:
    """A column across files."""

    column_name: str
    present_in_files: list[str]
    missing_in_files: list[str]
    presence_count: int
    presence_percentage: float
    data_types: dict[str, str]
    """File → type."""
    has_type_conflict: bool
    """Whether the types do not go together; integers go with numbers, and an empty column with any."""
    unique_types: list[str]


@dataclass(frozen=True, slots=True)
class SchemaReport:
    """The schemas of some files."""

    files: list[FileSchema]
    duplicates: list[list[str]] = field(default_factory=list)
    """Groups of files with the same bytes."""
    passed_over: list[str] = field(default_factory=list)
    """Files of formats that cannot be read."""

    @property
    def readable(self) -> list[FileSchema]:
        """The files that could be read."""
        return [file for file in self.files if file.fault is None]

    @property
    def faults(self) -> dict[str, str]:
        """Path → reason, for the files that could not be read."""
        return {file.path: file.fault for file in self.files if file.fault is not None}

    @property
    def compatibility(self) -> list[ColumnCompatibility]:
        """Every column of the readable files, in the order of its first appearance."""
        names = dict.fromkeys(column.name for file in self.readable for column in file.columns)
        return [_compatibility(name, self.readable) for name in names]

    @property
    def common_columns(self) -> list[ColumnCompatibility]:
        """The columns that every readable file has."""
        return [column for column in self.compatibility if not column.missing_in_files]

    @property
    def optional_columns(self) -> list[ColumnCompatibility]:
        """The columns that only some readable files have."""
        return [column for column in self.compatibility if column.missing_in_files]

    @property
    def type_conflicts(self) -> list[ColumnCompatibility]:
        """The columns whose types differ between files."""
        return [column for column in self.compatibility if column.has_type_conflict]

    @property
    def has_compatible_schema(self) -> bool:
        """Whether the files share columns, and no shared column has types that do not go together."""
        return bool(self.common_columns) and not any(column.has_type_conflict for column in self.common_columns)

    def to_frame(self) -> pd.DataFrame:
        """Give one row per column, as in the files: path, format, rows, column, type, nulls, distinct, samples."""
        found = [
            (file.path, file.format, file.rows, column.name, column.type, column.nulls, column.distinct, column.samples)
            for file in self.readable
            for column in file.columns
        ]
        names = ["path", "format", "rows", "column", "type", "nulls", "distinct", "samples"]
        return pd.DataFrame(found, columns=names)

    def frames(self) -> list[pd.DataFrame]:
        """Give what people look at: the columns of the one file, or before it the files and how they go together."""
        alone = len(self.files) == 1 and not self.passed_over
        return [self.to_frame()] if alone else [self.files_frame(), self.columns_frame(), self.to_frame()]

    def files_frame(self) -> pd.DataFrame:
        """Give one row per file: path, format, files, rows, columns, bytes, modified, remark.

        A remark says why a file cannot be read, which other has the same bytes, or what its reader noted.
        """
        twins = {name: f"the same bytes as {group[group[0] == name]}" for group in self.duplicates for name in group}
        found: list[tuple[Any, ...]] = []
        for file in self.files:
            remarks = [file.fault] if file.fault else [twins.get(file.path), *file.notes]
            rows = file.rows if file.rows is not None else file.rows_estimated
            facts = (file.files, rows, len(file.columns), file.bytes, file.modified)
            found.append((file.path, file.format, *facts, "; ".join(filter(None, remarks))))
        found += [
            (name, None, 1, None, 0, None, None, "passed over: no file of a known format") for name in self.passed_over
        ]
        names = ["path", "format", "files", "rows", "columns", "bytes", "modified", "remark"]
        return pd.DataFrame(found, columns=names).astype({"rows": "Int64", "bytes": "Int64"})

    def columns_frame(self) -> pd.DataFrame:
        """Give one row per column across files: column, presence (per cent of files), types, conflict, missing_in."""
        found = [
            (each.column_name, round(each.presence_percentage, 1), each.unique_types, conflict, each.missing_in_files)
            for each in self.compatibility
            for conflict in [each.has_type_conflict]
        ]
        return pd.DataFrame(found, columns=["column", "presence", "types", "conflict", "missing_in"])

    def summary(self) -> dict[str, Any]:
        """Give names and counts as plain data for JSON: how many files, which columns, what does not go together."""
        return {
            "total_files": sum(file.files for file in self.files),
            "files_with_faults": len(self.faults),
            "common_columns": [column.column_name for column in self.common_columns],
            "optional_columns": [column.column_name for column in self.optional_columns],
            "type_conflicts": [column.column_name for column in self.type_conflicts],
            "has_compatible_schema": self.has_compatible_schema,
        }

    def to_dict(self) -> dict[str, Any]:
        """Give the report as plain data for JSON."""
        return {
            "files": [asdict(file) for file in self.files],
            "common_columns": [asdict(column) for column in self.common_columns],
            "optional_columns": [asdict(column) for column in self.optional_columns],
            "type_conflicts": [column.column_name for column in self.type_conflicts],
            "has_compatible_schema": self.has_compatible_schema,
            "total_files": sum(file.files for file in self.files),
            "total_bytes": sum(file.bytes or 0 for file in self.files),
            "duplicates": self.duplicates,
            "passed_over": self.passed_over,
        }


def _compatibility(name: str, files: Sequence[FileSchema]) -> ColumnCompatibility:
    types = {file.path: column.type for file in files for column in file.columns if column.name == name}
    missing = [file.path for file in files if file.path not in types]
    real = set(types.values()) - {Kind.EMPTY}
    conflict = len(real) > 1 and real != {Kind.INTEGER, Kind.NUMBER}
    present = sum(file.files for file in files if file.path in types)
    percentage = 100 * present / sum(file.files for file in files)
    kinds = sorted(set(types.values()))
    return ColumnCompatibility(name, list(types), missing, present, percentage, types, conflict, kinds)


def inspect_files(
    paths: str | Path | Iterable[str | Path],
    *,
    sheet: str | int | None = None,
    header_row: int | None = None,
    encoding: str | None = None,
    delimiter: str | None = None,
) -> SchemaReport:
    """Describe files: how they were read, and the type, nulls, distinct values and samples of every column.

    Args:
        paths: one file or several.
        sheet: as for `read`, for every file.
        header_row: as for `read`.
        encoding: as for `read`.
        delimiter: as for `read`.

    Raises:
        ReadError: the only file cannot be read; of several, the report records it as the file's `fault`.
    """
    several = [paths] if isinstance(paths, str | Path) else list(paths)
    if not several:
        raise UsageError("there is no file to inspect.", hint="name one or more files.")
    options = Options(sheet, header_row, encoding, delimiter)
    if len(several) == 1:
        return SchemaReport([_describe(several[0], options)])
    return SchemaReport([_describe_or_record(path, options) for path in dict.fromkeys(several)])


def _describe_or_record(path: str | Path, options: Options) -> FileSchema:
    try:
        return _describe(path, options)
    except ReadError as fault:
        return FileSchema(path=str(path), fault=str(fault))


def _describe(path: str | Path, options: Options) -> FileSchema:
    with Opener() as opener, opener.on_disk(str(path)) as here:
        scanned = scan(here, options)
        return described(scanned, str(path), here.stat().st_size)


def described(scanned: Scan, name: str, size: int, rows: int | None = None) -> FileSchema:
    """Describe a file that was scanned, by its first rows or by all; raises ReadError."""
    counted: dict[str, Tally] = {}
    seen = 0
    with border(scanned.path):
        for frame in frames(scanned.tables(), scanned.columns, min(rows or BATCH_ROWS, BATCH_ROWS)):
            add_up(counted, tallies(frame))
            seen += len(frame)
            if rows and seen >= rows:
                break
    return replace(file_schema(name, scanned, size, counted), rows_looked_at=seen if seen < scanned.rows else None)


def file_schema(path: str, scanned: Scan, size: int, counted: Mapping[str, Tally] | None = None) -> FileSchema:
    """Describe a file that was scanned and, where they were counted, the values of its columns.

    Args:
        path: what the file is called in the report.
        scanned: how it was read.
        size: its bytes.
        counted: the tally of each column, in the order of the columns.
    """
    return FileSchema(
        path=path,
        format=scanned.format,
        bytes=size,
        rows=scanned.rows,
        options=_options(scanned),
        sheets=list(scanned.sheets),
        columns=[tally.schema() for tally in (counted or {}).values()],
        ragged_rows=scanned.ragged_rows,
        nul_bytes=scanned.nul_bytes,
        error_cells=scanned.error_cells,
        notes=list(scanned.notes),
    )


def _options(scanned: Scan) -> dict[str, Any]:
    return {name: getattr(scanned, name) for name in ("encoding", "delimiter", "sheet", "header_row")}
