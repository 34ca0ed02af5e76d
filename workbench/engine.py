"""Where work on parts is done: in threads of this process, or on the workers of a Dask cluster.

The function is the same in both cases, and results come in the order of the parts, so nothing depends on the choice.
"""

from __future__ import annotations

import os
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

from workbench.errors import MissingExtra, StageFailed, UsageError, WorkbenchError, install, nearest

ENGINES = ("local", "dask")
THREADS = min(4, os.cpu_count() or 1)
CONNECT_SECONDS = 10

P = TypeVar("P")
R = TypeVar("R")
Submit = Callable[[Callable[[P], R], P], Any]
"""Hands a part to whoever works; what comes back gives its result by `.result()`."""


def map_parts(
    function: Callable[[P], R],
    parts: Iterable[P],
    engine: str = "local",
    scheduler: str | None = None,
    on_cluster: Callable[[str, int], None] = lambda dashboard, threads: None,
) -> Iterator[R]:
    """Apply a function to every part; results come in the order of the parts, and few parts are held at once.

    Args:
        function: what is done; for Dask, it and the parts must be picklable.
        parts: taken one after the other, only as fast as they are worked off.
        engine: local (threads of this process) or dask.
        scheduler: address of a Dask scheduler, such as `tcp://host:8786`; null = a cluster on this machine.
        on_cluster: told before work begins where the cluster shows what it does, and how many threads its workers have:
            with none, work waits for the first worker.

    Raises:
        UsageError: there is no such engine; MissingExtra: Dask is not installed.
        StageFailed: the scheduler cannot be reached, or its workers die again and again.
    """
    if engine not in ENGINES:
        raise UsageError(f"there is no engine {engine!r}.", hint=nearest(engine, ENGINES))
    with _threads() if engine == "local" else _dask(scheduler, on_cluster) as (submit, width):
        waiting: deque[Any] = deque()
        try:
            for part in parts:
                waiting.append(_told(submit, function, part))
                if len(waiting) >= _told(width):
                    yield _told(waiting.popleft().result)
            while waiting:
                yield _told(waiting.popleft().result)
        finally:
            for future in waiting:
                future.cancel()


@contextmanager
def _threads() -> Iterator[tuple[Submit[Any, Any], Callable[[], int]]]:
    if THREADS == 1:
        yield _at_once, lambda: 1
        return
    with ThreadPoolExecutor(THREADS, thread_name_prefix="workbench-part") as pool:
        yield pool.submit, lambda: THREADS + 1


def _at_once(function: Callable[[P], R], part: P) -> Future[R]:
    done: Future[R] = Future()
    done.set_result(function(part))
    return done


@contextmanager
def _dask(
    scheduler: str | None, on_cluster: Callable[[str, int], None]
) -> Iterator[tuple[Submit[Any, Any], Callable[[], int]]]:
    """Connect to a scheduler; a part travels inside its task, so that another worker can take it over."""
    try:
        from distributed import Client
    except ImportError:
        raise MissingExtra("Dask is not installed.", hint=install("dask")) from None
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Port")  # is taken, another is used: the address is told
            client: Any = Client(scheduler, timeout=CONNECT_SECONDS, set_as_default=False)  # type: ignore[no-untyped-call]
    except (OSError, ValueError, TypeError) as error:
        raise StageFailed(
            f"no Dask scheduler answers at {scheduler}: {str(error).splitlines()[0]}",
            hint="start one with `dask scheduler`, or leave ingest.scheduler out for a cluster on this machine.",
        ) from None
    with client:

        def threads() -> int:
            return sum(client.nthreads().values())

        on_cluster(client.dashboard_link, threads())

        def submit(function: Callable[[P], R], part: P) -> Any:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", message="Sending large graph")
                return client.submit(function, part, pure=False)

        yield submit, lambda: threads() + 1  # workers that come later have something to do at once


def _told(call: Callable[..., Any], *values: Any) -> Any:
    """Call; what Dask raises of itself becomes a StageFailed, what the function raises goes through as it is."""
    try:
        return call(*values)
    except WorkbenchError:
        raise
    except Exception as error:
        if type(error).__module__.partition(".")[0] != "distributed":
            raise
        raise _gave_up(error) from None


def _gave_up(error: Exception) -> StageFailed:
    """Word it without the names of tasks, which say nothing to people."""
    kept = "what was prepared of many files is kept"
    if type(error).__name__ == "KilledWorker":
        return StageFailed(
            "the Dask cluster gave up: its workers died over the same part, one after the other.",
            hint=f"look at the log of its workers: most often their memory is too small; {kept}.",
        )
    if "scheduler" in f"{getattr(error, 'reason', error)}".lower() or "Comm" in type(error).__name__:
        return StageFailed(
            "the Dask scheduler is gone.", hint=f"start it and its workers again, then go on with --resume; {kept}."
        )
    reason = getattr(error, "reason", None) or str(error).partition("\n")[0]
    return StageFailed(f"the Dask cluster gave up: {reason}", hint=f"look at the log of its workers; {kept}.")
