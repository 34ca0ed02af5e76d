"""Migrations: an empty database and one of the first version become the same, on SQLite and on PostgreSQL."""

import pytest
import sqlalchemy as sa

from workbench.runs import open_store
from workbench.runs.database import Database
from workbench.runs.schema import METADATA, MIGRATIONS
from workbench.runs.schemas import Schemas

FIRST = """
CREATE TABLE migrations (name VARCHAR NOT NULL, applied_at VARCHAR NOT NULL, PRIMARY KEY (name));
CREATE TABLE runs (run_id VARCHAR NOT NULL, name VARCHAR NOT NULL, state VARCHAR NOT NULL, iteration INTEGER NOT NULL,
  parameters JSON NOT NULL, facts JSON NOT NULL, created_at VARCHAR NOT NULL, updated_at VARCHAR NOT NULL,
  PRIMARY KEY (run_id));
CREATE TABLE stages (run_id VARCHAR NOT NULL REFERENCES runs (run_id) ON DELETE CASCADE, stage VARCHAR NOT NULL,
  iteration INTEGER NOT NULL, state VARCHAR NOT NULL, started_at VARCHAR NOT NULL, finished_at VARCHAR,
  facts JSON NOT NULL, artifacts JSON NOT NULL, PRIMARY KEY (run_id, stage, iteration));
CREATE TABLE validations (run_id VARCHAR NOT NULL REFERENCES runs (run_id) ON DELETE CASCADE, item_id VARCHAR NOT NULL,
  iteration INTEGER NOT NULL, reviewer VARCHAR NOT NULL, category TEXT NOT NULL, is_correct BOOLEAN NOT NULL,
  corrected_category TEXT, user_notes TEXT NOT NULL, validated_at VARCHAR NOT NULL, pool VARCHAR NOT NULL,
  PRIMARY KEY (run_id, item_id, iteration, reviewer));
CREATE TABLE answers (key VARCHAR NOT NULL, category TEXT, reason TEXT NOT NULL, score FLOAT, status VARCHAR NOT NULL,
  attempts INTEGER NOT NULL, saved_at VARCHAR NOT NULL, PRIMARY KEY (key));
CREATE TABLE progress (run_id VARCHAR NOT NULL REFERENCES runs (run_id) ON DELETE CASCADE, stage VARCHAR NOT NULL,
  iteration INTEGER NOT NULL, done BIGINT NOT NULL, total BIGINT, detail TEXT NOT NULL, rate FLOAT,
  updated_at VARCHAR NOT NULL, PRIMARY KEY (run_id));
INSERT INTO migrations VALUES ('001_first_tables', '2026-11-01T00:00:00.000000+00:00');
INSERT INTO runs VALUES ('one', 'old', 'finished', 2, '{"run": {"seed": 7}}', '{"seed": 7}',
  '2026-11-01T00:00:00.000000+00:00', '2026-11-01T00:00:00.000000+00:00');
INSERT INTO answers VALUES ('k', 'Viajes', 'vuelo', 0.9, 'ok', 1, '2026-11-01T00:00:00.000000+00:00');
"""
"""The first version's tables, with a run and an answer in them."""


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path):
    if request.param == "postgresql":
        return request.getfixturevalue("postgres_url")
    return f"sqlite:///{tmp_path / 'workbench.sqlite'}"


def columns(database):
    with database.read() as transaction:
        found = sa.inspect(transaction.connection)
        return {
            table: {column["name"]: bool(column["nullable"]) for column in found.get_columns(table)}
            for table in found.get_table_names()
        }


def as_declared():
    return {
        name: {column.name: bool(column.nullable) for column in table.columns}
        for name, table in METADATA.tables.items()
    }


def make_first(url):
    engine = sa.create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    with engine.begin() as connection:
        for statement in FIRST.split(";\n"):
            if statement.strip():
                connection.exec_driver_sql(statement)
    engine.dispose()


def test_an_empty_database_gets_the_newest_tables(url):
    database = Database(url)
    assert columns(database) == as_declared()
    with database.read() as transaction:
        assert {row["name"] for row in transaction.rows("migrations")} == {name for name, _ in MIGRATIONS}


def test_a_database_of_the_first_version_gets_what_it_lacks_and_keeps_what_it_has(url, tmp_path, monkeypatch):
    make_first(url)
    database = Database(url)
    assert columns(database) == as_declared()
    monkeypatch.setenv("WORKBENCH_DATABASE_URL", url)
    (tmp_path / "runs" / "one").mkdir(parents=True)
    store = open_store(tmp_path / "runs")
    assert (store.get("one").name, store.get("one").iteration) == ("old", 2)
    assert store.answers().get(["k"])["k"].category == "Viajes"
    Database(url)  # the second time there is nothing to do


@pytest.mark.parametrize("had", range(1, len(MIGRATIONS) + 1))
def test_a_database_of_every_version_between_becomes_the_newest(url, had):
    make_first(url)
    Database(url, MIGRATIONS[:had])
    database = Database(url)
    assert columns(database) == as_declared()
    with database.read() as transaction:
        found = sa.inspect(transaction.connection)
        for name, table in METADATA.tables.items():
            assert {index["name"] for index in found.get_indexes(name)} == {index.name for index in table.indexes}
        assert {row["name"] for row in transaction.rows("migrations")} == {name for name, _ in MIGRATIONS}
    Schemas(database).put({"k": {"path": "año.csv"}})
    assert Schemas(database).get(["k", "x"]) == {"k": {"path": "año.csv"}}


def test_a_batch_of_an_older_database_is_kept_and_one_that_waits_fits_in(url):
    make_first(url)
    before = Database(url, MIGRATIONS[:8])
    row = dict.fromkeys(column.name for column in METADATA.tables["batch_pipelines"].columns)
    row |= {"run_id": "one", "batch_id": "one", "status": "completed", "current_phase": "consolidated"}
    row |= {"overall_progress": 100, "config": {"input": "año.csv"}, "state_snapshot": {"rows": 3}}
    row |= dict.fromkeys(("created_at", "started_at", "last_updated"), "2026-11-01T00:00:00.000000+00:00")
    with before.write() as transaction:
        transaction.upsert("batch_pipelines", [row])
    database = Database(url)
    with database.write() as transaction:
        assert transaction.rows("batch_pipelines") == [row]
        transaction.upsert("batch_pipelines", [row | {"status": "initialized", "started_at": None}])
        assert transaction.rows("batch_pipelines")[0]["started_at"] is None


def test_migrations_are_numbered_in_order():
    assert [name[:3] for name, _ in MIGRATIONS] == [f"{number:03d}" for number in range(1, len(MIGRATIONS) + 1)]
