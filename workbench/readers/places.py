"""Where files are: in a folder of this machine, or behind a URL (s3://, https://, memory://: the `remote` extra)."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

from workbench.errors import MissingExtra, ReadError, WorkbenchError, install, plain_text
from workbench.readers.faults import FileFault, border, is_hidden, missing, reason_of, regular
from workbench.settings import find_file, runs_folder

BLOCK = 1 << 20

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_PATTERN = re.compile(r"[*?\[]")


@dataclass(frozen=True, slots=True)
class Entry:
    """A file that was found, `name` relative to the place that was asked for."""

    name: str
    path: str
    size: int
    modified: float
    is_regular: bool = True
    """Not a pipe, a device or a socket, which would be waited for."""


def is_url(path: str | os.PathLike[str]) -> bool:
    """Say whether a path is a URL.

    >>> is_url("s3://bucket/ventas.csv"), is_url("data/ventas.csv"), is_url("C:/ventas.csv")
    (True, False, False)
    """
    return bool(_URL.match(str(path)))


def look(given: str) -> Iterator[Entry | FileFault]:
    """Give the files of a folder with all below it, of a pattern, or the one file that is named."""
    try:
        yield from _look_there(given) if is_url(given) else _look_here(given)
    except ReadError as fault:
        yield FileFault.of(given, fault)


def _look_here(given: str) -> Iterator[Entry | FileFault]:
    path = find_file(given)
    with border(path):
        if path.is_dir():
            yield from _below(path, path)
        elif path.exists() or not _PATTERN.search(given):
            if not path.exists():
                raise missing(path)
            yield _entry(path, path.parent)
        else:
            yield from _matching(given)


def _matching(given: str) -> Iterator[Entry | FileFault]:
    base, pattern = _split(given)
    folder, runs = Path(base or ".").expanduser(), runs_folder().resolve()
    in_runs = folder.resolve().is_relative_to(runs)
    found = [path for path in folder.glob(pattern) if in_runs or not path.resolve().is_relative_to(runs)]
    if not found:
        raise ReadError(f"no file fits {given}.", hint="check the pattern; ** goes through folders in folders.")
    for path in found:
        if path.is_file():
            yield _entry(path, Path(base).expanduser())
        elif path.is_dir() and "**" not in pattern:
            yield from _below(path, Path(base).expanduser())


def _split(pattern: str) -> tuple[str, str]:
    """Split a pattern into the folder before its first wildcard and the rest.

    >>> _split("data/2024-*/ventas?.csv"), _split("*.csv")
    (('data', '2024-*/ventas?.csv'), ('', '*.csv'))
    """
    wildcard = _PATTERN.search(pattern)
    folder = pattern[: wildcard.start() if wildcard else None].rpartition("/")[0]
    return folder, pattern[len(folder) :].lstrip("/")


def _below(folder: Path, base: Path) -> Iterator[Entry | FileFault]:
    faults: list[OSError] = []
    root, runs = folder.resolve(), runs_folder().resolve()  # what the workbench made of its inputs is none itself
    followed: set[Path] = set()
    for parent, folders, names in os.walk(folder, onerror=faults.append, followlinks=True):
        inside = [Path(parent) / name for name in folders if not is_hidden(name)]
        inside = [each for each in inside if not each.is_symlink() or _leads_on(each, root, followed)]
        folders[:] = [each.name for each in inside if each.resolve() != runs]
        for name in names:
            path = Path(parent) / name
            if is_hidden(name):
                continue
            if path.exists() and not path.is_file():
                yield Entry(_relative(path, base), str(path), 0, 0.0, is_regular=False)
            else:  # a link may lead nowhere
                try:
                    yield _entry(path, base)
                except OSError:
                    yield FileFault(
                        _relative(path, base), f"{plain_text(name)} is gone.", "the link or the file leads nowhere."
                    )
    for fault in faults:
        place = _relative(Path(fault.filename or folder), base)
        yield FileFault(place, f"{place} may not be looked into.", "ask for the permission, or leave it out.")


def _leads_on(link: Path, root: Path, followed: set[Path]) -> bool:
    """Say whether a linked folder holds anything new: it is neither below the root, nor around the link, nor known."""
    there = link.resolve()
    if there in followed or there.is_relative_to(root) or link.parent.resolve().is_relative_to(there):
        return False
    followed.add(there)
    return True


def _entry(path: Path, base: Path) -> Entry:
    facts = regular(path)
    return Entry(_relative(path, base), str(path), facts.st_size, facts.st_mtime)


def _relative(path: Path, base: Path) -> str:
    return plain_text(path.relative_to(base).as_posix() if path.is_relative_to(base) and path != base else path.name)


def _look_there(given: str) -> Iterator[Entry]:
    with far(given):
        system, path = _system(given)
        system.invalidate_cache()  # what another run of this process saw there may be gone, changed or more by now
        yield from _entries_there(system, path, given)


def _entries_there(system: Any, path: str, given: str) -> Iterator[Entry]:
    if _PATTERN.search(path) and not given.startswith("http"):
        base = _split(path)[0]
        found = system.glob(path, detail=True)
    elif not given.startswith("http") and system.isdir(path):
        base = path.rstrip("/")
        found = system.find(path, detail=True)
    else:
        base = path.rpartition("/")[0]
        found = {path: system.info(path)}
    for place, facts in found.items():
        name = place[len(base) :].lstrip("/")
        if facts["type"] == "file" and not (len(found) > 1 and is_hidden(name)):
            url = given if len(found) == 1 and place == path else system.unstrip_protocol(place)
            yield Entry(name.partition("?")[0], url, int(facts.get("size") or 0), _modified(facts))


def _modified(facts: dict[str, Any]) -> float:
    when = next((facts[key] for key in ("LastModified", "last_modified", "mtime", "created") if facts.get(key)), 0.0)
    return when.timestamp() if isinstance(when, datetime) else float(when)


def _system(url: str) -> tuple[Any, str]:
    try:
        from fsspec.core import url_to_fs
    except ImportError:
        raise _needs_extra(url) from None
    try:
        found: tuple[Any, str] = url_to_fs(url)
    except ImportError:  # fsspec is there, the package for this protocol is not
        raise _needs_extra(url) from None
    except ValueError as fault:
        raise ReadError(f"cannot read {url}: {fault}.", hint="check how the URL begins.") from None
    return found


def _needs_extra(url: str) -> MissingExtra:
    return MissingExtra(f"reading {url} needs fsspec.", hint=install("remote"))


def download(url: str, target: BinaryIO) -> None:
    """Copy what a URL leads to; raises ReadError, MissingExtra."""
    with far(url):
        system, place = _system(url)
        with system.open(place, "rb") as stream:
            shutil.copyfileobj(stream, target, BLOCK)


def download_head(url: str, size: int) -> bytes:
    """Give the first bytes of what a URL leads to; raises ReadError, MissingExtra."""
    with far(url):
        system, place = _system(url)
        with system.open(place, "rb") as stream:
            return bytes(stream.read(size))


@contextmanager
def far(url: str) -> Iterator[None]:
    """Turn whatever a service or its client raises into a ReadError: each has its own errors."""
    try:
        with border(url):
            try:
                yield
            except FileNotFoundError:
                raise ReadError(f"there is nothing at {url}.", hint="check the address.") from None
    except WorkbenchError:
        raise
    except Exception as fault:
        raise ReadError(f"cannot read {url}: {reason_of(fault)}.", hint="check the URL and the permission.") from None
