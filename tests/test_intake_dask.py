"""The same work on a Dask cluster: the same rows, also when a worker dies."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
import warnings
from pathlib import Path

import dask
import pandas as pd
import pytest
from distributed import Client, LocalCluster

from workbench import workflow
from workbench.engine import map_parts
from workbench.errors import StageFailed, UsageError, install
from workbench.parameters import load_parameters
from workbench.runs import open_store

pytestmark = pytest.mark.filterwarnings("default")  # those of a cluster that closes are its own affair


@pytest.fixture(scope="module")
def cluster():
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address="127.0.0.1:0") as workers:
        yield workers.scheduler_address


def ingest(run_id, *overrides, show=None):
    common = ["ingest.input=in", "ingest.filters={}", "ingest.amount_column=null", "validate.gold_column=null"]
    store = open_store()
    workflow.ingest(load_parameters("run.yaml", [*common, *overrides]), store, run_id=run_id, show=show)
    return store.load(run_id, "rows"), store.load(run_id, "items")


def write(folder, files, rows):
    folder.mkdir()
    for number in range(files):
        lines = [f"Viaje {n % 700} a la planta de Monterrey,{n}\n" for n in range(number, number + rows)]
        (folder / f"{number}.csv").write_text("Concepto,Importe\n" + "".join(lines))


@pytest.mark.parametrize(("files", "database"), [(1, "sqlite"), (3, "sqlite"), (3, "postgresql")])
def test_a_cluster_gives_the_same_rows_as_one_process(project, cluster, files, database, request, monkeypatch):
    write(project / "in", files, 60_000 // files)
    local = ingest("local")
    for path in (project / "runs" / ".cache").rglob("*.json"):
        path.unlink()
    if database == "postgresql":  # as a team shares it
        monkeypatch.setenv("WORKBENCH_DATABASE_URL", request.getfixturevalue("postgres_url"))
    said = []
    remote = ingest("remote", "ingest.engine=dask", f"ingest.scheduler={cluster}", show=said.append)
    for one, other in zip(local, remote, strict=True):
        pd.testing.assert_frame_equal(one, other)
    assert said[0].startswith("reading begins; Dask dashboard: http://127.0.0.1:")
    assert said[-1] == "60,000 rows read and cleaned"


def test_the_dashboard_is_told_before_work_begins_and_has_the_plots_that_jupyterlab_shows(cluster):
    told = []
    assert next(map_parts(abs, [-1], "dask", cluster, lambda *values: told.append(values))) == 1
    ((address, threads),) = told
    assert threads == 2
    with urllib.request.urlopen(address.replace("/status", "/individual-plots.json"), timeout=30) as answer:
        plots = json.load(answer)  # what dask-labextension asks for
    assert {"Individual Task Stream", "Individual Workers Memory", "Individual Progress"} <= plots.keys()


def test_a_cluster_starts_on_this_machine_also_where_the_port_of_the_dashboard_is_taken():
    told = []
    with contextlib.ExitStack() as held, warnings.catch_warnings(record=True) as warned:
        with contextlib.suppress(OSError):  # somebody else has it
            held.enter_context(socket.create_server(("", 8787)))
        assert list(map_parts(abs, [-1, -2], "dask", None, lambda address, _: told.append(address))) == [1, 2]
    assert [each for each in warned if "8787" in str(each.message)] == []
    assert len(told) == 1 and ":8787/" not in told[0]


def test_a_scheduler_without_workers_is_told_of_and_the_first_one_that_comes_is_used(project):
    write(project / "in", 2, 500)
    said = []
    with LocalCluster(n_workers=0, threads_per_worker=1, dashboard_address="127.0.0.1:0") as workers:

        def show(text):
            if not said:
                workers.scale(1)
            said.append(text)

        rows, _ = ingest("one", "ingest.engine=dask", f"ingest.scheduler={workers.scheduler_address}", show=show)
    assert said[0].startswith("reading waits for the first worker (`dask worker ADDRESS` starts one); Dask dashboard: ")
    assert len(rows) == 1_000


def die_once(part):
    """Kill the worker that has the part 3, the first time."""
    path, number = part
    if number == 3 and not Path(path).exists():
        Path(path).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return number * 10


def test_a_worker_that_is_killed_in_the_middle_changes_nothing(cluster, tmp_path):
    parts = [(str(tmp_path / "died"), number) for number in range(8)]
    assert list(map_parts(die_once, parts, "dask", cluster)) == [number * 10 for number in range(8)]
    assert (tmp_path / "died").exists()
    with Client(cluster) as client:
        client.wait_for_workers(2, timeout=30)


def test_a_worker_that_is_killed_during_an_ingest_changes_no_row(project):
    files = 12
    write(project / "in", files, 15_000)
    local = ingest("local")
    parts = project / "runs" / ".cache" / "parts"
    shutil.rmtree(parts)
    done_then = []
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address="127.0.0.1:0") as workers,
        Client(workers) as client,
    ):
        pids = list(client.run(os.getpid).values())

        def kill_one():
            while not (done := len(list(parts.glob("*/*.json")))):
                time.sleep(0.002)
            os.kill(pids[0], signal.SIGKILL)
            done_then.append(done)

        killer = threading.Thread(target=kill_one)
        killer.start()
        remote = ingest("remote", "ingest.engine=dask", f"ingest.scheduler={workers.scheduler_address}")
        killer.join()
        client.wait_for_workers(2, timeout=30)
        assert pids[0] not in client.run(os.getpid).values()
    assert 0 < done_then[0] < files  # it was in the middle
    for one, other in zip(local, remote, strict=True):
        pd.testing.assert_frame_equal(one, other)


@pytest.fixture
def own_cluster(tmp_path):
    """A scheduler and a worker in processes of their own; gives the address and the scheduler's process."""
    facts, serve = tmp_path / "scheduler.json", [sys.executable, "-m", "distributed.cli.dask_scheduler"]
    work = [sys.executable, "-m", "distributed.cli.dask_worker", "--scheduler-file", facts, "--nthreads", "1"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with (
        subprocess.Popen([*serve, "--port", "0", "--no-dashboard", "--scheduler-file", facts], **quiet) as scheduler,
        subprocess.Popen([*work, "--no-dashboard", "--death-timeout", "20"], **quiet) as worker,
    ):
        while not facts.exists():
            time.sleep(0.05)
        yield json.loads(facts.read_text())["address"], scheduler
        scheduler.kill()
        worker.terminate()


def test_a_scheduler_that_dies_in_the_middle_is_told_without_the_names_of_tasks(own_cluster):
    address, scheduler = own_cluster
    with pytest.raises(StageFailed) as caught:
        for done in map_parts(take_a_while, range(1_000), "dask", address):
            if done == 2:
                scheduler.kill()
    assert caught.value.message == "the Dask scheduler is gone."
    assert "go on with --resume" in caught.value.hint


def test_workers_that_die_over_a_part_again_and_again_are_told_without_the_names_of_tasks(tmp_path):
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 0}),
        LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address="127.0.0.1:0") as workers,
        pytest.raises(StageFailed, match="its workers died over the same part") as caught,
    ):
        list(map_parts(die_once, [(str(tmp_path / "died"), 3)], "dask", workers.scheduler_address))
    assert "most often their memory is too small" in caught.value.hint


def take_a_while(part):
    time.sleep(0.2)
    return part


def test_in_threads_results_come_in_order_and_few_parts_are_held():
    taken = []

    def parts():
        for number in range(50):
            taken.append(number)
            yield number

    results = map_parts(lambda number: number * 2, parts())
    assert next(results) == 0
    assert len(taken) < 10
    assert list(results) == [number * 2 for number in range(1, 50)]


def test_an_error_in_a_part_comes_through_and_an_unknown_engine_is_named():
    with pytest.raises(ZeroDivisionError):
        list(map_parts(lambda number: 1 // number, [1, 0, 1]))
    with pytest.raises(UsageError, match="no engine 'spark'"):
        list(map_parts(abs, [1], "spark"))


def test_without_the_extra_the_command_that_installs_it_is_named():
    program = (
        "import sys; sys.modules['distributed'] = None\n"
        "from workbench.engine import map_parts\nfrom workbench.errors import MissingExtra\n"
        "try: list(map_parts(abs, [1], 'dask'))\nexcept MissingExtra as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert install("dask") in done.stdout
