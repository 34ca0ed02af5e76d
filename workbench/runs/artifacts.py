"""Files that appear whole or not at all: written beside their place, brought to the disk, then moved into it.

A file under way is called `.<name>.<host>-<process>-<token>.partial`; one whose process was killed can so be told
from one that is being written, and is swept away when the run is next locked.
"""

from __future__ import annotations

import dataclasses
import errno
import hashlib
import json
import os
import re
import secrets
import shutil
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson

from workbench.errors import StorageError

_HOST = hashlib.blake2b(socket.gethostname().encode(), digest_size=3).hexdigest()
_TOKEN = secrets.token_hex(4)
_PARTIAL = re.compile(r"^\..+\.(?P<host>[0-9a-f]{6})-(?P<process>\d+)-(?P<token>[0-9a-f]{8})[0-9a-f]{8}\.partial$")
NAME_BYTES = 255
"""The longest name that the usual file systems take."""
_FOREIGN_SECONDS = 86_400
"""After a day, a file that another machine left half-written is taken for a leftover."""

_HINTS = {
    errno.ENOSPC: "the disk is full: free some space and repeat the command; a run goes on with --resume.",
    errno.EDQUOT: "the disk quota is used up: free some space and repeat the command; a run goes on with --resume.",
    errno.EFBIG: "the file is larger than this machine allows: raise the limit (ulimit -f).",
    errno.EACCES: "the folder may not be written: change its permissions, or choose another with WORKBENCH_RUNS.",
    errno.EPERM: "the folder may not be written: change its permissions, or choose another with WORKBENCH_RUNS.",
    errno.EROFS: "the file system is read-only: choose another folder with WORKBENCH_RUNS.",
    errno.ENOENT: "the folder is gone: was the run removed while it worked?",
    errno.ENOTDIR: "a file stands where a folder should be: move it away.",
}


DAMAGED = "it was cut off or changed: `workbench show RUN --verify` says what of a run is damaged, and what to do."


def storage_error(path: Path, error: OSError, verb: str = "write") -> StorageError:
    """Word what the operating system says about a file, with what to do about it."""
    reason = error.strerror or str(error)
    is_damaged = verb == "read" and error.errno is None  # the system has nothing to say of it: the content is wrong
    return StorageError(
        f"cannot {verb} {path}: {reason}.", hint=DAMAGED if is_damaged else _HINTS.get(error.errno or 0)
    )


@contextmanager
def mapped_errors(path: Path, verb: str = "write") -> Iterator[None]:
    """Turn an OSError inside the block into a StorageError about this path."""
    try:
        yield
    except OSError as error:
        raise storage_error(path, error, verb) from None


def partial_path(path: Path) -> Path:
    """Name a file under way beside its final place, so that moving it there is one step; a long name is shortened."""
    end = f".{_HOST}-{os.getpid()}-{_TOKEN}{secrets.token_hex(4)}.partial"
    name = os.fsencode(path.name)[: NAME_BYTES - len(end) - 1].decode("utf-8", "ignore")
    return path.with_name(f".{name}{end}")


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Give a temporary path to write to; it becomes `path` when the block ends well, and vanishes when it does not.

    Whatever happens, `path` holds the old content or the new, never a part. Raises StorageError.
    """
    with mapped_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = partial_path(path)
        try:
            yield partial
            commit(partial, path)
        finally:
            remove(partial)


def commit(partial: Path, path: Path) -> None:
    """Bring a finished file to the disk, then move it to its place."""
    with partial.open("rb+") as file:
        os.fsync(file.fileno())
    partial.replace(path)
    if os.name == "posix":
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def remove(path: Path) -> None:
    """Remove a file or a folder; that it cannot be removed is no reason to hide what went wrong before."""
    with suppress(OSError):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def sweep(folder: Path) -> list[Path]:
    """Remove the half-written files that killed processes left under a folder; gives what was removed."""
    found = leftovers(folder)
    for path in found:
        remove(path)
    return found


def leftovers(folder: Path) -> list[Path]:
    """Find the half-written files that killed processes left under a folder."""
    return [path for path in folder.rglob(".*.partial") if _is_leftover(path)]


def _is_leftover(path: Path) -> bool:
    found = _PARTIAL.match(path.name)
    if not found:
        return False
    if found["host"] != _HOST or os.name != "posix":
        with suppress(OSError):
            return time.time() - path.stat().st_mtime > _FOREIGN_SECONDS
        return False
    process = int(found["process"])
    return found["token"] != _TOKEN if process == os.getpid() else not _is_alive(process)


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass
    return True


def write_text(path: Path, text: str) -> None:
    """Write text as UTF-8; half surrogate pairs, which UTF-8 cannot hold, become `?`. Raises StorageError."""
    with atomic_path(path) as partial:
        partial.write_bytes(text.encode("utf-8", "replace"))


def write_json(path: Path, value: Any) -> None:
    """Write plain data as JSON in the given order; raises StorageError (see `to_json`)."""
    with atomic_path(path) as partial:
        partial.write_text(to_json(value, indent=True), encoding="utf-8", newline="\n")


def to_json(value: Any, indent: bool = False) -> str:
    """Give plain data as strict JSON: NaN and infinite numbers are null, times are ISO 8601, paths are text.

    Raises StorageError for what JSON has no form for.

    >>> to_json({"accuracy": float("nan"), "path": Path("a") / "b"})
    '{"accuracy":null,"path":"a/b"}'
    """
    options = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS | (orjson.OPT_INDENT_2 if indent else 0)
    try:
        return orjson.dumps(value, default=_plain, option=options).decode()
    except TypeError:
        pass  # half surrogate pairs and huge integers need the slow way; anything else fails there with a clear word
    try:
        plain = _plain_deeply(value)
        text = json.dumps(plain, ensure_ascii=False, indent=2 if indent else None, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise StorageError(f"this cannot be written as JSON: {error}.") from None
    return text.encode("utf-8", "replace").decode()


def _plain(value: Any) -> Any:
    """Give the plain form of one value that JSON does not know."""
    import pandas as pd  # rarely needed here, and a reviewer's kernel does without it

    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, set | frozenset):
        return sorted(value, key=str)
    if isinstance(value, pd.Series | pd.Index):
        return value.tolist()
    if isinstance(value, os.PathLike):
        return Path(value).as_posix()
    if hasattr(value, "isoformat") and not pd.isna(value):
        return value.isoformat()
    if pd.api.types.is_scalar(value) and pd.isna(value):
        return None
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, Decimal):
        return float(value)
    raise TypeError(f"a {type(value).__name__} has no form in JSON")


def _plain_deeply(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = dataclasses.asdict(value)
    if isinstance(value, Mapping):
        return {str(key): _plain_deeply(inner) for key, inner in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [_plain_deeply(inner) for inner in value]
    if isinstance(value, float):
        return value if value - value == 0 else None
    return value if value is None or isinstance(value, str | int) else _plain_deeply(_plain(value))


def read_json(path: Path) -> Any:
    """Read a JSON file; raises StorageError where it is not one."""
    with mapped_errors(path, "read"):
        content = path.read_bytes()
    try:
        return json.loads(content)
    except ValueError as error:
        raise StorageError(f"{path} is not valid JSON: {error}.", hint=DAMAGED) from None


def read_text(path: Path) -> str:
    """Read a text file; raises StorageError where it is not UTF-8."""
    with mapped_errors(path, "read"):
        content = path.read_bytes()
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        raise StorageError(f"{path} is not UTF-8 text.", hint=DAMAGED) from None
