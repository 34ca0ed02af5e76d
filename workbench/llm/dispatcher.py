"""Several calls at a time: a window of threads that is always full, and results in the order in which they arrive.

The threads are daemons on purpose: a call that hangs must not keep a notebook or a command from stopping.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Generic, Self, TypeVar

Task = TypeVar("Task")
Result = TypeVar("Result")

_PATIENCE = 0.2
"""Seconds between looks at the keyboard: some systems do not interrupt a thread that waits without end."""


@dataclass(frozen=True, slots=True)
class _Raised:
    error: BaseException


class Dispatcher(Generic[Task, Result]):
    """Makes calls in threads. All methods belong to one thread; only `call` runs in the others.

    >>> with Dispatcher(lambda number: number * 2, concurrency=3) as dispatcher:
    ...     dispatcher.submit(21)
    ...     dispatcher.next()
    (21, 42)
    """

    def __init__(self, call: Callable[[Task], Result], concurrency: int) -> None:
        """Start no thread yet; each is started when it is first needed."""
        self._call = call
        self._concurrency = concurrency
        self._threads: list[threading.Thread] = []
        self._tasks: queue.SimpleQueue[Task | None] = queue.SimpleQueue()
        self._outcomes: queue.SimpleQueue[tuple[Task, Result | _Raised]] = queue.SimpleQueue()
        self.under_way: list[Task] = []
        """Calls that were submitted and whose result was not fetched; without the abandoned ones."""
        self.abandoned: list[Task] = []
        """Calls under way that nobody waits for."""

    @property
    def in_flight(self) -> int:
        """Count the calls that are waited for."""
        return len(self.under_way)

    def __enter__(self) -> Self:
        """Open the window."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let the threads end; calls under way are waited for only if there is none."""
        for _ in self._threads:
            self._tasks.put(None)
        for thread in self._threads if not (self.in_flight or self.abandoned) else ():
            thread.join()

    def submit(self, task: Task) -> None:
        """Hand a task to a thread."""
        self.under_way.append(task)
        self._tasks.put(task)
        if len(self._threads) < min(self.in_flight, self._concurrency) + len(self.abandoned):
            self._threads.append(threading.Thread(target=self._work, name="llm-call", daemon=True))
            self._threads[-1].start()

    def abandon(self, task: Task) -> None:
        """Wait for a call no more: another may start in its place. A thread cannot be stopped, so it goes on alone."""
        self.under_way.remove(task)
        self.abandoned.append(task)

    def take_back(self, task: Task) -> bool:
        """Say whether a call that has come back was abandoned; it is so no more."""
        if task not in self.abandoned:
            return False
        self.abandoned.remove(task)
        return True

    def next(self, timeout: float | None = None) -> tuple[Task, Result] | None:
        """Wait for a result, whichever comes first, or so many seconds; raises what its call has raised."""
        until = None if timeout is None else time.monotonic() + timeout
        while True:
            left = _PATIENCE if until is None else min(_PATIENCE, max(0.0, until - time.monotonic()))
            try:
                task, outcome = self._outcomes.get(timeout=left)
            except queue.Empty:
                if until is not None and time.monotonic() >= until:
                    return None
                continue
            is_waited_for = self._came_back(task)
            if not isinstance(outcome, _Raised):
                return task, outcome
            if is_waited_for:
                raise outcome.error
            self.take_back(task)

    def arrived(self, wait: float = 0.0) -> Iterator[tuple[Task, Result]]:
        """Give the good results that are there already or come within so many seconds: for the one who must stop."""
        until = time.monotonic() + wait
        while self.in_flight:
            try:
                task, outcome = self._outcomes.get(timeout=max(0.0, until - time.monotonic()))
            except queue.Empty:
                return
            self._came_back(task)
            if not isinstance(outcome, _Raised):
                yield task, outcome

    def _came_back(self, task: Task) -> bool:
        """Note that a call is over; says whether it was waited for."""
        is_waited_for = task in self.under_way
        if is_waited_for:
            self.under_way.remove(task)
        return is_waited_for

    def _work(self) -> None:
        while (task := self._tasks.get()) is not None:
            try:
                self._outcomes.put((task, self._call(task)))
            except BaseException as error:  # it is raised where the result is fetched
                self._outcomes.put((task, _Raised(error)))
