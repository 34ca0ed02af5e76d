"""The border of the room: whatever is wrong with a file becomes one ReadError with a hint."""

from __future__ import annotations

import codecs
import csv
import os
import re
import stat
import traceback
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePath, PurePosixPath

import pyarrow as pa
import python_calamine

from workbench.errors import ReadError, WorkbenchError, nearest
from workbench.settings import find_file

SAVE_AS_XLSX = "open it in Excel or LibreOffice and save it as .xlsx."
ADVICE = {
    ".numbers": "export it as .xlsx or .csv.",
    ".gz": "unpack it first.",
}
MAGIC = (
    (b"PK\x03\x04", "a ZIP archive or an Excel workbook", "unpack it, or if it is a workbook name it .xlsx."),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old or an encrypted Excel workbook", SAVE_AS_XLSX),
    (b"\x1f\x8b", "a gzip archive", "unpack it first."),
    (b"%PDF", "a PDF document", "get the table as .xlsx or .csv."),
    (b"\x89PNG", "a picture", "get the table as .xlsx or .csv."),
    (b"\xff\xd8\xff", "a picture", "get the table as .xlsx or .csv."),
    (b"PAR1", "a parquet file", "save it as .csv or .xlsx."),
    (b"SQLite format 3", "a SQLite database", "export its table as .csv."),
)
MARKUP = (
    (b"<!doctype html", "an HTML page"),
    (b"<html", "an HTML page"),
    (b"<table", "an HTML page"),
    (b"<head", "an HTML page"),
    (b"<?xml", "an XML document"),
)
CONTROLS = bytes(code for code in range(32) if code not in b"\0\t\n\v\f\r\x1a\x1b\x1c\x1d\x1e\x1f")


FOREIGN = (
    python_calamine.CalamineError,
    pa.ArrowException,
    csv.Error,
    UnicodeError,
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    NotImplementedError,
)
"""What the libraries below raise when a file is damaged."""


UNFORESEEN = (ValueError, TypeError, LookupError, ArithmeticError, AttributeError, AssertionError)
"""How a fault of this program shows, which a file of an unforeseen kind brings to light: it stops no other file."""


@dataclass(frozen=True, slots=True)
class FileFault:
    """Why a file, or a part of one, could not be read."""

    name: str
    """The file, as `Source.name` has it."""
    reason: str
    hint: str | None = None
    rows: int = 0
    """Rows of it that had been given before it failed."""

    @classmethod
    def of(cls, name: str, fault: WorkbenchError, rows: int = 0) -> FileFault:
        """Record an error against a file."""
        return cls(name, fault.message, fault.hint, rows)

    def error(self) -> ReadError:
        """Give the fault as an error."""
        about = PurePosixPath(self.name).name in self.reason
        return ReadError(self.reason if about else f"{self.name}: {self.reason}", hint=self.hint)


_HIDDEN = re.compile(r"\.(?!\.?$)|~|__MACOSX$|Thumbs\.db$|desktop\.ini$", re.IGNORECASE)
"""What operating systems and open programs leave in folders: .DS_Store, ~$ventas.xlsx, __MACOSX."""


def is_hidden(name: str) -> bool:
    """Say whether a name, or a folder on the way to it, is one that no person gave.

    >>> is_hidden("2024/~$ventas.xlsx"), is_hidden("__MACOSX/a.xml"), is_hidden("2024/ventas.xlsx")
    (True, True, False)
    """
    return any(_HIDDEN.match(part) for part in PurePosixPath(name.replace("\\", "/")).parts)


def checked_path(path: str | Path, suffixes: Iterable[str]) -> Path:
    """Find a regular file that exists, may be read and holds something; raises ReadError."""
    found = find_file(path)
    with border(found):
        if found.is_dir():
            inside = [name for name in _shown(found) if PurePath(name).suffix.lower() in suffixes]
            raise ReadError(
                f"{found} is a folder.", hint=f"name a file; of those that can be read {nearest('', inside)}"
            )
        if not found.exists():
            raise missing(found)
        regular(found)
        with found.open("rb") as stream:
            if not stream.read(1):
                raise ReadError(f"{found.name} is empty.", hint="export or copy it again.")
    return found


def missing(path: Path) -> ReadError:
    """Word the refusal of a file that is not there, with the nearest name."""
    archive = next((each for each in path.parents if each.is_file()), None)
    if archive:
        hint = f"{archive} is no folder; an archive is read as a whole: name it, and leave out what you do not want."
        return ReadError(f"there is no file {path}.", hint=hint)
    if not path.parent.is_dir():
        return ReadError(f"there is no file {path}.", hint=f"there is no folder {path.parent} either.")
    return ReadError(f"there is no file {path}.", hint=f"in {path.parent}: {nearest(path.name, _shown(path.parent))}")


