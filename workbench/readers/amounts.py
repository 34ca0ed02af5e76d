"""Amounts as people write them: with currency signs, thousands separators, and minus signs in several places."""

from __future__ import annotations

import re

import pandas as pd

_NOISE = re.compile(r"(?i)mxn|usd|eur|m\.n\.|[$€£'\s]")
_DECIMAL_COMMA = re.compile(r"\d{1,3}(\.\d{3})+,\d+|\d*,(\d{1,2}|\d{4,})")
_PLAIN = re.compile(r"-?(\d+\.?\d*|\.\d+)")


def amounts(values: pd.Series) -> pd.Series[float]:
    """Give a column of amounts as float64, same index; null where a value is no amount.

    Examples:
        >>> amounts(pd.Series(["$1,234.50", "1.234,50 €", "(80)", "s/n", None])).tolist()
        [1234.5, 1234.5, -80.0, nan, nan]
    """
    if pd.api.types.is_bool_dtype(values) or pd.api.types.is_datetime64_any_dtype(values):
        return pd.Series(float("nan"), index=values.index, name=values.name)
    if pd.api.types.is_numeric_dtype(values):
        return values.astype("Float64").astype("float64")
    known = {value: _amount(value) for value in values.dropna().unique()}
    return values.map(known).astype("float64")


def _amount(value: object) -> float:
    text = _NOISE.sub("", str(value))
    if text.startswith("(") and text.endswith(")"):
        text = f"-{text[1:-1]}"
    if text.endswith("-"):
        text = f"-{text[:-1]}"
    digits = text.removeprefix("-")
    if _DECIMAL_COMMA.fullmatch(digits):
        text = text.replace(".", "").replace(",", ".")
    elif re.fullmatch(r"\d{1,3}(,\d{3})+(\.\d*)?|\d{1,3}(\.\d{3}){2,}", digits):
        text = text.replace(",", "") if "," in text else text.replace(".", "")
    return float(text) if _PLAIN.fullmatch(text) else float("nan")
