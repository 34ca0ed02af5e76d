"""Keep the rows whose values are wanted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from workbench.refinery.values import require_columns, texts_of
from workbench.values import value_text

Filters = Mapping[str, Sequence[Any]]
"""Column → the values that are kept; null in the list keeps nulls."""


def filter_rows(df: pd.DataFrame, filters: Filters) -> pd.DataFrame:
    """Keep the rows whose value is in the list of every filtered column; index and order stay.

    Values are compared as text: 1 in the list keeps 1, 1.0 and "1"; true keeps "true", "TRUE" and "True" as well.
    Raises ColumnNotFound.
    """
    require_columns(df, list(filters))
    if not filters:
        return df
    kept = pd.Series(True, index=df.index)
    for column, wanted in filters.items():
        kept &= _matches(texts_of(df[column]), wanted)
    return df[kept]


def unmatched_filter_values(df: pd.DataFrame, filters: Filters) -> dict[str, list[Any]]:
    """Give the values of the lists that no row has, by column: most often a typing error. Raises ColumnNotFound."""
    require_columns(df, list(filters))
    unmatched = {}
    for column, wanted in filters.items():
        distinct = texts_of(df[column]).drop_duplicates()
        missing = [value for value in _listed(wanted) if not _matches(distinct, [value]).any()]
        if missing:
            unmatched[column] = missing
    return unmatched


def _matches(texts: pd.Series[str], wanted: Sequence[Any]) -> pd.Series[bool]:
    values = _listed(wanted)
    written = {value_text(value) for value in values}
    kept = texts.isin([text for text in written if text is not None])
    if None in written:
        kept |= texts.isna()
    truths = [str(value).casefold() for value in values if isinstance(value, bool)]
    return kept | texts.str.casefold().isin(truths) if truths else kept


def _listed(wanted: Any) -> list[Any]:
    """Take a single value as a list of one."""
    return list(wanted) if isinstance(wanted, (list, tuple, set, frozenset)) else [wanted]
