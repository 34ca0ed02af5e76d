"""What is to be read: files, folders, patterns, ZIP archives and URLs as one list of sources."""

from __future__ import annotations

import hashlib
import os
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

from workbench.errors import plain_text
from workbench.readers.archives import Member, Opener, members_of
from workbench.readers.faults import FileFault, border, unsupported
from workbench.readers.formats import SUFFIXES
from workbench.readers.places import BLOCK, Entry, is_url, look

ARCHIVE = ".zip"


@dataclass(frozen=True, slots=True)
class Source:
    """One file to read, on disk, behind a URL or inside an archive; plain data, which may travel to other processes."""

    name: str
    """What stands in `source_file`: the path relative to the folder that was given; distinct among its `Found`."""
    path: str
    members: tuple[str, ...]
    """The names that lead to it inside `path`, where that is an archive, as the archives spell them."""
    size: int
    """Bytes, unpacked."""
    modified: float
    """When the file (or its archive) was changed, in seconds since 1970."""
    kind: str
    """csv, xlsx, json, jsonl, cfdi, … : what reads it."""

    def fingerprint(self, opener: Opener | None = None) -> str:
        """Give the SHA-256 of its bytes as 64 hexadecimal digits; an opener saves opening an archive again."""
        with nullcontext(opener) if opener else Opener() as own, border(self.name):
            digest = hashlib.sha256()
            with own.stream(self.path, self.members) as stream:
                while block := stream.read(BLOCK):
                    digest.update(block)
        return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class Found:
    """What was found: sources to read, what cannot be, and names of what is no table (a PDF beside its XML, a pipe)."""

    sources: tuple[Source, ...]
    faults: tuple[FileFault, ...] = ()
    passed_over: tuple[str, ...] = ()


def find_sources(inputs: Sequence[str], *, exclude: Sequence[str] = ()) -> Found:
    """List what files, folders (with all below), patterns, ZIP archives and URLs hold, without reading any of it.

    Args:
        inputs: any mixture of them; the sources come in this order, those of one input in natural order of their names.
        exclude: patterns (`*.bak`, `2023/*`, `copia de ventas.xlsx`) for names or last parts of names to leave out.

    Returns:
        The sources and the faults. A file that was named and cannot be read is a fault, and so is a folder without
        any file to read; in a folder or an archive, files of unknown formats are passed over.
    """
    found, faults, others = list[Source](), list[FileFault](), list[str]()
    left_out: list[FileFault] = []
    with Opener() as opener:
        for given in map(str, inputs):
            there = sorted(_inside(opener, given), key=lambda each: natural(_name(each)))
            here = [each for each in there if not _is_excluded(each, exclude)]
            faults += [each for each in here if isinstance(each, FileFault)]
            files = [each for each in here if not isinstance(each, FileFault)]
            sources = [_source(*each) for each in files if _is_known(each[0])]
            unknown = [each[0].name for each in files if not _is_known(each[0])]
            if there and not here:
                left_out.append(_nothing(given, unknown, exclude))
            elif not sources and len(here) == len(unknown):
                faults.append(_nothing(given, unknown, exclude if len(here) < len(there) else ()))
            else:
                others += unknown
            found += sources
    once = {(_place(source.path), source.members): source for source in reversed(found)}
    kept = [source for source in found if once.pop((_place(source.path), source.members), None)]
    if not kept and not faults:
        faults = left_out
    return Found(_distinctly_named(kept), tuple(faults), tuple(others))


def _place(path: str) -> str:
    return path if is_url(path) else os.path.realpath(path)


def _inside(opener: Opener, given: str) -> Iterator[Member | FileFault]:
    for each in look(given):
        if isinstance(each, FileFault):
            yield each
        elif _suffix(each.name) == ARCHIVE and each.is_regular:
            yield from members_of(opener, each)
        else:
            yield each, ()


def _name(each: Member | FileFault) -> str:
    return each.name if isinstance(each, FileFault) else each[0].name


def _suffix(name: str) -> str:
    return PurePosixPath(name).suffix.lower()


def _is_known(entry: Entry) -> bool:
    return entry.is_regular and _suffix(entry.name) in SUFFIXES


def _is_excluded(each: Member | FileFault, patterns: Iterable[str]) -> bool:
    name = _name(each)
    return any(fnmatchcase(name, pattern) or fnmatchcase(PurePosixPath(name).name, pattern) for pattern in patterns)


def _source(entry: Entry, members: tuple[str, ...]) -> Source:
    kind = SUFFIXES.get(_suffix(entry.name)).name
    return Source(entry.name, entry.path, members, entry.size, entry.modified, kind)


def _nothing(given: str, unknown: Sequence[str], excluded: Sequence[str]) -> FileFault:
    if len(unknown) == 1 and PurePosixPath(given).name == unknown[0]:
        return FileFault.of(unknown[0], unsupported(PurePosixPath(given), SUFFIXES))
    others = "1 other file" if len(unknown) == 1 else f"{len(unknown):,} other files"
    there = [f"it holds {others}"] if unknown else [] if excluded else ["it is empty"]
    there += [f"what fits {', '.join(excluded)} is left out"] if excluded else []
    hint = f"{', and '.join(there)}; {', '.join(SUFFIXES)} can be read."
    return FileFault(given, f"{given} holds no file that can be read.", hint)


def natural(name: str) -> tuple[tuple[str | int, ...], str]:
    """Order names as people do.

    >>> sorted(["mes10.csv", "Mes2.csv", "mes1.csv"], key=natural)
    ['mes1.csv', 'Mes2.csv', 'mes10.csv']
    """
    parts = re.split(r"([0-9]+)", name.casefold())
    return tuple(int(part) if place % 2 else part for place, part in enumerate(parts)), name


def _distinctly_named(sources: Sequence[Source]) -> tuple[Source, ...]:
    """Name the files that are called the same by as much of their paths as tells them apart."""
    alike = defaultdict[str, list[Source]](list)
    for source in sources:
        alike[source.name].append(source)
    taken = set(alike)
    names: dict[Source, str] = {}
    for name, several in alike.items():
        if len(several) > 1:
            ways = [PurePosixPath(plain_text("/".join((source.path, *source.members)))).parts for source in several]
            size = len(PurePosixPath(name).parts)
            told = {name}
            while (len(told) < len(ways) or told & taken) and size < max(map(len, ways)):
                size += 1
                told = {str(PurePosixPath(*way[-size:])) for way in ways}
            taken |= told
            names |= {source: str(PurePosixPath(*way[-size:])) for source, way in zip(several, ways, strict=True)}
    return tuple(replace(source, name=names.get(source, source.name)) for source in sources)
