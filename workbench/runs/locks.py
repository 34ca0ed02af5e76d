"""One process works on a run at a time: a lock on a file in the run's folder, which dies with its process."""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from workbench.errors import RunLocked
from workbench.runs.artifacts import mapped_errors

LOCK = ".lock"
"""The run's own lock, in its folder."""
STAGE_LOCK = ".stage.lock"
"""Held by the kernel or notebook that performs a stage."""

_POLL_SECONDS = 0.05


@dataclass
class _Held:
    """A lock that this process holds, and how many times over."""

    file: int
    times: int


_held: dict[Path, _Held] = {}
_guard = threading.Lock()


@contextmanager
def file_lock(path: Path, what: str, wait_seconds: float = 0) -> Iterator[bool]:
    """Hold a lock on a file; gives True where this is the first time that this process takes it.

    The operating system drops the lock when the process ends, however it ends. The process that holds it may take it
    again, in any thread. Raises RunLocked, which names the process, when it is not free within `wait_seconds`.
    """
    first = _take(path, what, wait_seconds)
    try:
        yield first
    finally:
        _give_back(path)


def is_held(path: Path) -> bool:
    """Say whether some process, this one included, holds the lock of that file."""
    with _guard:
        if path in _held:
            return True
        if not path.exists():
            return False
        file = _try_lock(path)
        if file is not None:
            os.close(file)
        return file is None


def worker(path: Path) -> int | None:
    """Give the process on this machine that holds the lock of that file, if there is one."""
    holder = _holder(path) if is_held(path) else {}
    return int(str(holder["pid"])) if holder and holder["host"] == socket.gethostname() else None


def _take(path: Path, what: str, wait_seconds: float) -> bool:
    deadline = time.monotonic() + wait_seconds
    while True:
        with _guard:
            held = _held.get(path)
            if held:
                held.times += 1
                return False
            file = _try_lock(path)
            if file is not None:
                _held[path] = _Held(file, 1)
                return True
        if time.monotonic() >= deadline:
            raise _locked(path, what)
        time.sleep(_POLL_SECONDS)


def _give_back(path: Path) -> None:
    with _guard:
        held = _held.get(path)
        if held is None:  # a forked child leaves the block of its parent
            return
        held.times -= 1
        if held.times == 0:
            del _held[path]
            os.close(held.file)


def _try_lock(path: Path) -> int | None:
    """Lock the file and note who did; gives its descriptor, or None where another process has it."""
    with mapped_errors(path, "lock"):
        file = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666)
        try:
            _lock_now(file)
        except (BlockingIOError, PermissionError):
            os.close(file)
            return None
        except BaseException:
            os.close(file)
            raise
        os.ftruncate(file, 0)
        os.lseek(file, 0, os.SEEK_SET)
        os.write(file, json.dumps({"pid": os.getpid(), "host": socket.gethostname()}).encode())
        return file


if sys.platform == "win32":  # the byte that is locked lies far behind what is written, so that others can read it
    import msvcrt

    def _lock_now(file: int) -> None:
        os.lseek(file, 1 << 20, os.SEEK_SET)
        msvcrt.locking(file, msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _lock_now(file: int) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _forget() -> None:
        """A forked child holds none of its parent's locks, and must not keep them alive when the parent dies."""
        global _guard
        _guard = threading.Lock()
        for held in _held.values():
            os.close(held.file)
        _held.clear()

    os.register_at_fork(after_in_child=_forget)


def _locked(path: Path, what: str) -> RunLocked:
    holder = _holder(path)
    if not holder:
        return RunLocked(f"{what} is locked by another process.", hint="wait until it is done.")
    here = holder["host"] == socket.gethostname()
    who = f"process {holder['pid']}" + ("" if here else f" on {holder['host']}")
    return RunLocked(
        f"{what} is locked: {who} works on it.",
        hint=f"wait until it is done, or end {who} and go on with --resume.",
    )


def _holder(path: Path) -> dict[str, object]:
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) and {"pid", "host"} <= content.keys() else {}
