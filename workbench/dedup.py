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
import pyarrow as pa

from workbench.errors import ColumnNotFound, UsageError, nearest
from workbench.registry import Registry
from workbench.values import codes_of, is_coded, one_array, value_text

REPLACED_AT_ONCE = 1 << 18
"""Ids that find a new place together when an index grows: each takes about 100 bytes while it does."""

Keep = Literal["first", "last"]
Compared = dict[str, "pd.Series[Any]"]
"""What a strategy compares: the columns, under the names that enter the hash."""

Numbered = tuple[npt.NDArray[np.int64], bytes, list[bytes]]
"""Each row's number, the name of the field, and the value of each number; the number after the last means null."""

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
    codes, digests = _field_digests(*fields[0]) if len(fields) == 1 else _row_digests(fields, len(df))
    hashes = _as_hexadecimal(b"".join(digests))
    spread = pd.array(hashes.take(pa.array(codes)), dtype="str")
    return pd.Series(spread, index=df.index, name=ITEM_ID)


def _field_digests(codes: npt.NDArray[np.int64], key: bytes, values: list[bytes]) -> tuple[Any, list[bytes]]:
    """Hash every value of a table's only field; values of the same length go on from a hash of what they begin with."""
    begun: dict[int, Any] = {}
    digests = []
    for value in values:
        size = len(value)
        if size not in begun:
            begun[size] = blake2b(_opening(key, size), digest_size=16, person=b"item")
        state = begun[size].copy()
        state.update(value)
        digests.append(state.digest())
    return codes, [*digests, _digest(b"")]


def _row_digests(fields: list[Numbered], rows: int) -> tuple[Any, list[bytes]]:
    """Hash every distinct combination of several columns, or the one content of no columns."""
    codes, contents = _combined(fields, rows)
    return codes, [_digest(content) for content in contents]


def _digest(content: bytes) -> bytes:
    return blake2b(content, digest_size=16, person=b"item").digest()


def _as_hexadecimal(hashes: bytes) -> pa.Array:
    """Write 128-bit hashes, one after the other, as an array of texts of 32 digits."""
    offsets = np.arange(0, 2 * len(hashes) + 1, 32, dtype=np.int64)
    digits = pa.py_buffer(hashes.hex().encode())
    return pa.Array.from_buffers(pa.large_string(), len(offsets) - 1, [None, pa.py_buffer(offsets), digits])


def _opening(key: bytes, size: int) -> bytes:
    """Write what comes before a value, so that no two contents look the same; a null field is written as nothing.

    >>> _opening(b"0", len(b"renta")) + b"renta"
    b'1:5:0renta'
    """
    return b"%d:%d:%b" % (len(key), size, key)


def _numbered(name: str, values: pd.Series[Any]) -> Numbered:
    """Number the texts of a column."""
    key = name.encode("utf-8", "surrogatepass")
    if is_coded(values) or (isinstance(values.dtype, pd.StringDtype) and values.dtype.storage == "pyarrow"):
        encoded = codes_of(values) if is_coded(values) else one_array(values).dictionary_encode()
        written = encoded.dictionary.cast(pa.large_binary()).to_pylist()
        return encoded.indices.cast(pa.int64()).fill_null(len(written)).to_numpy(), key, written
    codes, distinct = pd.factorize(values if isinstance(values.dtype, pd.StringDtype) else _as_texts(values))
    written = [text.encode("utf-8", "surrogatepass") for text in distinct.tolist()]
    return np.where(codes < 0, len(written), codes), key, written


def _as_texts(values: pd.Series[Any]) -> pd.Series[Any]:
    if values.dtype == object:
        return pd.Series([value_text(value) for value in values], dtype=object)
    codes, distinct = pd.factorize(values)
    return pd.Series(np.array([*(value_text(value) for value in distinct), None], dtype=object)[codes], dtype=object)


def _combined(fields: list[Numbered], rows: int) -> tuple[npt.NDArray[np.int64], list[bytes]]:
    """Number the distinct combinations of several columns."""
    codes = np.zeros(rows, np.int64)
    for numbers, _, _ in fields:
        codes, _ = pd.factorize(codes * (numbers.max(initial=0) + 1) + numbers)
    first = np.flatnonzero(~pd.Series(codes).duplicated().to_numpy())
    parts = [_fields(key, values, numbers[first].tolist()) for numbers, key, values in fields]
    return codes, [b"".join(content) for content in zip(*parts, strict=True)] if fields else [b""]


def _fields(key: bytes, values: list[bytes], numbers: list[int]) -> list[bytes]:
    written = [_opening(key, len(value)) + value for value in values]
    return [(written[number] if number < len(written) else b"") for number in numbers]


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


