"""The input of a run: what is there, its rows as one stream, its items, and what is to be told of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pandas as pd
import pyarrow as pa

from workbench import dedup, readers
from workbench.engine import map_parts
from workbench.errors import ColumnNotFound, ReadError, nearest
from workbench.intake.counts import Counts, add_facts, file_schema_of
from workbench.intake.files import FileList, find
from workbench.intake.items import ItemTable
from workbench.intake.lots import Content, Hashed, Lot, MakePart, content_of, contents_of, make_lots, read
from workbench.intake.partition import Preparation
from workbench.intake.progress import Meter, Tell
from workbench.intake.together import Columns, Place, assemble
from workbench.parameters import IngestSection
from workbench.readers import FileSchema, Source
from workbench.refinery import Pipeline
from workbench.runs import RunStore


class Intake:
    """Reads the input of a run once and counts what it sees on the way."""

    def __init__(
        self, options: IngestSection, pipeline: Pipeline, store: RunStore, *, gold_column: str | None = None
    ) -> None:
        """Find the sources; nothing is read yet. Raises ReadError where there is nothing to read."""
        self.options = options
        self._preparation = Preparation(options, pipeline)
        self._wanted = {"ingest.amount_column": options.amount_column, "validate.gold_column": gold_column}
        self._parts = store.parts(self._preparation.fingerprint)
        self.files = FileList(find(options), options)
        self._items = ItemTable(self._preparation.clean_columns, amounts=options.amount_column is not None)
        self._used: list[dict[str, Any]] = []
        """The facts of every part, as often as it is used."""
        self._columns = Columns({}, set())
        self.rows = 0
        self._kept = 0

    def parts(self, tell: Tell = lambda done, total, text, files: None) -> Iterator[pd.DataFrame]:
        """Give all rows, prepared, batch by batch; when they end, every count is complete.

        A single table is read, cleaned and given in one go. Of several sources each is first made a part that is kept,
        so that an interrupted run, or the next one over a grown folder, reads only what is new.
        """
        meter = Meter(sum(source.size for source in self.files.sources), tell, files=len(self.files.sources))
        for frame in self._single(self.files.sources[0], meter) if self.files.is_one_table else self._several(meter):
            self._count(frame)
            yield frame

    def _single(self, source: Source, meter: Meter) -> Iterator[pd.DataFrame]:
        counts = Counts()
        hashing = self.files.start_hashing(source)
        batches = read([source], self._preparation, None, counts)
        for prepared in map_parts(self._preparation, batches, *self._engine(meter)):
            if not counts.rows:
                self._require(prepared.stored_as, source.name)
            counts.add(prepared)
            self._columns = Columns.named(prepared.stored_as)
            frame = prepared.rows
            frame.insert(1, "source_file", prepared.source_file)
            frame.insert(2, "source_row", prepared.source_row)
            yield frame
            meter.show(prepared.bytes_done, counts.rows)
        part = counts.facts([(hashing.result(), source)])
        self.files.read(source, counts.rows, part["schema"]["notes"])
        self._used = [part | {"schema": part["schema"] | {"path": source.name if source.members else source.path}}]

    def _engine(self, meter: Meter) -> tuple[str, str | None, Callable[[str, int], None]]:
        return self.options.engine, self.options.scheduler, meter.works_on

    def _several(self, meter: Meter) -> Iterator[pd.DataFrame]:
        hashed = self.files.hash_all()
        made = self._kept_parts({content_of(each) for each in hashed})
        known = {content for facts in made.values() for content in contents_of(facts)}
        lots = list(make_lots({content_of(each): each for each in hashed if content_of(each) not in known}.values()))
        meter.done = meter.total - sum(lot.size for lot in lots)
        meter.files_done = meter.files - sum(len(lot.sources) for lot in lots)
        self._make(lots, made, meter)
        places = self._places(made, hashed)
        if not places:
            raise self.files.faults[0].error
        self.files.note_same_rows((place.name, place.part, made[place.part]) for place in places if place.whole)
        self._used = [_under_its_name(place, made) for place in places if place.whole]
        self._used += [made[name] for name in dict.fromkeys(place.part for place in places if not place.whole)]
        self._columns = Columns.of(self._used)
        self._require(self._columns.stored_as, f"any of the {len(places)} files")
        yield from assemble(places, self._parts, self._columns, self.options.deduplication == "preserve_all")

    def _kept_parts(self, present: set[Content]) -> dict[str, dict[str, Any]]:
        """Find the parts of earlier runs whose sources are all there still, each source in one of them."""
        chosen: dict[str, dict[str, Any]] = {}
        taken: set[Content] = set()
        for name, facts in self._parts.all().items():
            inside = set(contents_of(facts))
            if inside and inside <= present and not inside & taken:
                chosen[name] = facts
                taken |= inside
                self._parts.touch(name)
        self.files.kept = taken
        return chosen

    def _make(self, lots: list[Lot], made: dict[str, dict[str, Any]], meter: Meter) -> None:
        is_here = self.options.engine == "local"  # another process tells only when a lot is done
        make = MakePart(self._preparation, self._parts, meter.show_part if is_here else None)
        for new in map_parts(make, lots, *self._engine(meter)):
            for fault in new.faults:
                self.files.failed(fault)
            if new.facts:
                made[new.lot.name] = new.facts
            meter.files_done += len(new.lot.sources)
            meter.show_part(new.lot.name, new.lot.size, new.facts.get("rows", 0))

    def _places(self, made: dict[str, dict[str, Any]], hashed: list[Hashed]) -> list[Place]:
        """Say where the rows of every source stand, in the order of the sources."""
        where: dict[Content, Place] = {}
        for part, facts in made.items():
            start = 0
            for content, each in zip(contents_of(facts), facts["sources"], strict=True):
                where[content] = Place("", part, start, each["rows"], len(facts["sources"]) == 1)
                start += each["rows"]
        places = []
        for each in hashed:
            place, source = where.get(content_of(each)), each[1]
            if place:
                self.files.read(source, place.rows, made[place.part]["schema"]["notes"])
                places.append(replace(place, name=source.name))
        return places

    def _require(self, columns: dict[str, str], where: str) -> None:
        """Find out about columns that only later stages need before more work is done."""
        for parameter, column in self._wanted.items():
            if column is not None and column not in columns:
                raise ColumnNotFound(
                    f"there is no column {column!r} in {where} ({parameter}).", hint=nearest(column, columns)
                )

    def _count(self, frame: pd.DataFrame) -> None:
        kept = frame[frame["item_id"].notna()] if self.options.filters else frame
        if self.options.amount_column is not None:
            stored = self._columns.stored_as[self.options.amount_column]
            kept = kept.assign(amount=readers.amounts(kept[stored]))
        self._items.add(kept)
        self.rows += len(frame)
        self._kept += len(kept)

    def items(self) -> Iterator[pa.Table]:
        """Give the items in the order of their first rows, batch by batch: item_id, n_rows, amount, clean fields.

        Raises ReadError where the filters leave nothing.
        """
        if not len(self._items):
            hint = f"the filters {self.options.filters} fit none of the {self.rows:,} rows." if self.rows else None
            raise ReadError("no row is left to classify.", hint=hint)
        return self._items.batches()

    def schema(self) -> dict[str, Any]:
        """Describe the input files column by column, and how their columns are stored in rows.parquet.

        `kinds` of a file are the types of its columns as they were read, by the names that they are stored as.
        """
        faults = [FileSchema(path=fault.name, fault=str(fault.error)) for fault in self.files.faults]
        found = readers.SchemaReport([*map(file_schema_of, self._used), *faults]).to_dict()
        for file, part in zip(found["files"], self._used, strict=False):
            file["kinds"] = part["kinds"]
        return {**found, "stored_as": self._columns.stored_as}

    def facts(self) -> dict[str, Any]:
        """Tell what was read, cleaned and merged."""
        total = add_facts(self._used)
        return {
            "rows": self.rows,
            "rows_left_out": self.rows - self._kept,
            **dedup.dedup_stats(self._kept, len(self._items)),
            "cleaning": total["cleaning"],
            "filter_values_not_found": total["unmatched"],
            "files": self.files.facts() | {"columns": self._columns.told()},
            "type_conflicts": self._columns.conflicts,
            "columns_missing": self._columns.missing,
        }


def _under_its_name(place: Place, made: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Give the facts of a source's part, which may have been made when a file of these bytes was called otherwise."""
    facts = made[place.part]
    return facts | {"schema": facts["schema"] | {"path": place.name}}
