"""Validations between frame and table: checked on the way in, with the right column types on the way out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from workbench.errors import ColumnNotFound, VerdictError, few, nearest
from workbench.records import VALIDATION_COLUMNS, Pool

KEY = ("item_id", "iteration", "reviewer")
"""One reviewer gives one verdict on an item in an iteration; a later one replaces it."""

_OPTIONAL = {"corrected_category": None, "user_notes": ""}
_TYPES = dict.fromkeys(VALIDATION_COLUMNS, "str") | {"iteration": "int64", "is_correct": "bool"}
_ORDER = ["iteration", "validated_at", "item_id", "reviewer"]
_FAULTS_SHOWN = 5


def to_rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Turn a frame of `records.VALIDATION_COLUMNS` into rows, one per key, the last one winning.

    Raises ColumnNotFound for missing columns and VerdictError, which names every faulty row (counted from 1).
    """
    missing = [name for name in VALIDATION_COLUMNS if name not in frame.columns and name not in _OPTIONAL]
    if missing:
        hint = nearest(missing[0], [str(name) for name in frame.columns])
        raise ColumnNotFound(f"the verdicts lack {', '.join(map(repr, missing))}.", hint=f"in them {hint}")
    records = frame.to_dict("records")
    rows = [_row({str(name): value for name, value in record.items()}) for record in records]
    faults = [f"row {number}: {fault}" for number, row in enumerate(rows, 1) for fault in _faults(row)]
    if faults:
        raise VerdictError(f"these verdicts cannot be taken: {few(faults, _FAULTS_SHOWN, '; ')}.")
    return list({tuple(row[name] for name in KEY): row for row in rows}.values())


def to_frame(rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Turn rows into a frame: by iteration, time, item and reviewer; the same column types even without a row."""
    frame = pd.DataFrame([{name: row[name] for name in VALIDATION_COLUMNS} for row in rows], columns=VALIDATION_COLUMNS)
    return frame.astype(_TYPES).sort_values(_ORDER, kind="stable", ignore_index=True)


def _row(record: Mapping[str, Any]) -> dict[str, Any]:
    row = {name: _value(record.get(name)) for name in VALIDATION_COLUMNS}
    return {name: _OPTIONAL.get(name) if value is None else value for name, value in row.items()}


def _value(value: Any) -> Any:
    """Give a plain value: numpy's become Python's, times become ISO 8601, every kind of missing becomes None."""
    if value is None or value != value or value is pd.NA:
        return None
    if hasattr(value, "isoformat"):
        return value.isoformat()
    return value.item() if hasattr(value, "item") else value


def _faults(row: Mapping[str, Any]) -> list[str]:
    faults = [f"{name} is empty" for name, value in row.items() if value in (None, "") and name not in _OPTIONAL]
    kinds = {"iteration": int, "is_correct": bool}
    faults += [
        f"{name} is {value!r}, which is no {kinds.get(name, str).__name__}"
        for name, value in row.items()
        if value is not None and type(value) is not kinds.get(name, str) and not (name == "pool" and value in set(Pool))
    ]
    if isinstance(row["pool"], str) and row["pool"] and row["pool"] not in set(Pool):
        faults.append(f"pool is {row['pool']!r}, which is none of {', '.join(Pool)}")
    return faults
