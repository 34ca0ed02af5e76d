"""Reading what a verdict file says, without judging it."""

from __future__ import annotations

import csv
import io
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import orjson
import pandas as pd

from workbench.errors import VerdictError
from workbench.review.sheet import INPUT_COLUMNS
from workbench.settings import find_file

RAW_COLUMNS = ("item_id", "is_correct", "corrected_category", "user_notes", "reviewer", "category")

HEADER_SEARCH = 10
"""Rows at the top of a file among which the header is looked for."""


def read_verdicts(path: str | Path) -> pd.DataFrame:
    """Read what a verdict file says, row by row, without judging it.

    An XLSX file is a review sheet: one sheet of it has a header with `item_id` and all that reviewers fill in. A CSV
    file needs `item_id` and at least one of `is_correct` and `corrected_category`; JSON is a list of objects, or
    `{"validations": [...]}`.

    Returns:
        Columns item_id, is_correct, corrected_category, user_notes, reviewer, category (the one that the reviewer saw):
        text, or null where the file has nothing. The index `row` is the row in the file (from 1, with the header; for
        JSON the position in the list).

    Raises VerdictError for a file that is missing, of another kind, damaged or without these columns.
    """
    found = find_file(path)
    reader = {".xlsx": _xlsx_rows, ".xlsm": _xlsx_rows, ".csv": _csv_rows, ".json": _json_rows}.get(
        found.suffix.casefold()
    )
    if reader is None:
        raise VerdictError(f"{path} is no verdict file.", hint="give an XLSX, CSV or JSON file.")
    try:
        content = found.read_bytes()
    except OSError as fault:
        raise VerdictError(f"cannot read the verdicts {path}: {fault.strerror}.") from None
    return _raw_table(reader(content, str(path)), str(path))


def is_filled_in(path: str | Path) -> bool:
    """Say whether anybody has filled in any of a review sheet; raises VerdictError as `read_verdicts` does."""
    return bool(read_verdicts(path)[list(INPUT_COLUMNS)].notna().any(axis=None))


def _xlsx_rows(content: bytes, name: str) -> Iterator[Sequence[Any]]:
    from openpyxl import load_workbook

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # openpyxl warns of drop-downs that it does not keep
        try:
            book = load_workbook(io.BytesIO(content), read_only=True, data_only=True)
            sheets = {sheet.title: list(sheet.iter_rows(values_only=True)) for sheet in book.worksheets}
        except Exception as fault:  # a damaged file makes openpyxl raise nearly anything
            raise VerdictError(f"{name} is not a readable XLSX file: {fault}.") from None
    headed = {title: rows for title, rows in sheets.items() if _header_at(rows) is not None}
    if len(headed) > 1:
        titles = " and ".join(map(repr, headed))
        hint = "keep the one that is filled in and delete the others."
        raise VerdictError(f"{name} has a header with item_id on each of the sheets {titles}.", hint=hint)
    return iter(next(iter(headed.values()), []))


def _csv_rows(content: bytes, name: str) -> Iterator[Sequence[Any]]:
    try:
        text = content.decode("utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("cp1252", errors="replace")
    head = "\n".join(text.splitlines()[:HEADER_SEARCH])
    delimiter = max(",;\t", key=head.count)
    try:
        return iter(list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)))
    except csv.Error as fault:
        raise VerdictError(f"{name} is not a readable CSV file: {fault}.") from None


def _json_rows(content: bytes, name: str) -> Iterator[Sequence[Any]]:
    try:
        data = orjson.loads(content.removeprefix(b"\xef\xbb\xbf"))
    except orjson.JSONDecodeError as fault:
        raise VerdictError(f"{name} is not valid JSON: {fault}.") from None
    entries = data.get("validations") if isinstance(data, dict) else data
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise VerdictError(f"{name} holds no list of verdicts.", hint='write [{"item_id": …, "is_correct": true}, …].')
    keys = list(dict.fromkeys(key for entry in entries for key in entry)) or list(RAW_COLUMNS)
    return iter([[entry.get(key) for key in keys] for entry in [dict(zip(keys, keys, strict=True)), *entries]])


def _header_at(rows: Sequence[Sequence[Any]]) -> int | None:
    """Find the header: the first row near the top that names item_id."""
    return next((at for at, row in enumerate(rows[:HEADER_SEARCH]) if "item_id" in map(_column_name, row)), None)


def _column_name(cell: Any) -> str:
    return str(cell or "").strip().casefold()


def _missing(names: Sequence[str], *, is_sheet: bool) -> list[str]:
    """Name what a header lacks: a review sheet has all that reviewers fill in, a file of one's own needs one answer."""
    if is_sheet:
        return [name for name in INPUT_COLUMNS if name not in names]
    return [] if {"is_correct", "corrected_category"} & set(names) else ["is_correct"]


def _raw_table(rows: Iterator[Sequence[Any]], name: str) -> pd.DataFrame:
    """Find the header and keep the columns that matter; rows without anything in them are dropped."""
    lines = list(rows)
    at = _header_at(lines)
    names = [_column_name(cell) for cell in lines[at]] if at is not None else []
    is_sheet = name.casefold().endswith((".xlsx", ".xlsm"))
    if at is None or (missing := _missing(names, is_sheet=is_sheet)):
        absent = "'item_id'" if at is None else ", ".join(map(repr, missing))
        must = "headers must stay as they were written:" if is_sheet else "the header needs"
        raise VerdictError(f"{name} has no column {absent}.", hint=f"{must} item_id and {', '.join(INPUT_COLUMNS)}.")
    first = 1 if name.casefold().endswith(".json") else at + 2
    wanted = {column: names.index(column) for column in RAW_COLUMNS if column in names}
    table = [{c: as_text(line[i]) if i < len(line) else None for c, i in wanted.items()} for line in lines[at + 1 :]]
    index = pd.RangeIndex(first, first + len(table), name="row")
    return pd.DataFrame(table, columns=list(RAW_COLUMNS), index=index, dtype="str").dropna(how="all")


def as_text(value: Any) -> str | None:
    """Give a cell as text; what is empty becomes null.

    >>> [as_text(value) for value in (True, 1.0, " sí ", "", None, float("nan"))]
    ['true', '1', 'sí', None, None, None]
    """
    if value is None or value is pd.NA or value != value:
        return None
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip() or None
