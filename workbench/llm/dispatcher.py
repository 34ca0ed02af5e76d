"""Several calls at a time: a window of threads that is always full, and results in the order in which they arrive.

The threads are daemons on purpose: a call that hangs must not keep a notebook or a command from stopping.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Generic, Self, TypeVar

Task = TypeVar("Task")
Result = TypeVar("Result")

_PATIENCE = 0.2
"""Seconds between looks at the keyboard: some systems do not interrupt a thread that waits without end."""


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
        self._outcomes: queue.SimpleQueue[tuple[Task, Result | BaseException]] = queue.SimpleQueue()
        self.in_flight = 0
        """Calls that were submitted and whose result was not fetched."""

    def __enter__(self) -> Self:
        """Open the window."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let the threads end; calls under way are waited for only if there is none."""
        for _ in self._threads:
            self._tasks.put(None)
        for thread in self._threads if not self.in_flight else ():
            thread.join()

    @property
    def has_room(self) -> bool:
        """Say whether a call submitted now would start at once."""
        return self.in_flight < self._concurrency

    def submit(self, task: Task) -> None:
        """Hand a task to a thread."""
        self.in_flight += 1
        self._tasks.put(task)
        if len(self._threads) < min(self.in_flight, self._concurrency):
            self._threads.append(threading.Thread(target=self._work, name="llm-call", daemon=True))
            self._threads[-1].start()

    def next(self) -> tuple[Task, Result]:
        """Wait for a result, whichever comes first; raises what its call has raised."""
        while True:
            try:
                task, outcome = self._outcomes.get(timeout=_PATIENCE)
            except queue.Empty:
                continue
            self.in_flight -= 1
            if isinstance(outcome, BaseException):
                raise outcome
            return task, outcome

    def arrived(self) -> Iterator[tuple[Task, Result]]:
        """Give the good results that are there already, without waiting: for the one who must stop now."""
        while not self._outcomes.empty():
            task, outcome = self._outcomes.get()
            self.in_flight -= 1
            if not isinstance(outcome, BaseException):
                yield task, outcome

    def _work(self) -> None:
        while (task := self._tasks.get()) is not None:
            try:
                self._outcomes.put((task, self._call(task)))
            except BaseException as error:  # it is raised where the result is fetched
                self._outcomes.put((task, error))
