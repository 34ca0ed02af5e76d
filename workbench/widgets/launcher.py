"""`workbench review`: lay the items out, serve them to the reviewers, and keep the numbers up to date meanwhile."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import socket
import subprocess
import sys
import time
import webbrowser
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from workbench import reviewing
from workbench.errors import MissingExtra, StageFailed, UsageError, install
from workbench.records import Run
from workbench.runs import RunStore
from workbench.settings import database_url, shipped_folder
from workbench.widgets.links import link, secret_of
from workbench.widgets.server import READY

PORT = 8866
OTHER_PORTS = 20
LOOK_SECONDS = 0.5
REFRESH_SECONDS = 3
REST = 5
"""Numbers that took long are computed less often: for so many times as long, the processor is the reviewers'."""
LOG = "review.log"


@dataclass(frozen=True, slots=True)
class Doors:
    """Where a review is served, and to whom."""

    reviewers: Sequence[str]
    host: str = "127.0.0.1"
    port: int | None = None
    """None = 8866, or the next free one."""


@dataclass(frozen=True, slots=True)
class Served:
    """A review that is being served."""

    process: subprocess.Popen[str]
    links: dict[str, str]
    """Personal link by reviewer."""


def review(run: Run, store: RunStore, iteration: int, doors: Doors, *, browser: bool = True) -> None:
    """Serve a review until Ctrl+C, telling the links and keeping the Results view up to date."""
    _check_installed()
    print(f"Preparing the review of {run.run_id}, iteration {iteration} …", flush=True)
    reviewing.prepare(run, store, iteration)
    with serving(run, store, iteration, doors) as served:
        for reviewer, address in served.links.items():
            print(f"{reviewer}: {address}", flush=True)
        print("Everybody needs their own link. Ctrl+C ends the review; nothing is lost.", flush=True)
        if browser:
            webbrowser.open(next(iter(served.links.values())))
        with contextlib.suppress(KeyboardInterrupt):
            _keep_up_to_date(run, store, iteration, served)


def _keep_up_to_date(run: Run, store: RunStore, iteration: int, served: Served) -> None:
    known, next_time = "", 0.0
    while served.process.poll() is None:
        started = time.monotonic()
        try:
            reviewing.lay_out_seen(run, store, iteration)
            if started >= next_time:
                known = reviewing.refresh_results(run, store, iteration, known)
        except Exception:  # the reviewers go on; the owner finds it in the log
            store.log(run.run_id).exception("what the reviewers see could not be brought up to date")
        if started >= next_time:
            next_time = time.monotonic() + max(REFRESH_SECONDS, REST * (time.monotonic() - started))
        with contextlib.suppress(subprocess.TimeoutExpired):
            served.process.wait(LOOK_SECONDS)
    raise _ended(run)


@contextlib.contextmanager
def serving(run: Run, store: RunStore, iteration: int, doors: Doors) -> Iterator[Served]:
    """Serve a prepared review inside the block.

    Raises MissingExtra without Voila, UsageError for a port that is taken, StageFailed where it does not start.
    """
    _check_installed()
    port = _free_port(doors)
    with (run.folder / LOG).open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "workbench.widgets.server"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env={**os.environ, **_places(store), "PYTHONUNBUFFERED": "1"},
            start_new_session=True,  # Ctrl+C is for the launcher, which then ends it in order
        )
    try:
        port = _start(process, run, _order(run, store, iteration, doors) | {"port": port})
        secret, told = secret_of(store.folder), f"{run.run_id}/{iteration}"
        address = f"http://{_name(doors.host)}:{port}"
        yield Served(process, {name: link(address, secret, told, name) for name in doors.reviewers})
    finally:
        _stop(process)


def _check_installed() -> None:
    if importlib.util.find_spec("voila") is None or importlib.util.find_spec("anywidget") is None:
        raise MissingExtra("the review dashboard is not installed.", hint=install("review"))


def _places(store: RunStore) -> dict[str, str]:
    """Say where the run is to kernels that work in another folder."""
    return {"WORKBENCH_RUNS": str(store.folder), "WORKBENCH_DATABASE_URL": database_url(store.folder)}


def _order(run: Run, store: RunStore, iteration: int, doors: Doors) -> dict[str, Any]:
    notebook = shipped_folder() / "notebooks" / "review.ipynb"
    order = {"folder": str(store.folder), "run_id": run.run_id, "iteration": iteration}
    order |= {"other_ports": 0 if doors.port else OTHER_PORTS}  # somebody may be faster than Voila starts
    return order | {"notebook": str(notebook), "ip": doors.host, "reviewers": len(doors.reviewers)}


def _start(process: subprocess.Popen[str], run: Run, order: dict[str, Any]) -> int:
    """Tell the process what to serve; gives the port at which it does."""
    assert process.stdin and process.stdout
    with contextlib.suppress(BrokenPipeError):
        process.stdin.write(json.dumps(order) + "\n")
        process.stdin.flush()
    said = process.stdout.readline().split()
    if said[:1] != [READY]:
        raise _ended(run)
    return int(said[1])


def _ended(run: Run) -> StageFailed:
    return StageFailed("the review dashboard has ended by itself.", hint=f"{run.folder / LOG} says why.")


def _stop(process: subprocess.Popen[str]) -> None:
    with contextlib.suppress(OSError):
        if process.stdin:
            process.stdin.close()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout:
        process.stdout.close()


def _free_port(doors: Doors) -> int:
    """Find the port: the one that was asked for, or the first free one from 8866 on."""
    for port in [doors.port] if doors.port else range(PORT, PORT + 50):
        with socket.socket(socket.AF_INET6 if ":" in doors.host else socket.AF_INET) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                trial.bind((doors.host, port))
            except OSError as error:
                reason = error.strerror or str(error)
            else:
                return port
    where = f"port {doors.port}" if doors.port else "no port"
    raise UsageError(f"{where} of {doors.host} can be used: {reason}.", hint="choose another one with --port.")


def _name(host: str) -> str:
    """Name this machine as others can call it."""
    if host in ("0.0.0.0", "::", ""):
        return socket.gethostname()
    return f"[{host}]" if ":" in host else host


def reviewer_names(given: Sequence[str] | None) -> list[str]:
    """Give the reviewers that were named, or the user of this machine; raises UsageError for an empty name."""
    names = [" ".join(name.split()) for name in given or [_user()]]
    if not all(names) or any(len(name) > 80 for name in names):
        raise UsageError("a reviewer needs a name of 1 to 80 characters.", hint="--reviewer 'Ana López'.")
    return list(dict.fromkeys(names))


def _user() -> str:
    import getpass

    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "reviewer"
