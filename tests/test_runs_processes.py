"""Several processes on the same runs, killed and racing: real ones, forked from one that has imported the library."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest

from workbench.errors import RunLocked, RunNotFound, StorageError
from workbench.runs import RunStore, open_store, write_json
from workbench.runs.artifacts import partial_path, read_json, sweep
from workbench.runs.locks import file_lock
from workbench.runs.schema import MIGRATIONS

pytestmark = pytest.mark.skipif(os.name != "posix", reason="forks and kills processes")

NURSERY = """
import json, os, signal, sys, time, traceback
from pathlib import Path
import numpy, pandas
from workbench import runs
from workbench.errors import WorkbenchError
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
for line in sys.stdin:
    order = json.loads(line)
    child = os.fork()
    if child:
        print(child, flush=True)
        continue
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    said = os.open(order["said"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(said, 1)
    os.dup2(said, 2)
    try:
        exec(order["code"], dict(globals(), here=Path(order["here"]), argument=order["argument"]))
    except WorkbenchError as error:
        print(type(error).__name__, error.message, error.hint)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(0)
"""

SECONDS = 30


def until(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


class Other:
    """Another process: what it said, and whether it is alive."""

    def __init__(self, process: int, said: Path) -> None:
        self.process = process
        self._said = said

    def said(self) -> str:
        return self._said.read_text() if self._said.exists() else ""

    def says(self, word: str) -> "Other":
        until(lambda: word in self.said(), f"{word!r} is not in {self.said()!r}")
        return self

    def is_alive(self) -> bool:
        try:
            os.kill(self.process, 0)
        except ProcessLookupError:
            return False
        return True

    def kill(self) -> None:
        if self.is_alive():
            os.kill(self.process, signal.SIGKILL)
        self.end()

    def end(self) -> str:
        until(lambda: not self.is_alive(), "it goes on")
        return self.said().strip()


Start = Callable[..., Other]


@pytest.fixture(scope="module")
def nursery() -> Iterator["subprocess.Popen[str]"]:
    with subprocess.Popen(
        [sys.executable, "-c", NURSERY], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield process


@pytest.fixture
def start(nursery: "subprocess.Popen[str]", tmp_path: Path) -> Iterator[Start]:
    """Run code in another process; it finds `here` (the test's folder), `argument` and the usual modules."""
    others: list[Other] = []

    def start_one(code: str, argument: object = None) -> Other:
        said = tmp_path / f"said-{len(others)}"
        assert nursery.stdin is not None
        assert nursery.stdout is not None
        nursery.stdin.write(
            json.dumps({"code": code, "said": str(said), "here": str(tmp_path), "argument": argument}) + "\n"
        )
        nursery.stdin.flush()
        others.append(Other(int(nursery.stdout.readline()), said))
        return others[-1]

    yield start_one
    for other in others:
        other.kill()


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    store = open_store(tmp_path / "runs")
    store.create({}, run_id="one")
    return store


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# ---- files


def test_a_killed_process_leaves_the_old_file_and_its_leftover_is_swept_away(tmp_path: Path, start: Start) -> None:
    folder = tmp_path / "files"
    write_json(folder / "run.json", {"a": 1})
    code = """
with runs.atomic_path(here / "files" / "run.json") as partial:
    partial.write_text("half")
    print("ready", flush=True)
    time.sleep(60)
"""
    other = start(code).says("ready")
    assert sweep(folder) == []  # it is being written
    other.kill()
    assert read_json(folder / "run.json") == {"a": 1}
    assert len(names(folder)) == 2
    assert len(sweep(folder)) == 1
    assert names(folder) == ["run.json"]


@pytest.mark.parametrize("name", ["a.json", "a.parquet", "batches.parquet", "a.xlsx", "a.csv"])
def test_a_full_disk_gives_one_clear_error_and_leaves_nothing_behind(tmp_path: Path, start: Start, name: str) -> None:
    (tmp_path / "files").mkdir()
    code = """
import resource
from workbench.runs.parquet import batch_writer
path = here / "files" / argument
frame = pandas.DataFrame({"a": numpy.random.default_rng(0).normal(size=20_000), "b": "text"})
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
if argument == "batches.parquet":
    with batch_writer(path) as writer:
        writer.write(frame)
elif argument == "a.json":
    runs.write_json(path, frame["a"].tolist())
else:
    runs.write_table(path, frame)
"""
    said = start(code, name).end()
    assert said.startswith("StorageError cannot write")
    assert "File too large" in said.splitlines()[0]
    assert "ulimit" in said.splitlines()[0]
    assert names(tmp_path / "files") == []


def test_a_full_disk_under_the_database_is_a_storage_error(store: RunStore, start: Start) -> None:
    code = """
import resource
store = runs.open_store(here / "runs")
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
store.answers().put(runs.Answer(str(n), "x" * 1000, "", 1.0, "ok", 1) for n in range(1000))
"""
    assert start(code).end().startswith("StorageError the run database")
    assert store.answers().get([str(number) for number in range(1000)]) == {}


@pytest.mark.parametrize("seconds", [0.05, 0.15, 0.4])
def test_a_process_killed_while_it_works_leaves_nothing_half_done(
    store: RunStore, start: Start, seconds: float
) -> None:
    code = """
store = runs.open_store(here / "runs")
with store.lock("one"):
    print("ready", flush=True)
    for number in range(1, 1000):
        store.save("one", "rows", pandas.DataFrame({"n": range(number * 1000)}))
        store.update_manifest("one", lineage={"number": number})
        store.set_progress("one", "ingest", 0, number, None)
"""
    other = start(code).says("ready")
    time.sleep(seconds)
    other.kill()
    with store.lock("one"):
        assert list(store.folder.rglob("*.partial")) == []
    assert read_json(store.folder / "one" / "run.json")["run_id"] == "one"
    if store.has("one", "rows"):
        rows = store.load("one", "rows")
        assert rows["n"].tolist() == list(range(len(rows)))
    store.set_progress("one", "classify", 1, 1, 2)
    assert open_store(store.folder).get("one").run_id == "one"


# ---- the database


def test_processes_that_open_a_new_folder_at_once_all_get_in_and_lose_nothing(tmp_path: Path, start: Start) -> None:
    code = """
print("there", flush=True)
while not (here / "go").exists():
    time.sleep(0.001)
store = runs.open_store(here / "runs")
answers = store.answers()
for number in range(20):
    answers.put([runs.Answer(f"{argument}-{number}-{each}", "Viajes", "", 0.5, "ok", 1) for each in range(10)])
store.create({}, run_id=f"run-{argument}")
try:
    store.create({}, run_id="wanted")
    print("won")
except WorkbenchError as error:
    print(type(error).__name__)
"""
    others = [start(code, number).says("there") for number in range(6)]
    (tmp_path / "go").touch()
    assert sorted(other.end().split()[1] for other in others) == ["RunExists"] * 5 + ["won"]
    store = open_store(tmp_path / "runs")
    assert set(store.list()["run_id"]) == {"wanted", *(f"run-{number}" for number in range(6))}
    keys = [f"{other}-{number}-{each}" for other in range(6) for number in range(20) for each in range(10)]
    assert len(store.answers().get(keys)) == 1200
    connection = sqlite3.connect(tmp_path / "runs" / "workbench.sqlite")
    applied = [row[0] for row in connection.execute("select name from migrations")]
    connection.close()
    assert applied == [name for name, _ in MIGRATIONS]


def test_a_lost_database_is_rebuilt_once_by_several_processes(store: RunStore, start: Start, tmp_path: Path) -> None:
    for number in range(20):
        store.create({"number": number}, run_id=f"run-{number}")
    store.close()
    for path in store.folder.glob("workbench.sqlite*"):
        path.unlink()
    code = """
print("there", flush=True)
while not (here / "go").exists():
    time.sleep(0.001)
print(len(runs.open_store(here / "runs").list()))
"""
    others = [start(code).says("there") for _ in range(4)]
    (tmp_path / "go").touch()
    assert [other.end().split() for other in others] == [["there", "21"]] * 4


def test_a_forked_child_uses_connections_of_its_own(store: RunStore, start: Start) -> None:
    code = """
answers = runs.open_store(here / "runs").answers()
answers.put([runs.Answer("parent", "Viajes", "", 1.0, "ok", 1)])
children = []
for number in range(3):
    child = os.fork()
    if child == 0:
        for each in range(20):
            answers.put([runs.Answer(f"{number}-{each}", "Viajes", "", 1.0, "ok", 1)])
        os._exit(0)
    children.append(child)
for each in range(20):
    answers.put([runs.Answer(f"parent-{each}", "Viajes", "", 1.0, "ok", 1)])
print([os.waitpid(child, 0)[1] for child in children])
"""
    assert start(code).end() == "[0, 0, 0]"
    keys = [f"{name}-{each}" for name in (0, 1, 2, "parent") for each in range(20)]
    assert len(store.answers().get(["parent", *keys])) == 81


def test_progress_and_verdicts_can_be_read_by_another_process(store: RunStore, start: Start) -> None:
    store.set_progress("one", "classify", 1, 50, 200, "50 of 200 items", rate=12.5)
    said = start("print(runs.open_store(here / 'runs').progress('one'))").end()
    assert said == str(store.progress("one"))


def test_several_processes_write_whole_lines_to_the_log(store: RunStore, start: Start) -> None:
    code = "for n in range(100): runs.open_store(here / 'runs').log('one').info('y' * 5000)"
    for other in [start(code) for _ in range(2)]:
        assert other.end() == ""
    lines = (store.folder / "one" / "run.log").read_text().splitlines()
    assert [len(json.loads(line)["message"]) for line in lines] == [5000] * 200


# ---- locks

HOLD = """
with runs.open_store(here / "runs").lock("one", name=argument):
    print("locked", flush=True)
    time.sleep(60)
"""


def test_a_locked_run_names_the_process_that_works_on_it(store: RunStore, start: Start) -> None:
    other = start(HOLD, "run").says("locked")
    with pytest.raises(RunLocked, match="run 'one' is locked") as caught, store.lock("one"):
        pass
    assert f"end process {other.process}" in (caught.value.hint or "")
    with store.lock("one", name="stage"):  # another lock of the same run
        pass


def test_a_lock_dies_with_its_process(store: RunStore, start: Start) -> None:
    start(HOLD, "run").says("locked").kill()
    with store.lock("one"):
        pass


def test_a_lock_is_waited_for(store: RunStore, start: Start) -> None:
    other = start(HOLD, "stage").says("locked")
    began = time.monotonic()
    with (
        pytest.raises(RunLocked, match="the stage lock of run 'one'"),
        store.lock("one", name="stage", wait_seconds=0.3),
    ):
        pass
    assert time.monotonic() - began >= 0.3
    timer = threading.Timer(0.2, other.kill)
    timer.start()
    with store.lock("one", name="stage", wait_seconds=SECONDS):
        pass
    timer.join()


def test_the_process_that_holds_a_lock_may_take_it_again(store: RunStore, start: Start) -> None:
    with store.lock("one"):
        with store.lock("one"), open_store(store.folder).lock("one"):
            pass
        assert start(HOLD, "run").end().startswith("RunLocked")
    start(HOLD, "run").says("locked")


def test_of_several_processes_that_want_a_run_one_gets_it(store: RunStore, start: Start, tmp_path: Path) -> None:
    code = """
store = runs.open_store(here / "runs")
print("there", flush=True)
while not (here / "go").exists():
    time.sleep(0.001)
with store.lock("one"):
    print("mine", flush=True)
    while not (here / "over").exists():
        time.sleep(0.01)
"""
    others = [start(code).says("there") for _ in range(4)]
    (tmp_path / "go").touch()
    until(lambda: sum(other.is_alive() for other in others) == 1, "one stays")
    (tmp_path / "over").touch()
    assert sorted(other.end().split()[1] for other in others) == ["RunLocked"] * 3 + ["mine"]


def test_a_forked_child_does_not_keep_the_lock_of_its_dead_parent(store: RunStore, start: Start) -> None:
    code = """
with runs.open_store(here / "runs").lock("one"):
    child = os.fork()
    if child == 0:
        print("locked", flush=True)
        while not (here / "over").exists():
            time.sleep(0.01)
        os._exit(0)
    time.sleep(60)
"""
    start(code).says("locked").kill()
    with store.lock("one"):
        pass
    (store.folder.parent / "over").touch()


def test_taking_the_lock_of_a_run_sweeps_away_what_a_killed_process_left(store: RunStore, start: Start) -> None:
    dead = start("pass")
    dead.end()
    name = partial_path(Path("rows.parquet")).name.replace(f"-{os.getpid()}-", f"-{dead.process}-")
    leftover = store.folder / "one" / "ingest" / name
    leftover.parent.mkdir()
    leftover.write_text("half")
    with store.lock("one", name="stage"):
        assert leftover.is_file()
    with store.lock("one"):
        assert not leftover.exists()


def test_a_lock_is_given_back_after_an_error(store: RunStore, start: Start) -> None:
    with pytest.raises(KeyError), store.lock("one"):
        raise KeyError
    start(HOLD, "run").says("locked")


def test_what_is_not_there_cannot_be_locked(store: RunStore, tmp_path: Path) -> None:
    with pytest.raises(RunNotFound), store.lock("two"):
        pass
    with pytest.raises(StorageError, match="cannot lock"), file_lock(tmp_path / "nowhere" / ".lock", "x"):
        pass


def test_two_frames_of_verdicts_from_two_processes_are_both_kept(store: RunStore, start: Start) -> None:
    code = """
store = runs.open_store(here / "runs")
for number in range(10):
    store.add_validations("one", pandas.DataFrame([{
        "item_id": f"{argument}-{number}", "iteration": 1, "reviewer": argument, "category": "Viajes",
        "is_correct": True, "corrected_category": None, "user_notes": "", "validated_at": "2026-01-01", "pool": "dev",
    }]))
"""
    for other in [start(code, name) for name in ("ana", "eva")]:
        assert other.end() == ""
    found = store.validations("one")
    assert len(found) == 20
    pd.testing.assert_frame_equal(found, open_store(store.folder).validations("one"))
