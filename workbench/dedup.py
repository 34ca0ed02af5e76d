"""Merge rows with the same content into items, and put answers back onto every row.

An item's id is a hash of what the strategy compares, so it is the same in every batch, file, process and run. Answers
find their rows by that id, never by text and never by position.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from workbench.errors import ColumnNotFound, UsageError, nearest
from workbench.registry import Registry
from workbench.values import value_text

Keep = Literal["first", "last"]
Compared = dict[str, "pd.Series[Any]"]
"""What a strategy compares: the columns, under the names that enter the hash."""

ITEM_ID = "item_id"
N_ROWS = "n_rows"
ROW_ID = "row_id"
BOOKKEEPING = (ITEM_ID, ROW_ID, "source_file")
"""Columns that the workbench adds: they are no content."""

STRATEGIES = Registry[Callable[[pd.DataFrame, list[str]], Compared]]("deduplication strategy")


@STRATEGIES.decorator("content_only")
def _content_only(df: pd.DataFrame, columns: list[str]) -> Compared:
    """The given columns, in their order; what they are called does not matter."""
    return {str(position): df[column] for position, column in enumerate(columns)}


@STRATEGIES.decorator("aggressive")
def _aggressive(df: pd.DataFrame, columns: list[str]) -> Compared:
    """The whole row without the workbench's own columns; the order of the columns does not matter."""
    content = sorted((name for name in df.columns if name not in BOOKKEEPING), key=str)
    return {f"column {name}": df[name] for name in content}


@STRATEGIES.decorator("preserve_all")
def _preserve_all(df: pd.DataFrame, columns: list[str]) -> Compared:
    """The row's id, or its position in this table where it has none: nothing is merged."""
    if ROW_ID not in df.columns:
        return {"position": pd.Series(range(len(df)), index=df.index)}
    if not df[ROW_ID].is_unique or df[ROW_ID].isna().any():
        raise UsageError(f"column {ROW_ID!r} does not name each row once.", hint="number the rows anew.")
    return {"row": df[ROW_ID]}


@dataclass(frozen=True, eq=False)
class Deduplicated:
    """The items of a table, and the way back to its rows."""

    unique: pd.DataFrame
    """One row per item: `item_id`, `n_rows`, then the kept row's columns with its index."""
    mapping: pd.Series[str]
    """The item of every original row, with the table's index."""
    stats: dict[str, float]
    """See `dedup_stats`."""
    original: pd.DataFrame = field(repr=False)
    """The table as it came."""

    def restore(self, results: pd.DataFrame, columns: str | Iterable[str] | None = None) -> pd.DataFrame:
        """Give every original row, in order, with its item's results: see `put_back`."""
        return put_back(self.original, self.mapping, results, columns)


def deduplicate(
    df: pd.DataFrame, columns: str | Iterable[str], strategy: str = "content_only", keep: Keep = "first"
) -> Deduplicated:
    """Merge the rows that a strategy finds equal into items.

    Args:
        df: any table; its index need not be unique.
        columns: what `content_only` compares.
        strategy: content_only, aggressive (all columns) or preserve_all (nothing is merged).
        keep: whether the first or the last row of an item stands for it.

    A null equals a null and nothing else. Raises NotRegistered, ColumnNotFound and UsageError.
    """
    if keep not in ("first", "last"):
        raise UsageError(f"keep is {keep!r}.", hint=nearest(str(keep), ("first", "last")))
    mapping = item_ids(df, columns, strategy)
    codes, _ = pd.factorize(mapping)
    kept = np.flatnonzero(~pd.Series(codes).duplicated(keep=keep).to_numpy())
    unique = _make_room(_without_ids(df, mapping), [ITEM_ID, N_ROWS]).iloc[kept]
    unique.insert(0, ITEM_ID, mapping.iloc[kept])
    unique.insert(1, N_ROWS, np.bincount(codes)[codes[kept]] if len(codes) else np.empty(0, np.int64))
    return Deduplicated(unique, mapping, dedup_stats(len(df), len(unique)), df)


def put_back(
    df: pd.DataFrame, mapping: pd.Series[str], results: pd.DataFrame, columns: str | Iterable[str] | None = None
) -> pd.DataFrame:
    """Give every row of a table, or of one batch of it, its item's results.

    Args:
        df: the rows.
        mapping: the `item_id` of each row, in the order of the rows.
        results: one row per item, with a column `item_id`; results of other items are passed over.
        columns: the result columns that are wanted; by default all.

    Gives all columns of `df`, then `item_id`, then the results; a row whose item has no result gets nulls. An original
    column that is called like one of these keeps its values as `<name>_original`. Raises ColumnNotFound, and
    UsageError where an item has several results.
    """
    wanted = [name for name in results.columns if name != ITEM_ID] if columns is None else _listed(columns)
    wanted = [name for name in wanted if name != ITEM_ID]
    _require(results, [ITEM_ID, *wanted], "the results have")
    _require_one_each(results[ITEM_ID])
    if len(mapping) != len(df):
        raise UsageError(
            f"the mapping has {len(mapping)} rows and the table {len(df)}.", hint="give one item_id per row."
        )
    found = pd.Index(results[ITEM_ID]).get_indexer(pd.Index(mapping))
    answers = _nullable(results[wanted]) if (found < 0).any() else results[wanted]
    answers = answers.reset_index(drop=True).reindex(found).set_axis(df.index)
    answers.insert(0, ITEM_ID, mapping.set_axis(df.index))
    return pd.concat([_make_room(_without_ids(df, mapping), [ITEM_ID, *wanted]), answers], axis=1)


