"""The database: opened by many at once, brought up to date once, never left half-written."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateTable

from workbench.errors import MissingExtra, StorageError, UsageError
from workbench.records import Status
from workbench.runs import Answer, open_store
from workbench.runs.database import Database
from workbench.runs.schema import METADATA, MIGRATIONS


def url_of(folder: Path) -> str:
    return f"sqlite:///{folder / 'workbench.sqlite'}"


@dataclass(frozen=True)
class OtherAnswer:
    """An answer as another room has it."""

    key: str
    category: str | None
    reason: str
    score: float | None
    status: Status = Status.OK
    attempts: int = 1


def test_threads_share_a_store(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    answers = store.answers()

    def work(number: int) -> int:
        for each in range(10):
            answers.put([Answer(f"{number}-{each}", "Viajes", "", 1.0, Status.OK, 1)])
        return len(answers.get([f"{number}-{each}" for each in range(20)]))

    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(work, range(32))) == [10] * 32


def test_answers_come_back_by_key_and_later_ones_replace_earlier_ones(tmp_path: Path) -> None:
    answers = open_store(tmp_path).answers(OtherAnswer)
    answers.put([OtherAnswer("a", "Viajes", "vuelo ✈", 0.9), OtherAnswer("b", None, "", float("nan"), Status.PENDING)])
    answers.put([OtherAnswer("a", "Comida", "tacos", 0.5, Status.REPAIRED, 2)])
    answers.put([])
    assert answers.get(["b", "a", "c", "a"]) == {
        "a": OtherAnswer("a", "Comida", "tacos", 0.5, Status.REPAIRED, 2),
        "b": OtherAnswer("b", None, "", None, Status.PENDING, 1),
    }
    assert answers.get([]) == {}
    assert isinstance(answers.get(["a"])["a"].status, Status)


def test_thousands_of_answers_are_found_in_one_go(tmp_path: Path) -> None:
    answers = open_store(tmp_path).answers()
    answers.put(
        Answer(f"{number}", "Viajes", "caf\ud83d" if number == 1 else "", 1.0, Status.OK, 1) for number in range(5000)
    )
    found = answers.get([str(number) for number in range(40_000)])
    assert len(found) == 5000
    assert found["1"].reason == "caf?"


def test_a_transaction_keeps_all_or_nothing(tmp_path: Path) -> None:
    database = Database(url_of(tmp_path))
    row = {"key": "a", "category": None, "reason": "", "score": None, "status": "ok", "attempts": 1, "saved_at": ""}
    with pytest.raises(KeyError), database.write() as transaction:
        transaction.upsert("answers", [row])
        raise KeyError
    with database.read() as transaction:
        assert transaction.rows("answers") == []


def test_the_database_keeps_to_wal_and_to_its_foreign_keys(tmp_path: Path) -> None:
    database = Database(url_of(tmp_path))
    with database.read() as transaction:
        assert transaction.connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert transaction.connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
        assert transaction.connection.exec_driver_sql("PRAGMA busy_timeout").scalar() == 10_000
    with pytest.raises(StorageError, match="removed while it worked"), database.write() as transaction:
        transaction.upsert("progress", [dict.fromkeys(METADATA.tables["progress"].c.keys(), 1)])


def add_note(connection: sa.Connection) -> None:
    connection.exec_driver_sql("ALTER TABLE runs ADD COLUMN note VARCHAR")


def test_a_migration_changes_an_older_database_once(tmp_path: Path) -> None:
    Database(url_of(tmp_path)).close()
    newer = (*MIGRATIONS, ("998_note", add_note))
    for _ in range(2):
        database = Database(url_of(tmp_path), newer)
        with database.read() as transaction:
            columns = [column["name"] for column in sa.inspect(transaction.connection).get_columns("runs")]
            applied = {row["name"]: row["applied_at"] for row in transaction.rows("migrations")}
        assert columns.count("note") == 1
        assert list(applied) == [name for name, _ in newer]
        assert all(time.startswith("20") for time in applied.values())


def test_a_new_database_starts_with_the_newest_tables(tmp_path: Path) -> None:
    database = Database(url_of(tmp_path), (*MIGRATIONS, ("998_note", add_note)))
    with database.read() as transaction:
        assert len(transaction.rows("migrations")) == len(MIGRATIONS) + 1


def test_a_migration_that_fails_leaves_the_database_as_it_was(tmp_path: Path) -> None:
    Database(url_of(tmp_path)).close()

    def fail(connection: sa.Connection) -> None:
        add_note(connection)
        connection.exec_driver_sql("SELECT * FROM nowhere")

    with pytest.raises(StorageError, match="nowhere"):
        Database(url_of(tmp_path), (*MIGRATIONS, ("998_note", fail)))
    database = Database(url_of(tmp_path), (*MIGRATIONS, ("998_note", add_note)))
    with database.read() as transaction:
        assert len(transaction.rows("migrations")) == len(MIGRATIONS) + 1


def test_a_database_of_a_newer_workbench_is_refused(tmp_path: Path) -> None:
    Database(url_of(tmp_path), (*MIGRATIONS, ("999_future", add_note))).close()
    with pytest.raises(StorageError, match="newer workbench") as caught:
        open_store(tmp_path)
    assert "upgrade" in (caught.value.hint or "")


@pytest.mark.parametrize(
    "content", [b"this is no database, but a text that is long enough" * 100, b"SQLite format 3\0" + b"\xff" * 5000]
)
def test_a_broken_database_gives_one_clear_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "workbench.sqlite").write_bytes(content)
    with pytest.raises(StorageError, match=r"workbench\.sqlite") as caught:
        open_store(tmp_path)
    assert "move it away" in (caught.value.hint or "")
    assert caught.value.__cause__ is None


def test_a_database_in_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="unable to open"):
        Database(f"sqlite:///{tmp_path / 'nowhere' / 'x.sqlite'}")


def test_a_database_that_is_removed_while_it_is_open_is_noticed(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    store.create({}, run_id="one")
    for path in tmp_path.glob("workbench.sqlite*"):
        path.unlink()
    with pytest.raises(StorageError, match="open the store again"):
        store.get("one")
    assert open_store(tmp_path).get("one").run_id == "one"


@pytest.mark.parametrize(
    ("url", "error", "words"),
    [
        ("nonsense", UsageError, "not understood"),
        ("oracle9://x", UsageError, "oracle9"),
        ("mysql://x/y", UsageError, "sqlite and postgresql"),
        ("sqlite://", UsageError, "in memory"),
        ("sqlite:///:memory:", UsageError, "in memory"),
        ("postgresql+nodriver://user:secret@host/x", UsageError, "not understood"),
    ],
)
def test_a_wrong_url_is_explained(url: str, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words) as caught:
        Database(url)
    assert "secret" not in str(caught.value)


def test_postgresql_without_its_driver_or_server_is_explained_without_the_password() -> None:
    with pytest.raises((MissingExtra, StorageError)) as caught:
        Database("postgresql://user:secret@127.0.0.1:1/x")
    assert "secret" not in str(caught.value)
    assert caught.value.hint


@pytest.mark.parametrize("table", METADATA.tables)
def test_every_table_has_a_form_in_postgresql(table: str) -> None:
    assert "CREATE TABLE" in str(CreateTable(METADATA.tables[table]).compile(dialect=postgresql.dialect()))
