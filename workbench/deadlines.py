"""Time limits: a soft one interrupts as Ctrl+C does, so that what was done is kept; a hard one ends the process."""

from __future__ import annotations

import _thread
import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from workbench.errors import TimeLimitReached


@contextmanager
def time_limited(what: str, soft: float, hard: float, log: logging.Logger) -> Iterator[None]:
    """Hold what runs inside to its limits, in seconds; 0 = none. Only the main thread of a process can be held to any.

    Raises TimeLimitReached at the soft limit. At the hard one the process is killed, after a word to `log` and to
    standard error.
    """
    reached: list[float] = []
    timers = _timers(what, soft, hard, reached, log)
    for timer in timers:
        timer.daemon = True
        timer.start()
    try:
        yield
    except KeyboardInterrupt:
        if not reached:
            raise
        raise TimeLimitReached(
            f"{what} reached its time limit of {soft:g} seconds; what was done stays.",
            hint="go on with --resume; a longer limit is --set run.time_limit.soft=SECONDS.",
        ) from None
    finally:
        for timer in timers:
            timer.cancel()


def _timers(what: str, soft: float, hard: float, reached: list[float], log: logging.Logger) -> list[threading.Timer]:
    if threading.current_thread() is not threading.main_thread():
        return []

    def interrupt() -> None:
        reached.append(soft)
        _interrupt_main()

    def end() -> None:
        word = f"{what} was ended at its hard time limit of {hard:g} seconds (run.time_limit)."
        log.error(word)
        os.write(_standard_error(), f"{word}\n".encode())
        os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))

    return [threading.Timer(seconds, act) for seconds, act in ((soft, interrupt), (hard, end)) if seconds]


def _standard_error() -> int:
    """Give the file behind standard error; what a notebook's kernel puts in its place would die with the kernel."""
    return int(getattr(sys.stderr, "_original_stdstream_copy", None) or 2)


def _interrupt_main() -> None:
    """Interrupt the main thread, also where it waits."""
    if hasattr(signal, "pthread_kill"):
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
    else:
        _thread.interrupt_main()
