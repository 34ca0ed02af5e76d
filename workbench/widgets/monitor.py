"""A monitor of a run: progress, rate, cost and failures as they come, and a stop button that keeps everything."""

from __future__ import annotations

import os
import threading
import time
from typing import Any

import ipywidgets as w

from workbench.runs import RunStore, open_store
from workbench.settings import EXECUTED
from workbench.widgets.background import BackgroundRun
from workbench.widgets.panel import Panel, button, guarded, table
from workbench.widgets.progress import ProgressLine

SECONDS = 1.0
"""Between two looks at the run."""


class ClassificationMonitor(Panel):
    """Look on while a run is worked on, here or in another process.

    It reads the run's progress from the database, so it can be opened, closed and opened again at any time.
    """

    def __init__(self, run_id: str | None = None, *, store: RunStore | None = None) -> None:
        """Find the run (default: the newest); raises RunNotFound."""
        super().__init__()
        self._store = store or open_store()
        self.run = BackgroundRun(self._store, run_id or self._store.latest().run_id)
        self._bar = w.FloatProgress(0, max=1, layout=w.Layout(width="420px"))
        self._told = w.HTML()
        self._stop = button("Stop, and keep what is done", self._end, style="warning")
        self._over = threading.Event()
        self._line = ProgressLine("Classify")
        self.fill(w.HBox([self._bar, self._stop]), self._told)
        self.look()

    def __call__(self, text: str) -> None:
        """Take a line of progress from the stage that is worked on right here, as `show` of `workflow` does."""
        if os.environ.get(EXECUTED):
            self._line(text)
        elif time.monotonic() - self._looked > SECONDS / 4:
            self.look()

    def done(self) -> None:
        """Show how it ended."""
        if os.environ.get(EXECUTED):
            self._line.done()
        else:
            self.look()

    def watch(self) -> None:
        """Follow the run in the background until nobody works on it any more."""
        self._over.clear()
        threading.Thread(target=self._follow, daemon=True, name=f"watch {self.run.run_id}").start()

    def close(self) -> None:
        """Stop looking on; the run goes on."""
        self._over.set()

    def look(self) -> dict[str, Any]:
        """Look once; gives what `BackgroundRun.status` says."""
        status, self._looked = self.run.status(), time.monotonic()
        progress = status["progress"] or {}
        total = progress.get("total") or 0
        self._bar.value = min(progress.get("done", 0) / total, 1.0) if total else 0.0
        self._bar.bar_style = "info" if status["running"] else "danger" if status["fault"] else "success"
        is_here = self.run.worker() == os.getpid()
        self._stop.disabled = not status["running"]
        self._stop.layout.display = "none" if is_here else None
        if is_here:  # while a cell runs, the kernel hears no click
            self.say("To stop, interrupt the cell (■): what was answered is kept. Run it again to go on.")
        self._told.value = table(_lines(self.run.run_id, status), ["", ""])
        if status["fault"]:
            self.say(status["fault"], bad=True)
        elif not status["running"]:
            self.say("")  # what was said of the process that was at work holds no more
        return status

    def still(self) -> str:
        """Give the last look."""
        return str(self._told.value)

    @guarded
    def _follow(self) -> None:
        while not self._over.is_set():
            if not self.look()["running"]:
                return
            self._over.wait(SECONDS)

    @guarded
    def _end(self) -> None:
        self.run.stop()
        self.say("stopping; what was answered is kept.")


def _lines(run_id: str, status: dict[str, Any]) -> list[tuple[str, object]]:
    progress = status["progress"]
    lines: list[tuple[str, object]] = [
        ("run", run_id),
        ("state", "running" if status["running"] else status["state"].replace("_", " ")),
    ]
    if progress:
        where = f" of iteration {progress['iteration']}" if progress["iteration"] else ""
        lines += [("stage", f"{progress['stage']}{where}"), ("progress", progress["detail"])]
    return lines
