"""Any column as text by value: 5.0 and 5 are "5", a null stays null."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from workbench.errors import ColumnNotFound, UsageError, nearest
from workbench.values import TEXT, from_arrow, is_coded, spell_out, value_text


def texts_of(series: pd.Series[Any]) -> pd.Series[str]:
    """Give a column as text by value, with its index and name.

    Half surrogate pairs, which no file can hold, become the replacement character.
    """
    if isinstance(series.dtype, pd.StringDtype) and series.dtype.storage == "pyarrow":
        return series.astype(TEXT)
    if is_coded(series):
        return spell_out(series)
    if series.dtype == object or isinstance(series.dtype, pd.StringDtype):
        texts = [value_text(value) for value in series]
    else:  # few distinct values are written out, then spread
        codes, distinct = pd.factorize(series)
        written = np.array([*(value_text(value) for value in distinct), None], dtype=object)
        texts = written[codes].tolist()
    return pd.Series(from_arrow(_storable(texts)), index=series.index, name=series.name)


def _storable(texts: list[str | None]) -> pa.Array:
    try:
        return pa.array(texts, pa.large_string())
    except UnicodeEncodeError:
        return pa.array([text if text is None else _replace_surrogates(text) for text in texts], pa.large_string())


def _replace_surrogates(text: str) -> str:
    """Make a text storable.

    >>> _replace_surrogates("a" + chr(0xD800))
    'a�'
    """
    return "".join("\ufffd" if "\ud800" <= character <= "\udfff" else character for character in text)


def as_names(columns: str | list[str] | tuple[str, ...]) -> list[str]:
    """Take one column or several."""
    return [columns] if isinstance(columns, str) else list(dict.fromkeys(columns))


def require_columns(df: pd.DataFrame, columns: list[str]) -> None:
    """Raise ColumnNotFound with the nearest names, or UsageError where a name stands twice in the table."""
    available = [str(name) for name in df.columns]
    missing = [name for name in columns if name not in df.columns]
    if missing:
        hints = dict.fromkeys(nearest(name, available) for name in missing)
        named = ", ".join(repr(name) for name in missing)
        raise ColumnNotFound(f"the table has no column {named}.", hint=" ".join(hints))
    twice = [name for name in columns if available.count(name) > 1]
    if twice:
        raise UsageError(f"column {twice[0]!r} stands more than once in the table.", hint="rename one of them.")
