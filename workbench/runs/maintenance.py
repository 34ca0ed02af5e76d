"""Upkeep: what may be thrown away, found first and removed then; never a run that is pinned or open."""

from __future__ import annotations

import os
import re
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from workbench.errors import RunLocked, UsageError
from workbench.records import RunState
from workbench.runs.artifacts import leftovers, remove
from workbench.runs.locks import LOCK, STAGE_LOCK, is_held
from workbench.runs.manifest import FILE
from workbench.runs.store import RunStore

CLOSED = (RunState.FINISHED, RunState.FAILED, RunState.INTERRUPTED, RunState.CREATED)
"""Runs in another state are open: somebody works on them, or is expected to."""

_READING = timedelta(days=1)
"""What was unpacked may be read for so long."""

_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_REMOVED = ".removed-"
_NOTEBOOK = re.compile(r"^\.\d\d_.*\.ipynb\..*\.tmp$")


class Removal(NamedTuple):
    """Something that is thrown away, or would be."""

    kind: str
    """temporary file, orphaned folder, orphaned rows, expired session, cached schema, prepared part or run."""
    what: str
    bytes: int


def age(text: str) -> timedelta:
    """Read how old something has to be; raises UsageError.

    >>> age("7d"), age("36h")
    (datetime.timedelta(days=7), datetime.timedelta(days=1, seconds=43200))
    """
    found = re.fullmatch(r"(\d{1,5})([mhdw])", text.strip())
    if not found:
        raise UsageError(f"{text!r} is no age.", hint="write a number and a unit: 30m, 12h, 7d, 4w.")
    return timedelta(**{_UNITS[found[2]]: int(found[1])})


def clean(store: RunStore, older_than: timedelta, *, runs: bool = False, dry_run: bool = False) -> list[Removal]:
    """Throw away what is old and of no use any more; gives what was thrown away, or with `dry_run` what would be.

    Temporary files of processes that are gone, folders and rows of runs that never came to be or are gone, sessions
    that have ended, cached schemas, prepared parts of inputs; with `runs` also whole runs that are closed, not pinned
    and untouched for so long.
    """
    oldest = datetime.now(UTC) - older_than
    kinds = (_temporary, _orphans, _rows, _parts, *([_old_runs] if runs else []))
    return [removal for find in kinds for removal in find(store, oldest, dry_run)]


def _temporary(store: RunStore, oldest: datetime, dry_run: bool) -> Iterator[Removal]:
    """Half-written files of killed processes, and the folders of their kernels and of what they unpacked."""
    notebooks = [path for path in store.folder.glob("*/*/.*.tmp") if _NOTEBOOK.match(path.name)]
    removed = [path for path in store.folder.glob(f"{_REMOVED}*") if path.is_dir()]
    scratch = Path(os.environ.get("TMPDIR") or tempfile.gettempdir())
    kernels = [log.parent for log in scratch.glob("wb????????/kernel.log")]
    unpacked = [
        path for path in scratch.glob("workbench-" + 8 * "[a-z0-9_]") if _touched(path) < datetime.now(UTC) - _READING
    ]
    old = [path for path in (*notebooks, *kernels, *unpacked) if _touched(path) < oldest]
    for path in [*leftovers(store.folder), *old, *removed]:
        yield _throw_away("temporary file", path, dry_run)


def _orphans(store: RunStore, oldest: datetime, dry_run: bool) -> Iterator[Removal]:
    """Folders that hold artifacts, but no run, and runs that have no folder any more."""
    known = set(store.list()["run_id"])
    for folder in sorted(path for path in store.folder.iterdir() if path.is_dir() and not path.name.startswith(".")):
        looks_like_a_run = (folder / "ingest").is_dir() or list(folder.glob("iteration_[0-9][0-9][0-9]"))
        is_used = folder.name in known or (folder / FILE).exists() or is_held(folder / LOCK)
        if looks_like_a_run and not is_used and _touched(folder) < oldest:
            yield _throw_away("orphaned folder", folder, dry_run)
    for run_id in store.without_folder(oldest):
        if not dry_run:
            store.forget(run_id)
        yield Removal("orphaned rows", f"run {run_id}", 0)


def _rows(store: RunStore, oldest: datetime, dry_run: bool) -> Iterator[Removal]:
    for session in store.sessions().expired():
        if not dry_run:
            store.sessions().remove(session.session_id)
        yield Removal("expired session", session.session_id, 0)
    for key, size in store.old_schemas(oldest, forget=not dry_run):
        yield Removal("cached schema", key, size)


def _parts(store: RunStore, oldest: datetime, dry_run: bool) -> Iterator[Removal]:
    """Parts that no ingest has used since; none while a run is at work, which may be about to read them."""
    if any(is_held(folder / lock) for folder in store.folder.iterdir() for lock in (LOCK, STAGE_LOCK)):
        return
    parts = defaultdict[Path, list[Path]](list)
    for path in sorted(store.folder.glob(".cache/parts/*/[!.]*")):  # the JSON first: without it, a part is none
        parts[path.with_suffix("")].append(path)
    for name, paths in parts.items():
        if all(_touched(path) < oldest for path in paths):
            yield Removal("prepared part", str(name), sum(_throw_away("", path, dry_run).bytes for path in paths))


def _old_runs(store: RunStore, oldest: datetime, dry_run: bool) -> Iterator[Removal]:
    listed = store.list()
    for run in listed[listed["updated_at"] < oldest].to_dict("records"):
        if run["state"] not in CLOSED or run["pinned"]:
            continue
        found = Removal("run", run["run_id"], _size(store.folder / run["run_id"]))
        if dry_run and not is_held(store.folder / found.what / LOCK):
            yield found
        elif not dry_run:
            with suppress(RunLocked), store.lock(found.what):
                _remove_run(store, found.what)
                yield found


def _remove_run(store: RunStore, run_id: str) -> None:
    """Take a run out of sight in one step, then its rows and its files."""
    gone = (store.folder / run_id).rename(store.folder / f"{_REMOVED}{run_id}")
    (gone / FILE).unlink(missing_ok=True)
    store.forget(run_id)
    remove(gone)


def _throw_away(kind: str, path: Path, dry_run: bool) -> Removal:
    found = Removal(kind, str(path), _size(path))
    if not dry_run:
        remove(path)
    return found


def _touched(path: Path) -> datetime:
    """Say when a file, or anything in a folder, was last written; what vanishes meanwhile counts as just written."""
    try:
        return datetime.fromtimestamp(max(each.stat().st_mtime for each in [path, *path.rglob("*")]), UTC)
    except OSError:
        return datetime.fromtimestamp(time.time(), UTC)


def _size(path: Path) -> int:
    total = 0
    for each in [path, *path.rglob("*")] if path.is_dir() else [path]:
        with suppress(OSError):
            total += each.lstat().st_size if not each.is_dir() else 0
    return total
