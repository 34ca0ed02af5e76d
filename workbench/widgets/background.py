"""A run in a process of its own: started, followed, stopped and found again, whatever becomes of the notebook."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml

from workbench.errors import UsageError
from workbench.parameters import Parameters
from workbench.records import RunState
from workbench.runs import RunStore

LOG = "background.log"
"""What the process prints, in the run's folder."""
MOST_FILES = 1_000
"""Parameters files of one name."""


def folder_of(store: RunStore, run_id: str) -> Path:
    """Give the folder in which a run was started, from which its paths count; or this one, where that is gone."""
    folder = Path(store.manifest(run_id).get("working_folder", ""))
    return folder if folder.is_dir() else Path.cwd()


class BackgroundRun:
    """One run, worked on by `workbench run` in the background."""

    def __init__(self, store: RunStore, run_id: str) -> None:
        """Find a run; raises RunNotFound."""
        self._store = store
        self.run_id = store.get(run_id).run_id
        self._process: subprocess.Popen[bytes] | None = None

    def go(self, parameters_file: Path) -> None:
        """Start or go on, in the folder in which the run was made; raises UsageError where a process works on it."""
        if pid := self.worker():
            raise UsageError(f"process {pid} works on {self.run_id} already.", hint="stop it first, or just look on.")
        command = [
            sys.executable,
            "-m",
            "workbench.cli",
            "run",
            str(parameters_file.resolve()),
            "--resume",
            "--run-id",
            self.run_id,
        ]
        folder, runs = folder_of(self._store, self.run_id), {"WORKBENCH_RUNS": str(self._store.folder)}
        with (self._store.folder / self.run_id / LOG).open("ab") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                cwd=folder,
                env={**os.environ, **runs},
            )

    def stop(self) -> None:
        """Ask the process that works on the run to stop, as Ctrl+C does: it keeps what is done.

        Raises UsageError where nobody works on it on this machine.
        """
        pid = self.worker()
        if pid is None:
            raise UsageError(f"nobody works on {self.run_id}.", hint="there is nothing to stop.")
        os.kill(pid, signal.SIGINT)

    def worker(self) -> int | None:
        """Give the process on this machine that works on the run, if there is one."""
        if self._process is not None and self._process.poll() is None:
            return self._process.pid
        return self._store.worker(self.run_id)

    def status(self) -> dict[str, Any]:
        """Say where the run stands: `state`, `running`, `progress` (see `RunStore.progress`) and what went wrong."""
        run = self._store.get(self.run_id)
        running = self.worker() is not None
        fault = None if running or run.state not in (RunState.FAILED, RunState.CREATED) else self._last_words()
        return {
            "state": str(run.state),
            "running": running,
            "progress": self._store.progress(self.run_id),
            "fault": fault,
        }

    def _last_words(self) -> str | None:
        log = self._store.get(self.run_id).folder / LOG
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.exists() else []
        return next((line for line in reversed(lines) if line.startswith("error:")), None)


def write_parameters(parameters: Parameters, path: str | Path) -> Path:
    """Write a parameters file that `workbench run` reads; gives its path.

    A file that says something else is never overwritten: the next free name is taken (`demo-2.yaml`). Raises UsageError
    where nothing can be written.
    """
    wanted = Path(path)
    told = {name: {k: v for k, v in section.items() if v is not None} for name, section in parameters.to_dict().items()}
    text = yaml.safe_dump(told, allow_unicode=True, sort_keys=False, width=116)
    try:
        wanted.parent.mkdir(parents=True, exist_ok=True)
        for target in (wanted, *(wanted.with_name(f"{wanted.stem}-{n}{wanted.suffix}") for n in range(2, MOST_FILES))):
            with suppress(FileExistsError), target.open("x", encoding="utf-8", newline="\n") as file:
                file.write(text)
            if target.is_file() and target.read_bytes() == text.encode():
                return target
    except OSError as error:
        raise UsageError(f"cannot write {wanted}: {error.strerror}.", hint="choose another name or folder.") from None
    raise UsageError(f"there are {MOST_FILES:,} files like {wanted}.", hint="choose another name.")
