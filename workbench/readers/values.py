"""Columns of values that have types of their own, as Excel and JSON give them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa

from workbench.readers.columns import ARROW_TYPES, Column, Kind

EXACT = 2**53
"""Up to here every whole number is a float as well."""
LARGEST = 2**63

_KINDS = {
    str: Kind.TEXT,
    bool: Kind.BOOLEAN,
    int: Kind.INTEGER,
    float: Kind.NUMBER,
    date: Kind.DATE,
    datetime: Kind.DATE,
}


@dataclass(slots=True)
class ValueEvidence:
    """What is known so far of a column of values; null is None."""

    whole_is_integer: bool
    """Whether 3.0 means 3: so in Excel, which knows no integers."""
    filled: int = 0
    kinds: set[Kind] = field(default_factory=set)
    whole: bool = True
    largest: float = 0

    def see(self, values: Sequence[Any]) -> None:
        """Take in a block of values."""
        types = set(map(type, values)) - {type(None)}
        self.filled += len(values) - values.count(None)
        self.kinds |= {_KINDS.get(kind, Kind.TEXT) for kind in types}
        if types and types <= {int, float}:
            self._measure([value for value in values if value is not None], float in types)

    def _measure(self, numbers: list[float], with_floats: bool) -> None:
        self.largest = max(self.largest, max(numbers), -min(numbers))
        if with_floats and self.whole:
            array = np.array(numbers, dtype="float64")
            self.whole = bool((array == np.floor(array)).all())

    def column(self, name: str, source: int | str, rows: int) -> Column:
        """Decide the type: a column that mixes types is text."""
        return Column(name, self._kind(), self.filled < rows, source)

    def _kind(self) -> Kind:
        if not self.kinds:
            return Kind.EMPTY
        if self.kinds == {Kind.INTEGER}:
            return Kind.INTEGER if self.largest < LARGEST else Kind.TEXT
        if self.kinds <= {Kind.INTEGER, Kind.NUMBER}:
            if self.whole_is_integer and self.whole and self.largest < EXACT:
                return Kind.INTEGER
            exact = Kind.INTEGER not in self.kinds or self.largest < EXACT
            return Kind.NUMBER if exact else Kind.TEXT
        return next(iter(self.kinds)) if len(self.kinds) == 1 else Kind.TEXT


def make_array(values: Sequence[Any], kind: Kind, as_text: Callable[[Any], str]) -> pa.Array:
    """Make the array of a column whose type is decided; `as_text` words what is not text yet."""
    if kind is Kind.TEXT:
        values = [value if value is None or type(value) is str else as_text(value) for value in values]
    elif kind is Kind.INTEGER:
        values = [None if value is None else int(value) for value in values]
    elif kind is Kind.DATE:
        values = [_moment(value) for value in values]
    return pa.array(values, ARROW_TYPES[kind])


def _moment(value: date | None) -> datetime | None:
    if value is None or isinstance(value, datetime):
        return value
    return datetime(value.year, value.month, value.day)


def cell_text(value: Any) -> str:
    """Word a cell of Excel faithfully.

    >>> [cell_text(value) for value in (123.0, 0.5, True, date(2024, 1, 5), timedelta(hours=26))]
    ['123', '0.5', 'TRUE', '2024-01-05', '26:00:00']
    """
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else f"{Decimal(repr(value)):f}"
    if isinstance(value, timedelta):
        return _duration_text(value)
    if isinstance(value, datetime):
        return value.date().isoformat() if value.time() == time() else value.isoformat(sep=" ")
    return str(value)


def _duration_text(value: timedelta) -> str:
    seconds = round(value.total_seconds())
    sign = "-" if seconds < 0 else ""
    minutes, second = divmod(abs(seconds), 60)
    return f"{sign}{minutes // 60:02}:{minutes % 60:02}:{second:02}"
