"""The tables of the run database, and every change they went through; the columns carry the names of `records`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import sqlalchemy as sa

METADATA = sa.MetaData()

sa.Table(
    "migrations",
    METADATA,
    sa.Column("name", sa.String, primary_key=True),
    sa.Column("applied_at", sa.String, nullable=False),
)
sa.Table(
    "runs",
    METADATA,
    sa.Column("run_id", sa.String, primary_key=True),
    sa.Column("name", sa.String, nullable=False),
    sa.Column("state", sa.String, nullable=False),
    sa.Column("iteration", sa.Integer, nullable=False),
    sa.Column("parameters", sa.JSON, nullable=False),
    sa.Column("facts", sa.JSON, nullable=False),
    sa.Column("created_at", sa.String, nullable=False),
    sa.Column("updated_at", sa.String, nullable=False),
)


def _of_run() -> sa.Column[str]:
    return sa.Column("run_id", sa.ForeignKey("runs.run_id", ondelete="CASCADE"), primary_key=True)


sa.Table(
    "stages",
    METADATA,
    _of_run(),
    sa.Column("stage", sa.String, primary_key=True),
    sa.Column("iteration", sa.Integer, primary_key=True),
    sa.Column("state", sa.String, nullable=False),
    sa.Column("started_at", sa.String, nullable=False),
    sa.Column("finished_at", sa.String),
    sa.Column("facts", sa.JSON, nullable=False),
    sa.Column("artifacts", sa.JSON, nullable=False),
)
sa.Table(
    "validations",
    METADATA,
    _of_run(),
    sa.Column("item_id", sa.String, primary_key=True),
    sa.Column("iteration", sa.Integer, primary_key=True),
    sa.Column("reviewer", sa.String, primary_key=True),
    sa.Column("category", sa.Text, nullable=False),
    sa.Column("is_correct", sa.Boolean, nullable=False),
    sa.Column("corrected_category", sa.Text),
    sa.Column("user_notes", sa.Text, nullable=False),
    sa.Column("validated_at", sa.String, nullable=False),
    sa.Column("pool", sa.String, nullable=False),
)
sa.Table(
    "answers",
    METADATA,
    sa.Column("key", sa.String, primary_key=True),
    sa.Column("category", sa.Text),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("score", sa.Float),
    sa.Column("status", sa.String, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("saved_at", sa.String, nullable=False),
)
sa.Table(
    "progress",
    METADATA,
    _of_run(),
    sa.Column("stage", sa.String, nullable=False),
    sa.Column("iteration", sa.Integer, nullable=False),
    sa.Column("done", sa.BigInteger, nullable=False),
    sa.Column("total", sa.BigInteger),
    sa.Column("detail", sa.Text, nullable=False),
    sa.Column("rate", sa.Float),
    sa.Column("updated_at", sa.String, nullable=False),
)
sa.Table(
    "schema_cache",
    METADATA,
    sa.Column("key", sa.String, primary_key=True),
    sa.Column("schema", sa.Text, nullable=False),
    sa.Column("saved_at", sa.String, nullable=False),
)
sa.Table(
    "checksums",
    METADATA,
    _of_run(),
    sa.Column("path", sa.String, primary_key=True),
    sa.Column("sha256", sa.String, nullable=False),
    sa.Column("bytes", sa.BigInteger, nullable=False),
    sa.Column("saved_at", sa.String, nullable=False),
)
sa.Table(
    "sessions",
    METADATA,
    sa.Column("session_id", sa.String, primary_key=True),
    sa.Column("created_at", sa.String, nullable=False),
    sa.Column("last_updated", sa.String, nullable=False),
    sa.Column("expires_at", sa.String, nullable=False),
    sa.Column("current_step", sa.String, nullable=False),
    sa.Column("state", sa.JSON, nullable=False),
)
sa.Table(
    "batch_pipelines",
    METADATA,
    _of_run(),
    sa.Column("id", sa.String),
    sa.Column("batch_id", sa.String, nullable=False),
    sa.Column("session_id", sa.String, index=True),
    sa.Column("upload_id", sa.String, index=True),
    sa.Column("tenant", sa.String),
    sa.Column("status", sa.String, nullable=False, index=True),
    sa.Column("current_phase", sa.Text, nullable=False),
    sa.Column("overall_progress", sa.Integer, nullable=False),
    sa.Column("config", sa.JSON, nullable=False),
    sa.Column("total_files", sa.Integer),
    sa.Column("files_processed", sa.Integer),
    sa.Column("total_rows", sa.BigInteger),
    sa.Column("processing_total", sa.BigInteger),
    sa.Column("processing_completed", sa.BigInteger),
    sa.Column("consolidated_file", sa.String),
    sa.Column("llm_input_file", sa.String),
    sa.Column("created_at", sa.String, nullable=False, index=True),
    sa.Column("started_at", sa.String),
    sa.Column("completed_at", sa.String),
    sa.Column("last_updated", sa.String, nullable=False),
    sa.Column("state_snapshot", sa.JSON, nullable=False),
)

sa.Table(
    "reviews",
    METADATA,
    _of_run(),
    sa.Column("iteration", sa.Integer, primary_key=True),
    sa.Column("prepared_from", sa.String, nullable=False),
    sa.Column("about", sa.Text, nullable=False),
    sa.Column("results", sa.Text, nullable=False),
    sa.Column("results_from", sa.String, nullable=False),
)
_REVIEW_ITEMS = sa.Table(
    "review_items",
    METADATA,
    _of_run(),
    sa.Column("iteration", sa.Integer, primary_key=True),
    sa.Column("item_id", sa.String, primary_key=True),
    sa.Column("position", sa.Integer),
    sa.Column("category", sa.Text, nullable=False),
    sa.Column("score", sa.Float),
    sa.Column("n_rows", sa.BigInteger, nullable=False),
    sa.Column("money", sa.Float, nullable=False),
    sa.Column("changed", sa.Integer, nullable=False),
    sa.Column("wanted", sa.Integer, nullable=False),
    sa.Column("open", sa.Integer, nullable=False),
    sa.Column("disputed", sa.Integer, nullable=False),
    sa.Column("blind", sa.Integer, nullable=False),
    sa.Column("revision", sa.String, nullable=False),
    sa.Column("alike", sa.Text, nullable=False),
    sa.Column("words", sa.Text, nullable=False),
    sa.Column("card", sa.Text, nullable=False),
)
_QUEUE = "position IS NOT NULL AND open > 0"
_SAMPLE = (
    "position IS NOT NULL AND wanted > 0"  # says no more than the first half, and keeps the queue from taking these
)
for _name, _columns, _part in (
    ("queue_sampled", ("position",), _QUEUE),
    ("queue_score", ("score", "position"), _QUEUE),
    ("queue_rows", ("n_rows DESC", "position"), _QUEUE),
    ("queue_money", ("money DESC", "position"), _QUEUE),
    ("queue_category", ("category", "position"), _QUEUE),
    ("sample_sampled", ("position", "open", "wanted"), _SAMPLE),
    ("sample_score", ("score", "position"), _SAMPLE),
    ("sample_rows", ("n_rows DESC", "position"), _SAMPLE),
    ("sample_money", ("money DESC", "position"), _SAMPLE),
    ("items_by_alike", ("alike", "category"), "alike <> ''"),
    ("items_judged", ("item_id",), "open <> wanted"),
):
    sa.Index(
        f"review_{_name}",
        *(_REVIEW_ITEMS.c[column] for column in ("run_id", "iteration")),
        *(sa.text(column) for column in _columns),
        sqlite_where=sa.text(_part),
        postgresql_where=sa.text(_part),
    )
_REVIEW_DECISIONS = sa.Table(
    "review_decisions",
    METADATA,
    _of_run(),
    sa.Column("key", sa.String, primary_key=True),
    sa.Column("batch", sa.String, nullable=False),
    sa.Column("iteration", sa.Integer, nullable=False),
    sa.Column("item_id", sa.String, nullable=False),
    sa.Column("reviewer", sa.String, nullable=False),
    sa.Column("verdict", sa.String, nullable=False),
    sa.Column("category", sa.Text, nullable=False),
    sa.Column("corrected_category", sa.Text),
    sa.Column("user_notes", sa.Text, nullable=False),
    sa.Column("revision", sa.String, nullable=False),
    sa.Column("decided_at", sa.String, nullable=False),
    sa.Column("undone_by", sa.String),
    sa.Column("replaced", sa.Text),
    sa.Index("review_decisions_of_reviewer", "run_id", "iteration", "item_id", "reviewer", "decided_at"),
    sa.Index("review_decisions_by_reviewer", "run_id", "iteration", "reviewer", "decided_at"),
)
sa.Table(
    "review_seats",
    METADATA,
    _of_run(),
    sa.Column("iteration", sa.Integer, primary_key=True),
    sa.Column("reviewer", sa.String, primary_key=True),
    sa.Column("item_id", sa.String),
    sa.Column("claimed_until", sa.String, nullable=False),
    sa.Column("place", sa.Text, nullable=False),
)


def _review_tables(connection: sa.Connection) -> None:
    names = ("reviews", "review_items", "review_decisions", "review_seats")
    METADATA.create_all(connection, tables=[METADATA.tables[name] for name in names])


def _review_indexes(connection: sa.Connection) -> None:
    for name in ("position", "score", "rows", "money", "sampled"):
        connection.exec_driver_sql(f"DROP INDEX IF EXISTS review_items_by_{name}")
    connection.exec_driver_sql("DROP INDEX IF EXISTS review_decisions_by_item")
    for index in _REVIEW_ITEMS.indexes | _REVIEW_DECISIONS.indexes:
        index.create(connection, checkfirst=True)


def _batch_fields(connection: sa.Connection) -> None:
    table = METADATA.tables["batch_pipelines"]
    there = {column["name"] for column in sa.inspect(connection).get_columns(table.name)}
    for name in ("id", "upload_id", "tenant"):
        if name not in there:
            connection.exec_driver_sql(f"ALTER TABLE batch_pipelines ADD COLUMN {name} VARCHAR")
    for index in table.indexes:
        index.create(connection, checkfirst=True)


def _waiting_batches(connection: sa.Connection) -> None:
    """Let a batch be there before its ingest starts: SQLite changes what a column may hold only in a new table."""
    table = METADATA.tables["batch_pipelines"]
    rows = [dict(row) for row in connection.execute(sa.select(table)).mappings()]
    table.drop(connection)
    table.create(connection)
    if rows:
        connection.execute(table.insert(), rows)


Migration = tuple[str, Callable[[sa.Connection], None]]
MIGRATIONS: tuple[Migration, ...] = (
    ("001_first_tables", METADATA.create_all),
    ("002_schema_cache", partial(METADATA.tables["schema_cache"].create, checkfirst=True)),
    ("003_checksums", partial(METADATA.tables["checksums"].create, checkfirst=True)),
    ("004_sessions", partial(METADATA.tables["sessions"].create, checkfirst=True)),
    ("005_batch_pipelines", partial(METADATA.tables["batch_pipelines"].create, checkfirst=True)),
    ("006_review_tables", _review_tables),
    ("007_review_indexes", _review_indexes),
    ("008_batch_fields", _batch_fields),
    ("009_waiting_batches", _waiting_batches),
)
"""Every change of the tables, oldest first. A new database starts with the newest tables and is marked as having had
them all; an older one gets those it lacks. A published migration is never edited."""
