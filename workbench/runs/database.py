"""The run database: opened, brought up to date, and the few verbs that the store needs.

Only this module and `schema` know SQLAlchemy; here is the border where its errors become StorageError. SQLite in WAL
mode is the default; PostgreSQL comes by URL. The columns carry the names of the fields of `records`.
"""

from __future__ import annotations

import os
import random
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache, lru_cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import ArgumentError, DisconnectionError, NoSuchModuleError, OperationalError, SQLAlchemyError
from sqlalchemy.pool import QueuePool

from workbench.errors import MissingExtra, StorageError, UsageError, WorkbenchError, install
from workbench.runs.artifacts import to_json
from workbench.runs.schema import METADATA, MIGRATIONS, Migration
from workbench.runs.values import now, storable

BUSY_SECONDS = 10
"""How long a writer waits for another one before it gives up."""

LOST_SECONDS = 15.0
"""How long a server that has gone is waited for, once it has been there."""

KEYS_PER_QUERY = 1000
"""How many keys one IN clause takes: far below the limits of either database."""

_RETRY_SECONDS = 0.25

_MIGRATION_LOCK = 7_205_759_403
"""Any number, as long as every workbench uses the same."""

_INSERTS: dict[str, Callable[..., Any]] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}

_HINTS = (
    (
        ("not a database", "malformed", "disk image"),
        "it is damaged: move it away and start again; every run is registered anew from its own folder.",
    ),
    (("is full", "no space"), "the disk is full: free some space, then go on with --resume."),
    (("readonly", "unable to open", "permission denied"), "check the permissions of the folder and the file."),
    (
        ("connection to server", "connection is bad", "server closed", "terminat"),
        "start the database again, or check WORKBENCH_DATABASE_URL; everything that was written is kept.",
    ),
    (("foreign key",), "the run is not in the database: was it removed while it worked?"),
    (("locked",), f"another process has been writing for over {BUSY_SECONDS} seconds: try again."),
    (("no such table", "does not exist"), "open the store again: that brings the tables back."),
)


