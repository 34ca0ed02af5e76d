"""ZIP archives: what is in them, nested ones too, and each member as a stream; nothing is unpacked to its own path.

What an archive says of itself is checked before a byte is unpacked, and a member never gives more bytes than it said.
"""

from __future__ import annotations

import re
import shutil
import stat
import tempfile
import zipfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import BinaryIO, cast

from workbench.errors import ReadError
from workbench.readers.faults import FileFault, border, is_hidden
from workbench.readers.places import BLOCK, Entry, download, download_head, is_url

MAX_MEMBERS = 200_000
MAX_BYTES = 20 << 30
"""What all members of an archive may hold together."""
MAX_RATIO = 200
"""How many times its size a member may unpack to; real tables stay below 60."""
RATIO_FROM = 32 << 20
"""Members that unpack to less than this are harmless, whatever their ratio."""
MAX_DEPTH = 3
"""Archives in archives in archives."""

_ABSOLUTE = re.compile(r"[/\\]|[A-Za-z]:")
_UTF8_FLAG, _ENCRYPTED_FLAG = 0x800, 0x1
_NEITHER_SPANISH = re.compile("[\u0370-\u03ff\u2500-\u25ff]")
"""Greek letters and box drawing: how the capitals of code page 850 look in 437."""


@dataclass(slots=True)
class Limits:
    """What is left of the limits of an archive, those inside it included."""

    members: int = MAX_MEMBERS
    bytes: int = MAX_BYTES

    def take(self, archive: zipfile.ZipFile) -> None:
        """Count what an archive holds; raises ReadError where it is too much."""
        self.members -= len(archive.infolist())
        self.bytes -= sum(info.file_size for info in archive.infolist())
        if self.members < 0:
            raise ReadError(f"it holds more than {MAX_MEMBERS:,} files.", hint="split it.")
        if self.bytes < 0:
            raise ReadError(f"it unpacks to more than {MAX_BYTES >> 30} GB.", hint="split it, or unpack it yourself.")


@dataclass(slots=True)
class Opener:
    """Opens files and members of archives; the archive that was used last stays open for the next member."""

    _levels: list[tuple[str, zipfile.ZipFile, ExitStack]] = field(default_factory=list)

    def __enter__(self) -> Opener:
        return self

    def __exit__(self, *_: object) -> None:
        self._close(0)

    def stream(self, path: str, members: Sequence[str] = ()) -> BinaryIO:
        """Open a file, what a URL leads to, or a member of an archive; raises ReadError."""
        with border(members[-1] if members else path):
            if members:
                return self.archive(path, members[:-1]).open(members[-1])  # type: ignore[return-value]
            if not is_url(path):
                return Path(path).open("rb")
            with ExitStack() as held:
                copy = cast(BinaryIO, held.enter_context(tempfile.SpooledTemporaryFile(BLOCK)))
                download(path, copy)
                copy.seek(0)
                held.pop_all()  # the caller closes it
            return copy

    def head(self, path: str, members: Sequence[str], size: int) -> bytes:
        """Give the first bytes of a file; of what a URL leads to no more is fetched. Raises ReadError."""
        if is_url(path) and not members:
            return download_head(path, size)
        with border(members[-1] if members else path), self.stream(path, members) as stream:
            return stream.read(size)

    @contextmanager
    def on_disk(self, path: str, members: Sequence[str] = ()) -> Iterator[Path]:
        """Give the path of a file, or of a copy under its own name that goes when it was used; raises ReadError."""
        if not members and not is_url(path):
            yield Path(path)
            return
        with tempfile.TemporaryDirectory(prefix="workbench-") as folder:
            copy = Path(folder) / (PurePosixPath(members[-1] if members else path.partition("?")[0]).name or "file")
            with border(copy), copy.open("wb") as target:
                if members:
                    with self.stream(path, members) as stream:
                        shutil.copyfileobj(stream, target, BLOCK)
                else:
                    download(path, target)
            yield copy

    def archive(self, path: str, members: Sequence[str]) -> zipfile.ZipFile:
        """Open an archive, or the one that stands inside others."""
        wanted = [path, *members]
        same = 0
        while same < min(len(wanted), len(self._levels)) and self._levels[same][0] == wanted[same]:
            same += 1
        self._close(same)
        for depth in range(same, len(wanted)):
            with ExitStack() as held:
                stream = held.enter_context(self._unpacked(wanted[depth]) if depth else self.stream(path))
                self._levels.append((wanted[depth], held.enter_context(zipfile.ZipFile(stream)), held.pop_all()))
        return self._levels[-1][1]

    def _unpacked(self, member: str) -> BinaryIO:
        """Unpack an archive inside the innermost one that is open: it is read from its end."""
        copy = cast(BinaryIO, tempfile.TemporaryFile())  # noqa: SIM115 - the caller closes it
        with self._levels[-1][1].open(member) as stream:
            shutil.copyfileobj(stream, copy, BLOCK)
        return copy

    def _close(self, depth: int) -> None:
        while len(self._levels) > depth:
            self._levels.pop()[2].close()


