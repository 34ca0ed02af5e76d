"""Columns: their names, their types, and the frames they make."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import pandas as pd
import pyarrow as pa

TARGET_ROWS = 10_000
"""Rows that are turned into a block at once where a format is read row by row."""
MOST_COLUMNS = 16_384
"""As many as a sheet of Excel has; a text with more is no table."""


class Kind(StrEnum):
    """The type of a column."""

    TEXT = "text"
    INTEGER = "integer"
    NUMBER = "number"
    DATE = "date"
    BOOLEAN = "boolean"
    EMPTY = "empty"


ARROW_TYPES = {
    Kind.TEXT: pa.large_string(),
    Kind.INTEGER: pa.int64(),
    Kind.NUMBER: pa.float64(),
    Kind.DATE: pa.timestamp("us"),
    Kind.BOOLEAN: pa.bool_(),
    Kind.EMPTY: pa.large_string(),
}


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the result: `source` is its position or its key in the file."""

    name: str
    kind: Kind
    nullable: bool
    source: int | str


def distinct_names(cells: Iterable[str]) -> list[str]:
    r"""Make distinct column names of header cells: stripped, on one line, never empty.

    >>> distinct_names(["Total", " Total", "Unit\nprice", ""])
    ['Total', 'Total_2', 'Unit price', 'column_4']
    """
    plain = [" ".join(cell.replace("\0", "").split()) for cell in cells]
    taken = set(plain)  # a made-up name gives way to one that stands in the file
    names: dict[str, None] = {}
    numbers: dict[str, int] = {}
    for position, name in enumerate(plain, start=1):
        chosen = stem = name or f"column_{position}"
        while chosen in names or (chosen != name and chosen in taken):
            numbers[stem] = numbers.get(stem, 1) + 1
            chosen = f"{stem}_{numbers[stem]}"
        names[chosen] = None
    return list(names)


def make_table(columns: Sequence[Column], arrays: Sequence[pa.Array | pa.ChunkedArray]) -> pa.Table:
    """Put arrays under the names of their columns."""
    return pa.Table.from_arrays(list(arrays), names=[column.name for column in columns])


def rows_table(rows: Sequence[tuple[Any, ...]], columns: Sequence[Column]) -> pa.Table:
    """Make a table of rows that hold their values in the order of the columns."""
    cells = zip(zip(*rows, strict=True), columns, strict=True)
    return make_table(columns, [pa.array(values, ARROW_TYPES[column.kind]) for values, column in cells])


def frames(tables: Iterable[pa.Table], columns: Sequence[Column], rows: int) -> Iterator[pd.DataFrame]:
    """Cut tables into frames of `rows` rows (the last one may be shorter) whose index goes on."""
    start = 0
    for table in _cut(tables, rows):
        index = pd.RangeIndex(start, start + table.num_rows)
        yield as_frame(table, columns, index)
        start = index.stop


def as_frame(table: pa.Table, columns: Sequence[Column], index: pd.RangeIndex) -> pd.DataFrame:
    """Turn a table into a frame with the dtypes of its columns."""
    return pd.DataFrame({column.name: _values(table[column.name], column) for column in columns}, index=index)


def typed(values: pd.Series[Any], kind: str) -> pd.Series[Any]:
    """Give values the type of a kind again, which became text or fractions beside values of other types."""
    column = Column(str(values.name), Kind(kind), True, 0)
    found = pa.Table.from_pandas(values.to_frame(column.name), preserve_index=False)[column.name]
    if column.kind in (Kind.TEXT, Kind.EMPTY) or found.type == ARROW_TYPES[column.kind]:
        return values
    return pd.Series(_values(found.cast(ARROW_TYPES[column.kind]), column), index=values.index, name=values.name)


def _cut(tables: Iterable[pa.Table], rows: int) -> Iterator[pa.Table]:
    held: list[pa.Table] = []
    waiting = 0
    for table in tables:
        held.append(table)
        waiting += table.num_rows
        while waiting >= rows:
            whole = pa.concat_tables(held)
            yield whole.slice(0, rows)
            held, waiting = [whole.slice(rows)], waiting - rows
    if waiting:
        yield pa.concat_tables(held)


def _values(values: pa.ChunkedArray, column: Column) -> Any:
    """Turn a column into its pandas form; a column has the same dtype in every batch of its file."""
    if column.kind in (Kind.TEXT, Kind.EMPTY):
        return pd.array(values, dtype="str")
    if column.kind is Kind.INTEGER and column.nullable:
        return pd.Int64Dtype().__from_arrow__(values)  # type: ignore[attr-defined]
    if column.kind is Kind.BOOLEAN and column.nullable:
        return pd.BooleanDtype().__from_arrow__(values)  # type: ignore[attr-defined]
    return values.to_numpy()