def _shown(folder: Path) -> list[str]:
    """Name the files and folders that a hint may name."""
    return sorted(child.name for child in folder.iterdir() if not is_hidden(child.name))


def regular(path: Path) -> os.stat_result:
    """Give the facts of a file, links followed; raises ReadError where it is a pipe, a device or a socket.

    Opening such a file may wait for ever.
    """
    facts = path.stat()
    if not stat.S_ISREG(facts.st_mode):
        raise ReadError(f"{path} is not a regular file.", hint="copy what it gives into a file first.")
    return facts


def unsupported(path: PurePath, suffixes: Iterable[str]) -> ReadError:
    """Word the refusal of a suffix, with what can be read."""
    readable = f"{', '.join(suffixes)} can be read."
    advice = ADVICE.get(path.suffix.lower())
    what = f"the format {path.suffix}" if path.suffix else "a file without a suffix"
    return ReadError(f"{path.name}: {what} is not supported.", hint=f"{advice} {readable}" if advice else readable)


def no_rows(path: Path, place: str = "") -> ReadError:
    """Word the refusal of a table that ends at its header."""
    with path.open("rb") as stream:
        is_json = stream.read(1 << 10).lstrip(b"\xef\xbb\xbf \t\r\n").startswith((b"{", b"["))
    hint = "if it holds JSON, name it .json." if is_json else "check that it is the right file or sheet."
    return ReadError(f"{path.name}{place} has a header but no rows.", hint=hint)


def too_wide(path: Path, most: int) -> ReadError:
    """Word the refusal of a line with more cells than a table has columns."""
    return ReadError(
        f"{path.name} has a row of more than {most:,} cells.",
        hint="check its delimiter and line ends; a table has one line per row.",
    )


def refuse_binary(path: Path) -> None:
    """Raise ReadError where a file that should be text is something else."""
    with border(path), path.open("rb") as stream:
        head = stream.read(1 << 16)
    for magic, what, hint in MAGIC:
        if head.startswith(magic):
            raise ReadError(f"{path.name} is {what}, not text.", hint=hint)
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()[:200].lower()
    for mark, what in MARKUP:
        if start.startswith(mark):
            raise ReadError(f"{path.name} is {what}, not a table.", hint="get the table as .csv or .xlsx.")
    controls = len(head) - len(head.translate(None, CONTROLS))
    if controls * 20 > len(head) and not _is_unicode(head):
        raise ReadError(f"{path.name} is not text.", hint="save the table as .csv or .xlsx.")


def _is_unicode(head: bytes) -> bool:
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return True
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)  # the last character may be cut
    except UnicodeDecodeError:
        return False
    return True


@contextmanager
def border(path: str | os.PathLike[str]) -> Iterator[None]:
    """Turn the errors of the operating system and of the libraries below into ReadErrors."""
    name = PurePosixPath(path).name or str(path)
    try:
        yield
    except WorkbenchError:
        raise
    except PermissionError:
        raise ReadError(f"{name} may not be read.", hint="ask for the permission, or copy it.") from None
    except FileNotFoundError:
        raise ReadError(f"{name} is gone.", hint="it was moved or deleted while it was read.") from None
    except OSError as fault:
        raise ReadError(f"cannot read {name}: {reason_of(fault)}.", hint="copy it again.") from None
    except python_calamine.PasswordError:
        raise ReadError(f"{name} is encrypted.", hint="save a copy without a password.") from None
    except FOREIGN as fault:
        raise _damaged(name, fault) from None
    except (RecursionError, MemoryError) as fault:
        what = "is nested too deeply" if isinstance(fault, RecursionError) else "does not fit into memory"
        raise ReadError(f"{name} {what}.", hint="split it, or export it as .csv.") from None
    except UNFORESEEN as fault:
        raise _unforeseen(name, fault) from fault
    except BaseException as fault:
        if type(fault).__name__ != "PanicException":  # how a bug in a Rust library shows
            raise
        raise _damaged(name, fault) from None


def _damaged(name: str, fault: BaseException) -> ReadError:
    hint = "open it in its own program and save it again."
    return ReadError(f"{name} is damaged: {reason_of(fault)}.", hint=hint)


def reason_of(fault: BaseException) -> str:
    """Give the first line of what a foreign error says, to stand within a sentence."""
    said = getattr(fault, "strerror", None) or str(fault).strip() or type(fault).__name__
    return str(said).splitlines()[0].rstrip(".")


def _unforeseen(name: str, fault: Exception) -> ReadError:
    """Word a fault of this program so that it can be told from one of the file, and found."""
    place = traceback.extract_tb(fault.__traceback__)[-1]
    what = " ".join(f"{type(fault).__name__}: {fault}".split())
    return ReadError(
        f"{name} cannot be read: {what} ({PurePath(place.filename).name}, line {place.lineno}).",
        hint="this is a fault of the program, please report it; until then save the table alone as .csv.",
    )