class ItemIndex:
    """Numbers item ids in the order of their first appearance, batch after batch, and counts their rows.

    An id is held as its 128 bits: about 30 bytes per item with the table that finds it (open addressing, at most half
    full), whatever the texts are like.
    """

    def __init__(self) -> None:
        self._keys = np.zeros((2, 1024), np.uint64)
        self._slots = np.full(2048, -1, np.int32)
        self._rows = np.zeros(1024, np.int64)
        self._count = 0

    def __len__(self) -> int:
        """Count the items."""
        return self._count

    @property
    def n_rows(self) -> npt.NDArray[np.int64]:
        """The rows of every item, by its number."""
        return self._rows[: self._count]

    def ids(self, start: int = 0, stop: int | None = None) -> pa.Array:
        """Give the ids of the items with the numbers from `start` to `stop`."""
        return _as_hexadecimal(self._keys[:, start : self._count if stop is None else stop].T.tobytes())

    def add(self, ids: pd.Series[Any]) -> npt.NDArray[np.int64]:
        """Take the ids of a batch; gives the number of each. New ones are numbered on from the known ones."""
        keys = _bits_of(one_array(ids))
        self._make_room_for(keys.shape[1])
        numbers, places = self._place(keys, self._count)
        own = self._count + np.arange(len(numbers))
        fresh = np.flatnonzero(numbers == own)
        renumbered = np.zeros(len(numbers), np.int64)
        renumbered[fresh] = own[: len(fresh)]
        new = np.flatnonzero(numbers >= self._count)
        numbers[new] = renumbered[numbers[new] - self._count]
        self._slots[places[fresh]] = numbers[fresh]
        self._keys[:, self._count : self._count + len(fresh)] = keys[:, fresh]
        self._count += len(fresh)
        np.add.at(self._rows, numbers, 1)
        return numbers

    def _place(self, keys: npt.NDArray[np.uint64], base: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Find every key, or put it in as `base` + its position; gives the numbers and where they stand."""
        low, high = self._keys
        self._keys[:, base : base + keys.shape[1]] = keys
        numbers, places = np.empty((2, keys.shape[1]), np.int64)
        looking = np.arange(keys.shape[1])
        at = self._first_places(keys[0])
        while len(looking):
            held = self._slots.take(at)
            free = np.flatnonzero(held < 0)
            self._slots[at[free][::-1]] = base + looking[free][::-1]  # of equal ones the first wins: it is written last
            held[free] = self._slots.take(at[free])
            same = (low.take(held) == keys[0].take(looking)) & (high.take(held) == keys[1].take(looking))
            numbers[looking[same]], places[looking[same]] = held[same], at[same]
            looking, at = looking[~same], self._next_places(at[~same])
        return numbers, places

    def _first_places(self, low: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
        return (low & np.uint64(len(self._slots) - 1)).astype(np.int64)

    def _next_places(self, places: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        return (places + 1) & (len(self._slots) - 1)

    def _make_room_for(self, more: int) -> None:
        needed = self._count + more
        if needed > len(self._rows):
            size = max(needed, 2 * len(self._rows))
            self._keys, self._rows = (_longer(array, size) for array in (self._keys, self._rows))
        if 2 * needed > len(self._slots):
            self._slots = np.full(1 << (2 * needed).bit_length(), -1, np.int32)
            for start in range(0, self._count, REPLACED_AT_ONCE):
                self._put_back(np.arange(start, min(start + REPLACED_AT_ONCE, self._count), dtype=np.int32))

    def _put_back(self, numbers: npt.NDArray[np.int32]) -> None:
        """Give known items, which all differ, their places in a new table."""
        at = self._first_places(self._keys[0].take(numbers))
        while len(numbers):
            free = np.flatnonzero(self._slots.take(at) < 0)
            self._slots[at[free]] = numbers[free]
            left = np.flatnonzero(self._slots.take(at) != numbers)
            numbers, at = numbers[left], self._next_places(at[left])


def _longer(array: npt.NDArray[Any], size: int) -> npt.NDArray[Any]:
    grown = np.zeros((*array.shape[:-1], size), array.dtype)
    grown[..., : array.shape[-1]] = array
    return grown


def _bits_of(ids: pa.Array) -> npt.NDArray[np.uint64]:
    """Read ids of 32 hexadecimal digits as two 64-bit numbers each, shape (2, ids)."""
    offsets = np.frombuffer(ids.buffers()[1], np.int64)[ids.offset : ids.offset + len(ids) + 1]
    digits = ids.buffers()[2][offsets[0] : offsets[-1]] if len(ids) else b""
    return np.frombuffer(bytes.fromhex(bytes(digits).decode()), np.uint64).reshape(-1, 2).T.copy()
