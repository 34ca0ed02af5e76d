"""Following a run that another process works on."""

import json
import subprocess
import sys
import time

import pytest

from workbench import notebooks
from workbench.cli import main
from workbench.errors import StorageError
from workbench.runs import open_store
from workbench.stages import Step

WORKER = """
import time
from workbench.runs import open_store
store = open_store()
with store.lock("one"):
    print("held", flush=True)
    for done in range(5):
        store.set_progress("one", "ingest", 0, done, 5, f"{done} rows read")
        time.sleep(0.7)
"""


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_RUNS", str(tmp_path / "runs"))
    store = open_store()
    store.create({"ingest": {"input": ["a.csv"]}}, run_id="one")
    return store


def test_progress_of_another_process_is_seen_until_it_ends(store):
    worker = subprocess.Popen([sys.executable, "-c", WORKER], stdout=subprocess.PIPE, text=True)
    assert worker.stdout.readline() == "held\n"
    seen = [progress["done"] for progress in store.follow("one")]
    worker.communicate()
    assert seen == sorted(set(seen)) and seen[-1] == 4 and len(seen) >= 4


def test_a_run_that_nobody_works_on_is_not_waited_for(store, capsys):
    store.set_progress("one", "ingest", 0, 3, 5, "3 rows read")
    assert [progress["detail"] for progress in store.follow("one")] == ["3 rows read"]
    assert main(["show", "one", "--follow", "--json"]) == 0
    said = capsys.readouterr()
    assert json.loads(said.err)["detail"] == "3 rows read"
    assert json.loads(said.out)["run_id"] == "one"


def test_a_database_that_goes_away_while_progress_is_followed_leaves_no_traceback(store):
    told = []
    store.set_progress("one", "ingest", 0, 1, 5, "1 row read")
    with notebooks._progress_observed("one", Step("ingest"), store, lambda event: told.append(event["detail"])):
        wait_until(lambda: told)
        for path in store.folder.glob("workbench.sqlite*"):
            path.unlink()
        with pytest.raises(StorageError):
            store.progress("one")
        time.sleep(3 * notebooks.POLL_SECONDS)  # it is looked for meanwhile; an error in the thread fails the test
    assert told == ["1 row read"]


def wait_until(is_so):
    deadline = time.monotonic() + 30
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.01)
