"""Frames on disk: parquet files that are written whole, or batch by batch, and appear when they are complete."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from workbench.errors import StorageError
from workbench.runs.artifacts import DAMAGED, atomic_path, commit, mapped_errors, partial_path, remove, to_json

BATCH_ROWS = 65_536
MAX_WAITING = 2
"""Batches that are held while they wait to be written."""
SAMPLE_ROWS = 1_000
WORTH_COMPRESSING = 0.9
"""The share of their bytes down to which texts must shrink."""


def write_parquet(path: Path, frame: pd.DataFrame) -> None:
    """Write a frame without its index; a column of mixed kinds is written as text. Raises StorageError."""
    with atomic_path(path) as partial:
        pq.write_table(to_table(frame, path), partial)


def read_parquet(path: Path, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """Read a frame, or some of its columns; raises StorageError."""
    with _open_parquet(path) as file, mapped_arrow(path, "read"):
        frame: pd.DataFrame = file.read(columns=_known_columns(path, file, columns)).to_pandas()
        return frame


def read_batches(path: Path, columns: Sequence[str] | None = None, rows: int = BATCH_ROWS) -> Iterator[pd.DataFrame]:
    """Read a frame in parts of at most `rows` rows, in order; raises StorageError."""
    with _open_parquet(path) as file:
        wanted = _known_columns(path, file, columns)
        with mapped_arrow(path, "read"):
            for batch in file.iter_batches(batch_size=rows, columns=wanted):
                yield batch.to_pandas()


def _open_parquet(path: Path) -> Any:
    with mapped_arrow(path, "read"):
        return pq.ParquetFile(path)


def _known_columns(path: Path, file: Any, columns: Sequence[str] | None) -> list[str] | None:
    names = file.schema_arrow.names
    if columns is not None and (missing := [column for column in columns if column not in names]):
        raise StorageError(f"{path} has no column {missing[0]!r}.", hint=f"it has {', '.join(names)}.")
    return None if columns is None else list(columns)


@contextmanager
def mapped_arrow(path: Path, verb: str = "write") -> Iterator[None]:
    """Turn an error of pyarrow or of the operating system inside the block into a StorageError about this path."""
    try:
        with mapped_errors(path, verb):
            yield
    except pa.ArrowException as error:
        reason, hint = str(error).splitlines()[0].rstrip("."), DAMAGED if verb == "read" else None
        raise StorageError(f"cannot {verb} {path}: {reason}.", hint=hint) from None


def to_table(frame: pd.DataFrame, path: Path) -> Any:
    """Turn a frame into an arrow table without its index; a column of mixed kinds becomes text.

    Raises StorageError for two columns of one name, which parquet cannot tell apart.
    """
    if not frame.columns.is_unique:
        twice = sorted({str(name) for name in frame.columns[frame.columns.duplicated()]})
        raise StorageError(f"cannot write {path}: two columns are called {', '.join(twice)}.", hint="rename one.")
    try:
        return pa.Table.from_pandas(frame, preserve_index=False)
    except (pa.ArrowException, ValueError, TypeError, OverflowError):
        arrays = [_to_array(frame.iloc[:, position]) for position in range(frame.shape[1])]
        return pa.table(arrays, names=[str(name) for name in frame.columns])


def _to_array(column: pd.Series[Any]) -> Any:
    try:
        return pa.array(column, from_pandas=True)
    except (pa.ArrowException, ValueError, TypeError, OverflowError):
        texts = [None if missing else str(value) for value, missing in zip(column, column.isna(), strict=True)]
        safe = [None if text is None else text.encode("utf-8", "replace").decode() for text in texts]
        return pa.array(safe, pa.large_string())


@contextmanager
def batch_writer(path: Path) -> Iterator[BatchWriter]:
    """Write a parquet file batch by batch; it appears when the block ends well, and vanishes when it does not.

    Raises StorageError where it cannot be written, or where nothing was.
    """
    writer = BatchWriter(path)
    try:
        yield writer
        writer.finish()
    finally:
        writer.discard()


class _Behind:
    """Does one thing after the other in a thread of its own; what goes wrong there is raised by a later call.

    Then nothing more is done: a file that could not be written must not be written to while it is closed.
    """

    def __init__(self, name: str) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._waiting: deque[Future[None]] = deque()
        self._failed = False

    def do(self, function: Callable[[Any], None], value: Any) -> None:
        """Hand something over; waits while too much is waiting."""
        self.settle(MAX_WAITING - 1)
        self._waiting.append(self._thread.submit(self._try, function, value))

    def _try(self, function: Callable[[Any], None], value: Any) -> None:
        if self._failed:
            return
        try:
            function(value)
        except BaseException:
            self._failed = True
            raise

    def settle(self, left: int = 0) -> None:
        """Wait until at most so much is still to be done."""
        while len(self._waiting) > left:
            self._waiting.popleft().result()

    def close(self) -> None:
        """Finish what was handed over, and take no more."""
        self._thread.shutdown()


class BatchWriter:
    """Takes batches of rows; the columns of the file grow wider where a later batch does not fit those before.

    A column that comes later is null before; nulls take the type of what follows; integers and fractions become
    fractions; anything else that differs becomes text. Writing goes on in a thread while the next batch is made; what
    goes wrong there is raised by the next call.
    """

    def __init__(self, path: Path) -> None:
        """Touch nothing yet; the first batch opens the file."""
        self.path = path
        self.rows = 0
        """Rows taken so far."""
        self._partial = partial_path(path)
        self._schema: Any = None
        self._writer: Any = None
        self._varied: set[str] = set()
        self._dense: set[str] = set()
        self._behind = _Behind("workbench-parquet")

    def write(self, batch: Any) -> None:
        """Add a batch: a frame, an arrow table or an arrow record batch. Raises StorageError."""
        with mapped_arrow(self.path):
            table = _decoded(self._as_table(batch))
            self._open(table)
            self._behind.do(self._writer.write_table, _fit(table, self._schema))
        self.rows += table.num_rows

    def finish(self) -> None:
        """Complete the file and move it to its place."""
        if self._writer is None:
            raise StorageError(f"nothing was written to {self.path}.", hint="write a batch, if only an empty one.")
        with mapped_arrow(self.path):
            self._close()
            commit(self._partial, self.path)

    def discard(self) -> None:
        """Remove what is not complete."""
        with suppress(OSError, pa.ArrowException):  # the file goes anyway, and what went wrong before matters more
            self._close()
        self._behind.close()
        remove(self._partial)

    def _as_table(self, batch: Any) -> Any:
        if isinstance(batch, pd.DataFrame):
            return to_table(batch, self.path)
        return pa.Table.from_batches([batch]) if isinstance(batch, pa.RecordBatch) else batch

    def _open(self, table: Any) -> None:
        schema = table.schema
        if self._schema is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._schema, self._varied, self._dense = schema, _varied(table), _dense(table)
            self._writer = self._open_file(schema)
        elif not schema.equals(self._schema):
            wider = _join(self._schema, schema)
            if not wider.equals(self._schema):
                self._rewrite(wider)

    def _open_file(self, schema: Any) -> Any:
        if any(pa.types.is_nested(field.type) for field in schema):
            return pq.ParquetWriter(self._partial, schema)
        return pq.ParquetWriter(
            self._partial,
            schema,
            use_dictionary=[name for name in schema.names if name not in self._varied],
            compression={name: "none" if name in self._dense else "snappy" for name in schema.names},
            write_statistics=[field.name for field in schema if not _is_text(field.type)],  # nobody asks for them
        )

    def _rewrite(self, schema: Any) -> None:
        """Copy what is written so far into wider columns, part by part."""
        self._close()
        narrow, self._partial = self._partial, partial_path(self.path)
        try:
            self._writer = self._open_file(schema)
            with pq.ParquetFile(narrow) as file:
                for batch in file.iter_batches(batch_size=BATCH_ROWS):
                    self._writer.write_table(_fit(pa.Table.from_batches([batch]), schema))
            self._schema = schema
        finally:
            remove(narrow)

    def _close(self) -> None:
        try:
            self._behind.settle()
        finally:
            writer, self._writer = self._writer, None
            if writer is not None:
                writer.close()


def _varied(table: Any) -> set[str]:
    """Name the texts and integers that seldom repeat: a dictionary of them in the file would be of no use."""
    kinds = {field.name: _is_text(field.type) or pa.types.is_integer(field.type) for field in table.schema}
    return {name for name, fits in kinds.items() if fits and _seldom_repeats(table[name])}


def _dense(table: Any) -> set[str]:
    """Name the texts that do not become shorter by compression, such as hashes."""
    texts = [field.name for field in table.schema if _is_text(field.type)]
    return {name for name in texts if table.num_rows and not _shrinks(table[name].chunk(0))}


def _shrinks(values: Any) -> bool:
    start, end = (values.offset, values.offset + min(len(values), SAMPLE_ROWS))
    offsets = np.frombuffer(values.buffers()[1], np.int64 if pa.types.is_large_string(values.type) else np.int32)
    sample = (values.buffers()[2] or pa.py_buffer(b""))[int(offsets[start]) : int(offsets[end])]
    return len(sample) < SAMPLE_ROWS or len(pa.compress(sample, "snappy")) < WORTH_COMPRESSING * len(sample)


def _is_text(kind: Any) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _seldom_repeats(values: Any) -> bool:
    return bool(2 * pc.count_distinct(values).as_py() > len(values))


def _decoded(table: Any) -> Any:
    """Spell out columns of codes: two batches seldom agree on what a code means."""
    types = [field.type.value_type if pa.types.is_dictionary(field.type) else field.type for field in table.schema]
    plain = pa.schema(list(zip(table.schema.names, types, strict=True)))
    return table if plain.equals(table.schema) else table.cast(plain)


def _join(one: Any, other: Any) -> Any:
    """Give the schema that holds both: the columns of the first, then the new ones."""
    names = list(dict.fromkeys([*one.names, *other.names]))
    return pa.schema(
        [(name, _join_types([s.field(name).type for s in (one, other) if name in s.names])) for name in names]
    )


def _join_types(types: list[Any]) -> Any:
    schemas = [pa.schema([("column", kind)]) for kind in types]
    try:
        return pa.unify_schemas(schemas, promote_options="permissive").field(0).type
    except pa.ArrowException:
        return pa.large_string()


def _fit(table: Any, schema: Any) -> Any:
    columns = [
        table[field.name].cast(field.type) if field.name in table.schema.names else pa.nulls(table.num_rows, field.type)
        for field in schema
    ]
    return pa.table(columns, schema=schema)


@contextmanager
def json_list(path: Path, key: str) -> Iterator[Callable[[Any], None]]:
    """Write `{key: [...]}` as `write_json` does, table by table: gives what takes an arrow table of texts.

    Writing goes on in a thread, as with `BatchWriter`. The file appears when the block ends well; raises StorageError.
    """
    opening, end = f"{{\n  {to_json(key)}: [".encode(), b"\n  ]\n}"
    begun = False

    def write(table: Any) -> None:
        nonlocal begun
        if table.num_rows:
            text = _plain_texts(table) or _entries(key, table)[len(opening) : -len(end)]
            file.write(b"," if begun else b"")
            file.write(text)
            begun = True

    with atomic_path(path) as partial, partial.open("wb") as file, closing(_Behind("workbench-json")) as behind:
        file.write(opening)
        yield lambda table: behind.do(write, table)
        behind.settle()
        file.write(end if begun else b"]\n}")


def _entries(key: str, table: Any) -> bytes:
    return to_json({key: table.to_pylist()}, indent=True).encode()


def _plain_texts(table: Any) -> Any:
    """Write rows as the entries of a list; None where a value is null or has a character that JSON escapes."""
    kind, parts = pa.large_string(), []
    for position, (name, values) in enumerate(zip(table.column_names, table.columns, strict=True)):
        texts = values.combine_chunks().cast(kind)
        if texts.null_count or not _needs_no_escape(texts):
            return None
        before = f'{"," if position else "{"}\n      {to_json(name)}: "'
        parts += [pa.scalar(f",\n    {before}" if not position else before, kind), texts, pa.scalar('"', kind)]
    rows = pc.binary_join_element_wise(*parts, pa.scalar("\n    }", kind), pa.scalar("", kind))
    end = np.frombuffer(rows.buffers()[1], np.int64)[len(rows)]
    return rows.buffers()[2][1:end]


def _needs_no_escape(texts: Any) -> bool:
    offsets = np.frombuffer(texts.buffers()[1], np.int64)[texts.offset : texts.offset + len(texts) + 1]
    data = np.frombuffer(texts.buffers()[2] or b"", np.uint8)[offsets[0] : offsets[-1]]
    return not ((data < 0x20) | (data == ord('"')) | (data == ord("\\"))).any()
