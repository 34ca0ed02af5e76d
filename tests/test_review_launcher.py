"""`workbench review` as a person ends it: Ctrl+C, a kill, and without what it needs."""

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest
from browsing import Served, Visitor, reviewed_run, until, write_project
from conftest import PROMPT

from workbench.errors import install
from workbench.runs import open_store
from workbench.widgets import launcher
from workbench.widgets.kernels import REFILL_SECONDS, UNVISITED, ReadyKernels
from workbench.widgets.links import link, secret_of
from workbench.widgets.server import FULL, KERNELS_PER_REVIEWER

pytestmark = pytest.mark.skipif(os.name != "posix", reason="sends signals")


@pytest.fixture
def begin(tmp_path, monkeypatch):
    """Start `workbench review` on a small run; gives the process and its port."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WORKBENCH_DATABASE_URL", raising=False)
    monkeypatch.delenv("WORKBENCH_RUNS", raising=False)
    write_project(tmp_path, PROMPT, sample=10)
    reviewed_run(tmp_path)[1].close()
    started = []

    def begin():
        command = [sys.executable, "-m", "workbench.cli", "review", "one", "--no-browser", "--reviewer", "Ana"]
        command += ["--port", str(launcher.PORT + 60)]  # no other test takes it when it is free again
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
        )
        started.append(process)
        port = next(int(found[1]) for line in process.stdout if (found := re.search(r"Ana: http://[^:]+:(\d+)/", line)))
        until(lambda: len(psutil.Process(process.pid).children(recursive=True)) >= 2)  # the server and a kernel
        with open_store(tmp_path / "runs") as store:
            until(lambda: "accuracy" in store.decisions("one", 1).results())
        return process, port

    yield begin
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


def is_free(port):
    with socket.socket() as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def gone(process):
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


@pytest.mark.parametrize("how", ["INT", "TERM", "KILL"])
def test_when_it_ends_its_children_are_gone_and_the_port_is_free(begin, how):
    process, port = begin()
    children = psutil.Process(process.pid).children(recursive=True)
    doors = [door for child in children for door in child.net_connections() if door.status == psutil.CONN_LISTEN]
    assert {door.laddr.ip for door in doors} == {"127.0.0.1"}  # nobody else's machine gets in
    assert port in {door.laddr.port for door in doors}
    process.send_signal(getattr(signal, f"SIG{how}"))
    code = process.wait(30)
    until(lambda: all(map(gone, children)), seconds=30)
    assert is_free(port)
    if how != "KILL":  # the usual way to end a review: what was decided is taken in
        assert code == 0
        assert "items have a verdict" in process.stdout.read()


def test_without_voila_the_extra_is_named_and_nothing_starts(begin):
    program = (
        "import sys; sys.modules['voila'] = None; sys.argv = ['workbench', 'review', 'one', '--no-browser'];"
        "from workbench.cli import main; sys.exit(main())"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    assert install("review") in done.stderr
    assert "Preparing" not in done.stdout
    assert "Traceback" not in done.stderr


def test_one_reviewer_has_room_for_so_many_sessions_takes_nobodys_and_is_never_locked_out(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WORKBENCH_DATABASE_URL", raising=False)
    write_project(tmp_path, PROMPT, sample=10)
    run, store = reviewed_run(tmp_path)
    with store:
        served = Served(run, store, ["Ana"])
        home, secret = f"http://127.0.0.1:{served.port}", secret_of(store.folder)
        for name in ("Ana", "Beto"):  # who has a link of an earlier review gets in too
            for _ in range(2 * KERNELS_PER_REVIEWER + 1):
                with urllib.request.urlopen(link(home, secret, "one/1", name), timeout=60) as page:
                    assert page.status == 200
                assert len(served.kernels()) <= 2 * KERNELS_PER_REVIEWER + 1  # the one that is always ready
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(link(home, secret, "one/1", "Carla"), timeout=60)
        assert (refused.value.code, refused.value.read().decode()) == (503, FULL)
        served.stop()


def test_a_kernel_whose_page_never_comes_ends_and_of_too_many_the_oldest_without_one_goes_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    async def work():
        kernels = ReadyKernels(cull_idle_timeout=900)
        kernels.visitor.set("Ana")
        first, second, *others = [await kernels.start_kernel() for _ in range(KERNELS_PER_REVIEWER)]
        kernels.notify_connect(first)
        newest = await kernels.start_kernel()
        assert {first, *others, newest} <= set(kernels.list_kernel_ids()) and second not in kernels
        kernels.get_kernel(first).last_activity -= 2 * UNVISITED
        kernels.get_kernel(newest).last_activity -= 2 * UNVISITED
        await kernels.cull_kernels()
        assert first in kernels and set(others) <= set(kernels.list_kernel_ids()) and newest not in kernels
        await asyncio.sleep(2 * REFILL_SECONDS)
        await kernels._next
        for each in kernels.list_kernel_ids():
            await kernels.shutdown_kernel(each, now=True)

    with ThreadPoolExecutor(1) as thread:  # the browser of other tests has a loop in this one
        thread.submit(lambda: asyncio.run(work())).result()


def test_a_relative_database_file_is_the_same_one_for_the_reviewers_kernels(tmp_path, browser, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WORKBENCH_DATABASE_URL", "sqlite:///beside.sqlite")
    write_project(tmp_path, PROMPT, sample=10)
    run, store = reviewed_run(tmp_path)
    with store:
        served = Served(run, store, ["Ana"])
        ana = Visitor(browser, served.now.links["Ana"])
        ana.press("a")
        ana.close()
        served.stop()
        assert len(served.decided("Ana")) == 1
    assert (tmp_path / "beside.sqlite").exists()
