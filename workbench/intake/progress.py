"""How far reading is, in words: rows, bytes, pace and what is left."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

EVERY = 0.5
"""Seconds between two messages."""


Tell = Callable[[int, int, str, tuple[int, int]], None]
"""Is told how many bytes of how many are done, that in words, and how many files of how many."""


class Meter:
    """Tells how far reading is: rows, bytes of how many, rows a second, the time that is left."""

    def __init__(self, total: int, tell: Tell, files: int = 1) -> None:
        """Start the clock; `total` are the bytes of all sources."""
        self.total = total
        self.files = files
        self.files_done = 0
        self.done = 0
        """Bytes that need not be read: they were before."""
        self.rows = 0
        self._tell = tell
        self._start = time.monotonic()
        self._told = self._start - EVERY  # the first news is told at once
        self._before: int | None = None
        self._dashboard = ""
        self._parts: dict[str, tuple[int, int]] = {}
        self._adding = threading.Lock()

    def works_on(self, dashboard: str, threads: int) -> None:
        """Tell where a cluster shows what it does, now and while it works, and that it has no worker yet."""
        self._dashboard = f"; Dask dashboard: {dashboard}" if dashboard else ""
        begins = (
            "reading begins" if threads else "reading waits for the first worker (`dask worker ADDRESS` starts one)"
        )
        self._say(f"{begins}{self._dashboard}")

    def show_part(self, name: str, done: int, rows: int) -> None:
        """Tell how many bytes and rows are done of one of several parts, which may be made in threads at once."""
        with self._adding:
            before = self._parts.get(name, (0, 0))
            self._parts[name] = (done, rows)
            self.show(self.done + done - before[0], self.rows + rows - before[1])

    def show(self, done: int, rows: int) -> None:
        """Tell how many bytes and rows are done, twice a second: others are told through the database."""
        if self._before is None:
            self._before = self.done
        self.done, self.rows = done, rows
        now = time.monotonic()
        if now - self._told < EVERY and done < self.total:
            return
        self._told, seconds = now, max(now - self._start, 1e-9)
        read = max(done - self._before, 1)
        told = 50 * read >= self.total - self._before  # of less, no time can be foretold
        left = seconds * (self.total - done) / read if told else None
        said = describe(done, self.total, rows, rows / seconds, left)
        self._say(said if done >= self.total else f"{said}{self._file_words()}{self._dashboard}")

    def _file_words(self) -> str:
        return f", {self.files_done:,} of {self.files:,} files" if self.files > 1 else ""

    def _say(self, text: str) -> None:
        self._tell(self.done, self.total, text, (self.files_done, self.files))


def describe(done: int, total: int, rows: int, rate: float, left: float | None) -> str:
    """Word how far reading is.

    >>> describe(190_000_000, 608_000_000, 1_250_000, 512_345.6, 5.4)
    '1,250,000 rows read and cleaned, 190 of 608 MB, 512,000 rows/s, 5 s left'
    >>> describe(5_000_000, 608_000_000, 700, 210.4, None)
    '700 rows read and cleaned, 5 of 608 MB, 210 rows/s'
    >>> describe(1200, 1200, 50, 9000, 0)
    '50 rows read and cleaned'
    """
    text = f"{rows:,} rows read and cleaned"
    if total < 1_000_000 or done >= total:
        return text
    text += f", {done / 1e6:,.0f} of {total / 1e6:,.0f} MB, {round(rate, -3 if rate >= 1000 else 0):,.0f} rows/s"
    if left is None:
        return text
    return f"{text}, {f'{left / 60:.0f} min' if left >= 90 else f'{left:.0f} s'} left"