Member = tuple[Entry, tuple[str, ...]]
"""A member of an archive, and the names that lead to it, from the outermost archive on."""


def members_of(opener: Opener, archive: Entry) -> Iterator[Member | FileFault]:
    """Give the members of an archive and of those inside it; what is wrong with one of them is its own fault."""
    yield from _members(opener, archive, (), Limits())


def _members(opener: Opener, outer: Entry, inside: tuple[str, ...], limits: Limits) -> Iterator[Member | FileFault]:
    try:
        with border(outer.name):
            archive = opener.archive(outer.path, inside)
            limits.take(archive)
    except ReadError as fault:
        yield FileFault.of(outer.name, fault)
        return
    infos = [info for info in archive.infolist() if not info.is_dir() and not is_hidden(info.filename)]
    copies = Counter(info.filename for info in infos)
    for info in infos:
        name = f"{outer.name}/{_spelled(info)}".replace("\\", "/")
        copies[info.filename] -= 1
        wrong = _wrong(info, copies[info.filename])
        entry = Entry(name, outer.path, info.file_size, outer.modified)
        way = (*inside, info.filename)
        if wrong:
            yield FileFault(name, *wrong)
        elif not info.filename.lower().endswith(".zip"):
            yield entry, way
        elif len(way) >= MAX_DEPTH:
            yield FileFault(name, f"archives stand in archives more than {MAX_DEPTH} deep.", "unpack some of them.")
        else:
            yield from _members(opener, entry, way, limits)


def _wrong(info: zipfile.ZipInfo, later: int) -> tuple[str, str] | None:
    """Say what is wrong with a member, and what to do."""
    if _ABSOLUTE.match(info.orig_filename) or ".." in re.split(r"[/\\]", info.orig_filename):
        return "its name leads out of the archive.", "pack the archive again; do not trust where it came from."
    if stat.S_ISLNK(info.external_attr >> 16):
        return "it is a link, not a file.", "pack the file itself."
    if info.flag_bits & _ENCRYPTED_FLAG:
        return "it is encrypted.", "unpack the archive with its password first."
    if later:
        return "the archive holds another file of this name, which is read.", "give them different names."
    if info.file_size > RATIO_FROM and info.file_size > MAX_RATIO * max(info.compress_size, 1):
        return (
            f"it unpacks to {info.file_size // max(info.compress_size, 1)} times its size.",
            "unpack it yourself if you trust it.",
        )
    return None


def _spelled(info: zipfile.ZipInfo) -> str:
    """Give a member's name as its author saw it: many programs write UTF-8 or code page 850 without saying so."""
    if info.flag_bits & _UTF8_FLAG or info.filename.isascii():
        return info.filename
    raw = info.filename.encode("cp437", "replace")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("cp850") if _NEITHER_SPANISH.search(info.filename) else info.filename