class Transaction:
    """What may be done inside one transaction; tables go by name."""

    def __init__(self, connection: sa.Connection) -> None:
        """Work on an open connection; whoever opened it commits."""
        self.connection = connection

    def rows(self, table: str, **where: object) -> list[dict[str, Any]]:
        """Give the rows whose columns have these values, in no particular order."""
        query = _select(table, tuple((name, value is None) for name, value in where.items()))
        return [dict(row) for row in self.connection.execute(query, storable(where)).mappings()]

    def query(self, sql: str, **values: object) -> list[dict[str, Any]]:
        """Give the rows of a SELECT, with `:name` for each value; it must read alike on SQLite and PostgreSQL."""
        return [dict(row) for row in self.connection.execute(_text(sql), storable(values)).mappings()]

    def row_to_change(self, table: str, **where: object) -> dict[str, Any] | None:
        """Give the one row whose columns have these values; nobody else changes it until this transaction ends."""
        query = sa.select(METADATA.tables[table]).where(*_conditions(table, where)).with_for_update()
        row = self.connection.execute(query).mappings().first()
        return None if row is None else dict(row)

    def rows_in(self, table: str, column: str, values: Iterable[str]) -> Iterator[dict[str, Any]]:
        """Give the rows whose column holds one of the values, however many there are."""
        wanted = list(dict.fromkeys(values))
        target = METADATA.tables[table]
        for start in range(0, len(wanted), KEYS_PER_QUERY):
            query = sa.select(target).where(target.c[column].in_(wanted[start : start + KEYS_PER_QUERY]))
            yield from (dict(row) for row in self.connection.execute(query).mappings())

    def rows_in_review(self, review: Mapping[str, object], items: Iterable[str]) -> list[dict[str, Any]]:
        """Give the rows of a review's items."""
        found = self.rows_in("review_items", "item_id", items)
        return [row for row in found if all(row[name] == value for name, value in review.items())]

    def insert_new(self, table: str, row: Mapping[str, Any]) -> bool:
        """Add a row unless its key is taken; say whether it was added."""
        keys = _keys(table)
        statement = self._insert(table).on_conflict_do_nothing(index_elements=keys)
        statement = statement.returning(METADATA.tables[table].c[keys[0]])
        return self.connection.execute(statement, storable(row)).first() is not None

    def upsert(self, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Add rows; one whose key is there replaces what was there."""
        if not rows:
            return
        keys = _keys(table)
        # All writers touch rows in the same order, so that no two wait for each other.
        rows = sorted(rows, key=lambda row: [row[key] for key in keys])
        statement = _upsert(self.connection.dialect.name, table)
        self.connection.execute(statement, [storable(row) for row in rows])

    def update(self, table: str, values: Mapping[str, Any], **where: object) -> int:
        """Change the rows whose columns have these values; say how many."""
        statement = sa.update(METADATA.tables[table]).where(*_conditions(table, where)).values(storable(values))
        return int(self.connection.execute(statement).rowcount)

    def delete(self, table: str, **where: object) -> int:
        """Remove the rows whose columns have these values, and what hangs on them; say how many."""
        return int(
            self.connection.execute(sa.delete(METADATA.tables[table]).where(*_conditions(table, where))).rowcount
        )

    def _insert(self, table: str) -> Any:
        return _INSERTS[self.connection.dialect.name](METADATA.tables[table])


class Database:
    """One database, opened and brought up to date; safe to use from several threads and processes."""

    def __init__(self, url: str, migrations: Sequence[Migration] = MIGRATIONS) -> None:
        """Open the database and run the migrations it lacks.

        Raises UsageError for a wrong URL, MissingExtra for a missing driver, StorageError where it cannot be used.
        """
        self._engine = _engine(url)
        self.where = _place(self._engine.url)
        self.is_sqlite = self._engine.dialect.name == "sqlite"
        self._turn = self._new_turn()
        _open.add(self)
        weakref.finalize(self, self._engine.dispose)
        self.patience = 0.0
        """Seconds to wait for a server that does not answer: none at first, so that a wrong address is told at once."""
        self._migrate(migrations)
        self.patience = 0.0 if self.is_sqlite else LOST_SECONDS

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        """Read in one transaction: all queries see the same moment."""
        with self._mapped(), self._connect(self._engine) as connection, connection.begin():
            yield Transaction(connection)

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        """Write in one transaction: all of it is kept, or nothing. Do not nest."""
        writing = self._engine.execution_options(workbench_writes=True)
        with self._mapped(), self._turn, self._connect(writing) as connection, connection.begin():
            yield Transaction(connection)

    def _connect(self, engine: sa.Engine) -> sa.Connection:
        """Connect; a server that has gone for a moment (a restart, a lost line) is tried again for a while."""
        until = time.monotonic() + self.patience
        while True:
            try:
                return engine.connect()
            except OperationalError:
                if time.monotonic() >= until:
                    raise
                time.sleep(_RETRY_SECONDS)

    def close(self) -> None:
        """Close what is open."""
        self._engine.dispose()

    def renew(self) -> None:
        """Leave the connections of the parent process alone: a forked child must not use them."""
        self._engine.dispose(close=False)
        self._turn = self._new_turn()

    def _new_turn(self) -> AbstractContextManager[Any]:
        """SQLite lets one writer in at a time, and in no fair order: the threads of a process queue up here first."""
        return threading.Lock() if self.is_sqlite else nullcontext()

    @contextmanager
    def _mapped(self) -> Iterator[None]:
        try:
            yield
        except SQLAlchemyError as error:
            raise _explain(self.where, error) from None

    def _migrate(self, migrations: Sequence[Migration]) -> None:
        known = {name for name, _ in migrations}
        with self.read() as transaction:
            applied = _applied(transaction)
        if not known <= applied:
            with self.write() as transaction:
                applied = _bring_up(transaction, migrations)
        if unknown := sorted(applied - known):
            raise StorageError(
                f"{self.where} was written by a newer workbench (it has {unknown[-1]}).",
                hint="upgrade this workbench, or choose another folder with WORKBENCH_RUNS.",
            )


_open: weakref.WeakSet[Database] = weakref.WeakSet()


def _renew_all() -> None:
    for database in list(_open):
        database.renew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_all)


def _applied(transaction: Transaction) -> set[str]:
    if not sa.inspect(transaction.connection).has_table("migrations"):
        return set()
    return {row["name"] for row in transaction.rows("migrations")}


def _bring_up(transaction: Transaction, migrations: Sequence[Migration]) -> set[str]:
    """Run what is missing, and look again first: another process may have been faster. Gives the names of all."""
    connection = transaction.connection
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_MIGRATION_LOCK)))
    applied = _applied(transaction)
    missing = [(name, change) for name, change in migrations if name not in applied]
    if not applied:
        METADATA.create_all(connection)
    for name, change in missing:
        if applied:
            change(connection)
        transaction.insert_new("migrations", {"name": name, "applied_at": now()})
    return applied | {name for name, _ in missing}


def _engine(url: str) -> sa.Engine:
    try:
        parsed = _with_our_driver(sa.make_url(url))
        _check_dialect(parsed)
        if parsed.get_backend_name() == "sqlite":
            return _sqlite_engine(parsed)
        connecting = {} if "connect_timeout" in parsed.query else {"connect_timeout": BUSY_SECONDS}
        return sa.create_engine(parsed, json_serializer=to_json, pool_pre_ping=True, connect_args=connecting)
    except (ArgumentError, NoSuchModuleError) as error:
        raise UsageError(
            f"WORKBENCH_DATABASE_URL is not understood: {str(error).splitlines()[0].split(' from ')[0]}.",
            hint="write sqlite:////folder/file.sqlite or postgresql://user:password@host/database.",
        ) from None
    except ModuleNotFoundError as error:
        hint = install("postgres") if error.name == "psycopg" else f"pip install {error.name}"
        raise MissingExtra(f"the database driver {error.name} is not installed.", hint=hint) from None


def _with_our_driver(url: sa.URL) -> sa.URL:
    """An address that names no driver means the one that the extra brings."""
    return url.set(drivername="postgresql+psycopg") if url.drivername in ("postgresql", "postgres") else url


def _check_dialect(url: sa.URL) -> None:
    backend = url.get_backend_name()
    if backend not in _INSERTS:
        raise UsageError(
            f"WORKBENCH_DATABASE_URL names a {backend} database.", hint="the workbench works on sqlite and postgresql."
        )
    if backend == "sqlite" and url.database in (None, "", ":memory:"):
        raise UsageError(
            "WORKBENCH_DATABASE_URL names a database in memory, which would forget everything.",
            hint="write sqlite:////folder/file.sqlite.",
        )


def _sqlite_engine(url: sa.URL) -> sa.Engine:
    settings = {"timeout": BUSY_SECONDS, "isolation_level": None}
    engine = sa.create_engine(url, poolclass=QueuePool, max_overflow=-1, json_serializer=to_json, connect_args=settings)
    path = str(url.database)

    def prepare(connection: Any, record: Any) -> None:
        connection.execute("PRAGMA journal_mode = WAL").close()
        connection.execute("PRAGMA foreign_keys = ON").close()
        record.info["file"] = _file_number(path)

    def check(connection: object, record: Any, proxy: object) -> None:
        if record.info["file"] != _file_number(path):  # it was removed or replaced: what we write would go nowhere
            raise DisconnectionError("the database file was replaced")

    sa.event.listen(engine, "connect", prepare)
    sa.event.listen(engine, "checkout", check)
    sa.event.listen(engine, "begin", _begin_sqlite)
    return engine


def _file_number(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)  # noqa: PTH116
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _begin_sqlite(connection: sa.Connection) -> None:
    """Take the write lock at once, since a reader that turns into a writer is refused without waiting."""
    writes = connection.get_execution_options().get("workbench_writes")
    if not writes:
        connection.exec_driver_sql("BEGIN")
        return
    connection.exec_driver_sql("PRAGMA busy_timeout = 0")  # SQLite waits ever longer, and lets others in meanwhile
    try:
        _begin_writing(connection, time.monotonic() + BUSY_SECONDS)
    finally:
        connection.exec_driver_sql(f"PRAGMA busy_timeout = {1000 * BUSY_SECONDS}")


def _begin_writing(connection: Any, deadline: float) -> None:
    while True:
        try:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            return
        except OperationalError as error:
            if "locked" not in str(error.orig) or time.monotonic() > deadline:
                raise
            time.sleep(random.uniform(0.001, 0.005))


def _place(url: sa.URL) -> str:
    if url.get_backend_name() == "sqlite":
        return f"the run database {url.database}"
    return f"the run database {url.render_as_string(hide_password=True)}"


def _explain(where: str, error: SQLAlchemyError) -> WorkbenchError:
    original = getattr(error, "orig", None)
    if isinstance(original, WorkbenchError):  # what to_json says of a value that has no form in JSON
        return original
    lines = str(original or error).strip().splitlines() or [type(error).__name__]
    cause = lines[0].rstrip(".")
    found = (hint for words, hint in _HINTS if any(word in cause.lower() for word in words))
    hint = next(found, "check that the database is there and may be written (WORKBENCH_DATABASE_URL).")
    return StorageError(f"{where} does not play along: {cause}.", hint=hint)


@cache
def _select(table: str, names: tuple[tuple[str, bool], ...]) -> sa.Select[Any]:
    """Write the query for rows whose columns have given values, or none: once, since writing it takes the longest."""
    columns = METADATA.tables[table].c
    where = (columns[name].is_(None) if is_null else columns[name] == sa.bindparam(name) for name, is_null in names)
    return sa.select(METADATA.tables[table]).where(*where)


@lru_cache
def _text(sql: str) -> sa.TextClause:
    return sa.text(sql)


@cache
def _upsert(dialect: str, table: str) -> Any:
    insert, keys = _INSERTS[dialect](METADATA.tables[table]), _keys(table)
    changed = {name: insert.excluded[name] for name in METADATA.tables[table].c.keys() if name not in keys}  # noqa: SIM118
    return insert.on_conflict_do_update(index_elements=keys, set_=changed)


def _keys(table: str) -> list[str]:
    return [column.name for column in METADATA.tables[table].primary_key]


def _conditions(table: str, where: Mapping[str, object]) -> list[sa.ColumnElement[bool]]:
    columns = METADATA.tables[table].c
    return [columns[name] == value for name, value in storable(where).items()]
