"""One value as text, by value: what cleaning starts from and what merging compares."""

from __future__ import annotations

import datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd


def value_text(value: Any) -> str | None:
    """Write one value as text; null gives None.

    >>> [value_text(value) for value in (5.0, 5, "5", Decimal("5.00"), 2.5, True, None, float("nan"))]
    ['5', '5', '5', '5', '2.5', 'True', None, None]
    >>> value_text(datetime.datetime(2024, 1, 31))
    '2024-01-31'
    """
    if isinstance(value, str):
        return value
    if pd.api.types.is_scalar(value) and pd.isna(value):
        return None
    if isinstance(value, (float, np.floating)) and abs(float(value)) < 2**63 and float(value).is_integer():
        return str(int(value))
    if isinstance(value, Decimal) and value.is_finite():
        return f"{value.normalize():f}"
    if isinstance(value, datetime.datetime) and value.time() == datetime.time() and value.tzinfo is None:
        return str(value.date())
    return str(value)
