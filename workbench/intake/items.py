"""The distinct items of any number of batches, in memory that grows with their number and not with their texts."""

from __future__ import annotations

import tempfile
import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from workbench import dedup

IN_MEMORY = 64 << 20
"""Bytes of clean texts up to which no file is needed."""


def as_entries(items: pa.Table) -> pa.Table:
    """Give items as the classifier gets them: item_id and the clean fields."""
    return items.drop_columns([name for name in ("n_rows", "amount") if name in items.column_names])


class ItemTable:
    """Collects items batch by batch; what they read like waits in a temporary file, compressed."""

    def __init__(self, clean_columns: list[str], amounts: bool) -> None:
        self._schema = pa.schema([(name, pa.large_string()) for name in clean_columns])
        self._index = dedup.ItemIndex()
        self._amounts = _Sums() if amounts else None
        self._file: Any = tempfile.SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115 - it lives as long as the table
        weakref.finalize(self, self._file.close)
        self._texts: Any = None

    def add(self, rows: pd.DataFrame) -> None:
        """Take the rows of a batch that have an item: item_id, the clean columns and, where there is one, amount."""
        known = len(self._index)
        numbers = self._index.add(rows["item_id"])
        new = np.flatnonzero(numbers >= known)
        first = new[np.diff(np.maximum.accumulate(numbers[new]), prepend=known - 1) > 0]
        if self._texts is None:
            options = pa.ipc.IpcWriteOptions(compression="lz4")
            self._texts = pa.ipc.new_stream(pa.PythonFile(self._file, mode="w"), self._schema, options=options)
        if len(first):
            texts = rows[self._schema.names].iloc[first]
            self._texts.write_table(pa.Table.from_pandas(texts, self._schema, preserve_index=False))
        if self._amounts is not None:
            self._amounts.add(numbers, rows["amount"].to_numpy(float, na_value=np.nan), len(self._index))

    def batches(self) -> Iterator[pa.Table]:
        """Give one row per item in the order of first appearance: item_id, n_rows, amount, the clean columns."""
        if self._texts is None:
            return
        self._texts.close()
        self._file.seek(0)
        start = 0
        for texts in pa.ipc.open_stream(pa.PythonFile(self._file, mode="r")):
            end = start + texts.num_rows
            columns = {"item_id": self._index.ids(start, end), "n_rows": self._index.n_rows[start:end]}
            if self._amounts is not None:
                columns["amount"] = pa.array(self._amounts.totals(start, end), from_pandas=True)
            yield pa.table(columns | dict(zip(texts.schema.names, texts.columns, strict=True)))
            start = end

    def __len__(self) -> int:
        """Count the items."""
        return len(self._index)


class _Sums:
    """Adds amounts up by item, with the rounding error carried along (Neumaier 1974); no amount at all is null."""

    def __init__(self) -> None:
        self._sum = np.zeros(0)
        self._error = np.zeros(0)
        self._any = np.zeros(0, bool)

    def add(self, numbers: npt.NDArray[np.int64], amounts: npt.NDArray[np.float64], items: int) -> None:
        """Add the amounts of a batch to the items with these numbers."""
        if items > len(self._sum):
            more_room = max(items, 2 * len(self._sum)) - len(self._sum)
            for name in ("_sum", "_error", "_any"):
                setattr(self, name, np.pad(getattr(self, name), (0, more_room)))
        sums = pd.Series(amounts).groupby(numbers).sum(min_count=1).dropna()
        at, more = sums.index.to_numpy(), sums.to_numpy()
        before = self._sum[at]
        after = before + more
        self._error[at] += np.where(np.abs(before) >= np.abs(more), before - after + more, more - after + before)
        self._sum[at] = after
        self._any[at] = True

    def totals(self, start: int, end: int) -> npt.NDArray[np.float64]:
        """Give the amounts of the items with the numbers from `start` to `end`."""
        kept = slice(start, end)
        return np.where(self._any[kept], self._sum[kept] + self._error[kept], np.nan)
