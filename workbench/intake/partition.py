"""What is done with one batch of rows, wherever the batch is: in this process, in a thread, or on a Dask worker."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandas as pd

from workbench import dedup, readers, refinery
from workbench.errors import ColumnNotFound, nearest
from workbench.parameters import IngestSection
from workbench.records import clean_name
from workbench.refinery import Pipeline
from workbench.values import coded, spelt_out

ROW_COLUMNS = ("row_id", "source_file", "source_row", "item_id")
PART_VERSION = 3
"""Goes up when parts that were prepared by earlier code may no longer be used."""


def partition(frame: pd.DataFrame, options: IngestSection, pipeline: Pipeline) -> pd.DataFrame:
    """Clean one batch and give every row its item id; a row that the filters leave out has none.

    Args:
        frame: original columns, plus `row_id`, which tells rows apart under preserve_all.
        options: columns, filters and the deduplication strategy.
        pipeline: the cleaning pipeline.

    Returns:
        The rows in order with `clean<Column>` columns and `item_id` added.
    """
    return _partition(frame, coded(frame, options.columns), options, pipeline)


def _partition(frame: pd.DataFrame, texts: pd.DataFrame, options: IngestSection, pipeline: Pipeline) -> pd.DataFrame:
    """Do so for a batch of which the texts to clean are coded as well."""
    clean = [clean_name(column) for column in options.columns]
    cleaned = pipeline.clean_frame(texts, options.columns)
    kept = refinery.filter_rows(cleaned, options.filters)
    compared = kept if options.deduplication == "preserve_all" else kept.drop(columns="row_id")
    ids = dedup.item_ids(compared, clean, options.deduplication)
    ids = ids if len(kept) == len(cleaned) else ids.reindex(cleaned.index)
    return frame.assign(**spelt_out(cleaned[clean]), item_id=ids)


@dataclass(frozen=True)
class Prepared:
    """A batch that was prepared, and what was counted on the way."""

    rows: pd.DataFrame
    """`row_id`, the original columns under the names they are stored as, the clean columns and `item_id`."""
    source_file: pd.Series[str]
    source_row: pd.Series[int]
    stored_as: dict[str, str]
    """Original column → its name in `rows`."""
    cleaning: refinery.CleaningReport
    unmatched: dict[str, list[Any]]
    """Values of the filters that no row has."""
    tallies: dict[str, readers.Tally]
    bytes_done: int


@dataclass(frozen=True)
class Preparation:
    """How batches are prepared: plain data, which travels to other processes."""

    options: IngestSection
    pipeline: Pipeline

    @cached_property
    def clean_columns(self) -> list[str]:
        """Name the clean columns."""
        return [clean_name(column) for column in self.options.columns]

    @cached_property
    def fingerprint(self) -> str:
        """Say in 16 hexadecimal digits what the result depends on, besides the rows."""
        wanted = {"columns", "filters", "deduplication"}
        facts = [self.options.model_dump(mode="json", include=wanted), self.options.reading()]
        text = json.dumps([*facts, self.pipeline.version_fingerprint, PART_VERSION], sort_keys=True)
        return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()

    def __call__(self, batch: readers.Batch) -> Prepared:
        """Prepare one batch; raises ColumnNotFound where a column is missing that every row must have."""
        if error := self.missing(batch.frame.columns, batch.source_file.iloc[0]):
            raise error
        texts = coded(batch.frame, self.options.columns)
        stored_as = self._stored_names(batch.frame)
        first = int(batch.frame.index[0])
        row_id = pd.Series(range(first, first + len(texts)), batch.frame.index, name="row_id")
        frame, named = (pd.concat([row_id, each.rename(columns=stored_as)], axis=1) for each in (batch.frame, texts))
        rows = _partition(frame, named, self.options, self.pipeline)
        kept = rows[rows["item_id"].notna()] if self.options.filters else rows
        is_whole = first == 0 and bool(batch.finished)
        return Prepared(
            rows=rows,
            source_file=batch.source_file,
            source_row=batch.source_row,
            stored_as=stored_as,
            cleaning=refinery.cleaning_report(kept, self.options.columns, distinct=is_whole),
            unmatched=refinery.unmatched_filter_values(rows, self.options.filters),
            tallies=readers.tallies(texts),
            bytes_done=batch.bytes_done,
        )

    def missing(self, columns: pd.Index[str], where: str) -> ColumnNotFound | None:
        """Give the error of a file without a column that every row must have; null = it has them all."""
        wanted = [("ingest.columns", name) for name in self.options.columns]
        for parameter, column in [*wanted, *(("ingest.filters", name) for name in self.options.filters)]:
            if column not in columns:
                return ColumnNotFound(
                    f"there is no column {column!r} in {where} ({parameter}).", hint=nearest(column, columns)
                )
        return None

    def _stored_names(self, batch: pd.DataFrame) -> dict[str, str]:
        """Say under which names the columns are stored: one that would clash with our own gets another."""
        taken = {*ROW_COLUMNS, *self.clean_columns}
        return {name: f"{name}_original" if name in taken else name for name in batch.columns}
