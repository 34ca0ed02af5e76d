"""From input files to rows with clean columns and item ids, batch by batch.

`partition` does the work on one batch and knows nothing of files, so that one process or many can run it unchanged.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from workbench import dedup, readers, refinery
from workbench.errors import ColumnNotFound, ReadError, nearest
from workbench.parameters import IngestSection
from workbench.records import clean_name
from workbench.refinery import Pipeline
from workbench.settings import find_file

BATCH_ROWS = 50_000
ROW_COLUMNS = ("row_id", "source_file", "source_row", "item_id")


def partition(frame: pd.DataFrame, options: IngestSection, pipeline: Pipeline) -> pd.DataFrame:
    """Clean one batch and give every row its item id; a row that the filters leave out has none.

    Args:
        frame: original columns, plus `row_id`, which tells rows apart under preserve_all.
        options: columns, filters and the deduplication strategy.
        pipeline: the cleaning pipeline.

    Returns:
        The rows in order with `clean<Column>` columns and `item_id` added.
    """
    cleaned = pipeline.clean_frame(frame, options.columns)
    kept = refinery.filter_rows(cleaned, options.filters)
    compared = kept if options.deduplication == "preserve_all" else kept.drop(columns="row_id")
    ids = dedup.item_ids(compared, [clean_name(column) for column in options.columns], options.deduplication)
    return cleaned.assign(item_id=ids.reindex(cleaned.index))


class ItemTable:
    """Collects the distinct items of any number of batches; its memory grows with the items, not with the rows."""

    def __init__(self, clean_columns: list[str], amounts: bool) -> None:
        self._clean_columns = clean_columns
        self._amounts = amounts
        self._parts: list[pd.DataFrame] = []

    def add(self, rows: pd.DataFrame) -> None:
        """Take the rows of a batch: item_id, the clean columns and, where there is one, amount."""
        wanted = ["item_id", *self._clean_columns, *(["amount"] if self._amounts else [])]
        ones = rows[wanted].assign(n_rows=1)
        self._parts.append(self._merged(ones))
        if len(self._parts) > 1 and sum(map(len, self._parts[1:])) > len(self._parts[0]):
            self._parts = [self.frame()]

    def frame(self) -> pd.DataFrame:
        """Give one row per item in the order of first appearance: item_id, n_rows, amount, the clean columns."""
        merged = self._merged(pd.concat(self._parts, ignore_index=True))
        first = [name for name in ("item_id", "n_rows", "amount") if name in merged]
        return merged[[*first, *self._clean_columns]]

    def _merged(self, parts: pd.DataFrame) -> pd.DataFrame:
        ways: dict[str, Any] = dict.fromkeys(self._clean_columns, "first") | {"n_rows": "sum"}
        if self._amounts:
            ways["amount"] = partial(pd.Series.sum, min_count=1)  # no amount at all is null, not 0
        return parts.groupby("item_id", sort=False, as_index=False).agg(ways)

    def __len__(self) -> int:
        """Count the items."""
        return len(self.frame()) if self._parts else 0


class Intake:
    """Reads the input of a run once and counts what it sees on the way."""

    def __init__(self, options: IngestSection, pipeline: Pipeline, *, gold_column: str | None = None) -> None:
        self.options = options
        self._wanted = {"ingest.amount_column": options.amount_column, "validate.gold_column": gold_column}
        self.pipeline = pipeline
        self.rows = 0
        self.clean_columns = [clean_name(column) for column in options.columns]
        self.paths = [find_file(path) for path in options.input]
        self._items = ItemTable(self.clean_columns, amounts=options.amount_column is not None)
        self._report = refinery.CleaningReport({})
        self._columns: dict[str, str] = {}
        self._unmatched: dict[str, list[Any]] | None = None
        self._kept = 0

    def parts(self) -> Iterator[pd.DataFrame]:
        """Give the prepared rows, batch by batch; ends with every count complete."""
        for path in self.paths:
            in_file = 1
            for batch in readers.batches(path, rows=BATCH_ROWS, **self.options.reading()):
                yield self._prepare(batch, path, in_file)
                in_file += len(batch)

    def _prepare(self, batch: pd.DataFrame, path: Path, in_file: int) -> pd.DataFrame:
        """Prepare a batch whose first row is the `in_file`-th data row of its file."""
        self._require(batch, path)
        frame = self._stored_names(batch)
        frame.insert(0, "row_id", range(self.rows, self.rows + len(frame)))
        part = partition(frame, self.options, self.pipeline)
        part.insert(1, "source_file", path.name)
        part.insert(2, "source_row", range(in_file, in_file + len(frame)))
        self._count(part)
        return part

    def _require(self, batch: pd.DataFrame, path: Path) -> None:
        """Find out about columns that only later stages need before any work is done."""
        wanted = [*self._wanted.items(), *(("ingest.filters", name) for name in self.options.filters)]
        for parameter, column in wanted:
            if column is not None and column not in batch.columns:
                raise ColumnNotFound(
                    f"there is no column {column!r} in {path.name} ({parameter}).", hint=nearest(column, batch.columns)
                )

    def _stored_names(self, batch: pd.DataFrame) -> pd.DataFrame:
        """Rename the original columns that would clash with our own, and remember how."""
        taken = {*ROW_COLUMNS, *self.clean_columns}
        self._columns = {name: f"{name}_original" if name in taken else name for name in batch.columns}
        return batch.rename(columns=self._columns)

    def _count(self, part: pd.DataFrame) -> None:
        kept = part[part["item_id"].notna()]
        self._report += refinery.cleaning_report(kept, self.options.columns)
        amount = self._amounts(kept)
        self._items.add(kept.assign(amount=amount) if amount is not None else kept)
        unmatched = refinery.unmatched_filter_values(part, self.options.filters)
        before = self._unmatched if self._unmatched is not None else unmatched
        self._unmatched = {
            column: [v for v in values if v in unmatched.get(column, [])] for column, values in before.items()
        }
        self.rows += len(part)
        self._kept += len(kept)

    def _amounts(self, kept: pd.DataFrame) -> pd.Series[float] | None:
        column = self.options.amount_column
        return None if column is None else readers.amounts(kept[self._columns[column]])

    def items(self) -> pd.DataFrame:
        """Give the items in the order of their first rows: item_id, n_rows, amount where named, clean fields."""
        items = self._items.frame()
        if items.empty:
            raise ReadError(
                "no row is left to classify.",
                hint=f"the filters {self.options.filters} fit none of the {self.rows:,} rows." if self.rows else None,
            )
        return items

    def schema(self) -> dict[str, Any]:
        """Describe the input files column by column, and how their columns are stored in rows.parquet."""
        report = readers.inspect_files(self.paths, **self.options.reading())
        return {**report.to_dict(), "stored_as": self._columns}

    def inputs(self) -> list[dict[str, Any]]:
        """Name the files with their SHA-256, for run.json."""
        return [
            {"path": str(path), "sha256": readers.fingerprint(path), "bytes": path.stat().st_size}
            for path in self.paths
        ]

    def facts(self) -> dict[str, Any]:
        """Tell what was read, cleaned and merged."""
        unmatched = {column: values for column, values in (self._unmatched or {}).items() if values}
        return {
            "rows": self.rows,
            "rows_left_out": self.rows - self._kept,
            **dedup.dedup_stats(self._kept, len(self._items)),
            "cleaning": self._report.to_dict(),
            "filter_values_not_found": unmatched,
        }