def _require_one_each(ids: pd.Series[str]) -> None:
    repeated = ids[ids.duplicated()]
    if len(repeated):
        items = f"item {repeated.iloc[0]!r}" + (f" and {repeated.nunique() - 1} more" if repeated.nunique() > 1 else "")
        raise UsageError(f"there are several results of {items}.", hint="give one row per item_id.")


def _nullable(answers: pd.DataFrame) -> pd.DataFrame:
    """Let whole numbers and truth values be null, instead of becoming 1.0."""
    kinds = {"i": "Int64", "u": "UInt64", "b": "boolean"}
    return answers.astype({name: kinds[it.kind] for name, it in answers.dtypes.items() if it.kind in kinds})


def _without_ids(df: pd.DataFrame, mapping: pd.Series[str]) -> pd.DataFrame:
    """Leave out the item ids of a table that carries them already."""
    has_them = ITEM_ID in df.columns and df[ITEM_ID].tolist() == mapping.tolist()
    return df.drop(columns=ITEM_ID) if has_them else df


def dedup_stats(original_rows: int, deduplicated_rows: int) -> dict[str, float]:
    """Count what merging saved; batch-wise ingest uses it too.

    >>> dedup_stats(10, 8)["efficiency_gain_pct"], dedup_stats(10, 8)["unique_content_ratio"]
    (20.0, 0.8)
    >>> dedup_stats(0, 0)["unique_content_ratio"]
    1.0
    """
    removed = original_rows - deduplicated_rows
    return {
        "original_rows": original_rows,
        "deduplicated_rows": deduplicated_rows,
        "duplicates_removed": removed,
        "efficiency_gain_pct": 100 * removed / original_rows if original_rows else 0.0,
        "unique_content_ratio": deduplicated_rows / original_rows if original_rows else 1.0,
    }


def item_ids(df: pd.DataFrame, columns: str | Iterable[str], strategy: str = "content_only") -> pd.Series[str]:
    """Give the item of every row: 32 hexadecimal digits, a 128-bit BLAKE2b hash of what the strategy compares.

    Values are compared as text, so 5, 5.0 and "5" are equal and the types of a batch do not matter; a null equals a
    null and nothing else. Of every distinct content the hash is worked out once. `preserve_all` needs a column
    `row_id` to tell rows of several batches apart. Raises NotRegistered, ColumnNotFound and UsageError.
    """
    compare, names = STRATEGIES.get(strategy), _listed(columns)
    _require(df, names, "the table has")
    if not df.columns.is_unique:
        twice = df.columns[df.columns.duplicated()][0]
        raise UsageError(f"column {twice!r} stands more than once in the table.", hint="rename one of them.")
    fields = [_numbered(name, values) for name, values in compare(df, names).items()]
    codes, first = _combine([numbers for numbers, _ in fields], len(df))
    parts = [[contents[number] for number in numbers[first]] for numbers, contents in fields]
    hashes = [_hash(b"".join(content)) for content in zip(*parts, strict=True)] if fields else [_hash(b"")]
    spread = pd.array(hashes, dtype="str").take(codes) if len(df) else pd.array([], dtype="str")
    return pd.Series(spread, index=df.index, name=ITEM_ID)


def _hash(content: bytes) -> str:
    return blake2b(content, digest_size=16, person=b"item").hexdigest()


def _content(name: str, text: str) -> bytes:
    """Write a field so that no two contents look the same; a null field is written as nothing.

    >>> _content("0", "renta")
    b'1:5:0renta'
    """
    key, value = name.encode("utf-8", "surrogatepass"), text.encode("utf-8", "surrogatepass")
    return b"%d:%d:%b%b" % (len(key), len(value), key, value)


def _numbered(name: str, values: pd.Series[Any]) -> tuple[npt.NDArray[np.int64], list[bytes]]:
    """Number the distinct texts of a column; gives each row's number, and the content of each number."""
    if not isinstance(values.dtype, pd.StringDtype):
        values = _as_texts(values)
    codes, distinct = pd.factorize(values)
    contents = [_content(name, text) for text in distinct.tolist()]
    return np.where(codes < 0, len(contents), codes), [*contents, b""]


def _as_texts(values: pd.Series[Any]) -> pd.Series[Any]:
    if values.dtype == object:
        return pd.Series([value_text(value) for value in values], dtype=object)
    codes, distinct = pd.factorize(values)
    return pd.Series(np.array([*(value_text(value) for value in distinct), None], dtype=object)[codes], dtype=object)


def _combine(fields: list[npt.NDArray[np.int64]], rows: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Number the distinct combinations of several columns' numbers; gives also the first row of each."""
    codes = np.zeros(rows, np.int64)
    for part in fields:
        codes, _ = pd.factorize(codes * (part.max(initial=0) + 1) + part)
    first = np.flatnonzero(~pd.Series(codes).duplicated().to_numpy())
    return codes, first


def _listed(columns: str | Iterable[str]) -> list[str]:
    return [columns] if isinstance(columns, str) else list(dict.fromkeys(columns))


def _require(df: pd.DataFrame, names: list[str], subject: str) -> None:
    missing = [name for name in names if name not in df.columns]
    if missing:
        named = ", ".join(repr(name) for name in missing)
        hints = dict.fromkeys(nearest(name, map(str, df.columns)) for name in missing)
        raise ColumnNotFound(f"{subject} no column {named}.", hint=" ".join(hints))


def _make_room(df: pd.DataFrame, taken: list[str]) -> pd.DataFrame:
    """Rename the columns of a table whose names are wanted for something else to `<name>_original`."""
    names = {*df.columns, *taken}
    renamed = {}
    for name in taken:
        if name in df.columns:
            new = f"{name}_original"
            while new in names:
                new += "_original"
            names.add(new)
            renamed[name] = new
    return df.rename(columns=renamed)
