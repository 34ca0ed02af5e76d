"""Values as text, by value: what cleaning starts from and what merging compares.

A column of text may be *coded*: held as the number of each row's text, and the texts. What is made of every text is
then made once, by whoever needs it, and no step has to find the distinct texts again.
"""

from __future__ import annotations

import datetime
import hashlib
import math
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

TEXT = pd.StringDtype(na_value=np.nan)
LONG = 4_096
"""Bytes of a text from which on it is hashed alone."""
SAMPLE = 4_096
"""Texts by which repetition is judged."""
WORTH_IT = 0.2
"""The share of repeated texts from which on finding them costs less than doing the work again."""
_MIX = np.array([0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53], np.uint64)
_FIRST_BYTES = np.array([(1 << 8 * count) - 1 for count in range(9)], np.uint64)


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


def amount_text(amount: float) -> str:
    """Write an amount: two decimals, or two significant digits where these would say nothing.

    >>> [amount_text(amount) for amount in (1234.5, 0.126, 0.0123, 0.0007, 0.0)]
    ['1,234.50', '0.13', '0.012', '0.0007', '0.00']
    """
    if not amount or abs(amount) >= 0.1:
        return f"{amount:,.2f}"
    return f"{amount:.{1 - math.floor(math.log10(abs(amount)))}f}".rstrip("0")


def coded(df: pd.DataFrame, columns: Iterable[str]) -> pd.DataFrame:
    """Give a table whose columns of text (dtype str) among `columns` are coded."""
    wanted = [name for name in columns if name in df.columns and isinstance(df[name].dtype, pd.StringDtype)]
    return df.assign(**{name: pd.Series(_as_coded(one_array(df[name])), index=df.index) for name in wanted})


def spelt_out(df: pd.DataFrame) -> pd.DataFrame:
    """Give a table whose coded columns are dtype str again."""
    return df.assign(**{name: spell_out(df[name]) for name in df.columns if is_coded(df[name])})


def spell_out(values: pd.Series[Any]) -> pd.Series[str]:
    """Give a coded column as dtype str."""
    array = codes_of(values)
    return pd.Series(from_arrow(array.dictionary.take(array.indices)), index=values.index, name=values.name)


def is_coded(values: pd.Series[Any]) -> bool:
    """Say whether a column is coded."""
    return isinstance(values.dtype, pd.ArrowDtype) and pa.types.is_dictionary(values.dtype.pyarrow_dtype)


def codes_of(values: pd.Series[Any]) -> pa.DictionaryArray:
    """Give the codes and the texts of a coded column; of texts that seldom repeat, some may be there twice."""
    array = pa.array(values)
    return array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array


def with_texts(values: pd.Series[Any], texts: pa.Array) -> pd.Series[Any]:
    """Give a coded column other texts, one for each of its own."""
    array = pa.DictionaryArray.from_arrays(codes_of(values).indices, texts)
    return pd.Series(pd.arrays.ArrowExtensionArray(array), index=values.index, name=values.name)


def one_array(values: pd.Series[Any]) -> pa.Array:
    """Give a column of text as one arrow array."""
    array = pa.array(values, from_pandas=True)
    return (array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array).cast(pa.large_string())


def from_arrow(array: Any) -> Any:
    """Wrap an arrow array of text as a pandas array of dtype str, without copying."""
    dtype: Any = TEXT
    return dtype.__from_arrow__(array)


def _as_coded(texts: pa.Array) -> Any:
    if texts.null_count or _often_repeats(texts):
        return pd.arrays.ArrowExtensionArray(texts.dictionary_encode())
    each = pa.array(np.arange(len(texts), dtype=np.int32))
    return pd.arrays.ArrowExtensionArray(pa.DictionaryArray.from_arrays(each, texts))


def _often_repeats(texts: pa.Array) -> bool:
    """Estimate from the first texts whether a fifth of all repeats another one: pairs grow as the square of texts."""
    sample = texts.slice(0, SAMPLE)
    repeated = len(sample) - pc.count_distinct(sample).as_py()
    return bool(repeated * (len(texts) / max(len(sample), 1)) ** 2 > WORTH_IT * len(texts))


def text_hashes(texts: pa.Array) -> npt.NDArray[np.uint64]:
    """Give a 64-bit hash of every text, to count distinct ones: the same in every process, not safe against forgery.

    Eight bytes of all texts at once are mixed in as in the finalizer of MurmurHash3; a long text is hashed alone.
    """
    offsets = np.frombuffer(texts.buffers()[1], np.int64)[texts.offset : texts.offset + len(texts) + 1]
    data = np.zeros(int(offsets[-1] - offsets[0]) + 8, np.uint8)
    data[:-8] = np.frombuffer(texts.buffers()[2] or b"", np.uint8)[offsets[0] : offsets[-1]]
    starts, sizes = offsets[:-1] - offsets[0], np.diff(offsets)
    words = np.ndarray((len(data) - 7,), np.uint64, data, strides=(1,))  # one begins at every byte
    falling = (LONG + 1 - np.minimum(sizes, LONG + 1)).astype(np.uint16)
    order = np.argsort(falling, kind="stable")  # of 16 bits: by radix
    alone = int((sizes > LONG).sum())
    order, longest_first = order[alone:], sizes[order[alone:]]
    hashes = np.empty(len(sizes), np.uint64)
    hashes[order] = _mixed(words, starts[order], longest_first)
    for place in np.flatnonzero(sizes > LONG).tolist():
        digest = hashlib.blake2b(data[starts[place] : starts[place] + sizes[place]].tobytes(), digest_size=8).digest()
        hashes[place] = int.from_bytes(digest, "little")
    return hashes


def _mixed(
    words: npt.NDArray[np.uint64], starts: npt.NDArray[np.int64], sizes: npt.NDArray[np.int64]
) -> npt.NDArray[np.uint64]:
    """Hash texts that are sorted by size, the longest first."""
    hashes = sizes.astype(np.uint64) * _MIX[0]
    whole, rest = np.divmod(sizes, 8)
    for at in range(int(whole.max(initial=0)) + 1):
        going_on = int(np.searchsorted(-sizes, -8 * at))
        full = int(np.searchsorted(-whole, -at))
        found = words[starts[:going_on] + 8 * at]
        found[full:] &= _FIRST_BYTES[rest[full:going_on]]
        here = hashes[:going_on]
        here ^= found
        here *= _MIX[0]
        here ^= here >> np.uint64(33)
    hashes *= _MIX[1]
    return np.asarray(hashes ^ (hashes >> np.uint64(33)))
