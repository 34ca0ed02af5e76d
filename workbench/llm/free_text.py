"""Find the categories in a free-text prompt: the numbered or bulleted list that names them.

A free-text prompt holds other lists too (rules, score ranges, examples). The list of categories is the one in which
every entry looks like a category (a short name, alone or before ` - ` or `: `). Of several such lists one wins whose
heading speaks of categories or classes, or that holds "Otros" or "Indeterminado"; then the longest; then the first.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

_ENTRY = re.compile(r"^(?P<indent>\s*)(?P<mark>\d{1,3}[.)]|[-*+•])\s+(?P<text>\S.*)$")
_SEPARATOR = re.compile(r"\s+[-–—]+\s+|\s*:\s+|\s*:$")
_EMPHASIS = re.compile(r"^([*_`]{1,3})(?=\S)(.+?)\1")
_HEADING = re.compile(r"categor|\bclas(?:e|es|s|ses)\b", re.IGNORECASE)
_STANDING = ("otros", "indeterminado")
_LONGEST_NAME = 60
_MOST_WORDS = 6


@dataclass(frozen=True, slots=True)
class Found:
    """A category as it stands in a text."""

    name: str
    description: str
    line: int
    """From 1."""


@dataclass(slots=True)
class _List:
    """Entries that stand together, and the last line of prose above them."""

    heading: str
    indent: int
    number: int | None
    """The number of the last entry, where the list is numbered."""
    entries: list[tuple[int, str]] = field(default_factory=list)


def find_categories(text: str) -> list[Found]:
    r"""Give the categories that the text lists, in its order; an empty list where it has no such list.

    >>> [found.name for found in find_categories("Choose one:\n1. Pop - In-store material\n2. Spots TV - TV ads")]
    ['Pop', 'Spots TV']
    >>> find_categories("Please classify these texts.")
    []
    """
    lists = [_read_entries(block) for block in _lists(text.splitlines())]
    candidates = [(heading, found) for heading, found in lists if all(entry.name for entry in found)]
    return max(candidates, key=_rank, default=("", []))[1]


def _rank(candidate: tuple[str, list[Found]]) -> tuple[bool, int]:
    heading, found = candidate
    is_announced = _HEADING.search(heading) is not None
    return is_announced or any(entry.name.casefold() in _STANDING for entry in found), len(found)


def _lists(lines: Sequence[str]) -> list[_List]:
    """Gather entries into lists; deeper lines belong to the entry above, a line of prose ends the list."""
    lists: list[_List] = []
    current: _List | None = None
    heading = ""
    for position, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        match = _ENTRY.match(line)
        indent = len(line.expandtabs(4)) - len(line.expandtabs(4).lstrip())
        if current and indent > current.indent:
            number, entry = current.entries[-1]
            current.entries[-1] = (number, f"{entry}\n{line.strip()}")
        elif match:
            current = _list_for(match, indent, current, lists, heading)
            current.entries.append((position, match["text"].strip()))
        else:
            current, heading = None, line
    return lists


def _list_for(match: re.Match[str], indent: int, current: _List | None, lists: list[_List], heading: str) -> _List:
    """Find the list that an entry goes on with: the open one, or the one whose numbers it continues; else a new one."""
    mark = match["mark"]
    number = int(mark[:-1]) if mark[0].isdigit() else None
    last = current or (lists[-1] if lists and number is not None else None)
    goes_on = last is not None and (last.number is None) == (number is None)
    if last is None or not goes_on or (number is not None and number != (last.number or 0) + 1):
        last = _List(heading, indent, number)
        lists.append(last)
    last.number = number
    return last


def _read_entries(block: _List) -> tuple[str, list[Found]]:
    found = []
    for line, entry in block.entries:
        name, description = _split(entry)
        found.append(Found(name, description, line))
    return block.heading, found


def _split(entry: str) -> tuple[str, str]:
    """Cut an entry into name and description; an entry that does not look like a category has no name."""
    first, _, more = entry.partition("\n")
    if emphasis := _EMPHASIS.match(first):
        first = f"{emphasis[2].rstrip(': ')}: {first[emphasis.end() :].lstrip(' :-–—')}"
    separator = _SEPARATOR.search(first)
    name = first[: separator.start()] if separator else first
    description = first[separator.end() :].strip() if separator else ""
    description = "\n".join(part for part in (description, more) if part)
    return (name.strip(), description) if _looks_like_a_name(name.strip(), bool(separator)) else ("", "")


def _looks_like_a_name(name: str, is_separated: bool) -> bool:
    if not name or len(name) > _LONGEST_NAME or len(name.split()) > _MOST_WORDS or re.search(r"[<>=\"“«{}]", name):
        return False
    starts_with_number = re.match(r"[-−+]?\d+([.,]\d+)?(\s|$|-|–)", name) is not None
    return not starts_with_number and (is_separated or not re.search(r"[.;!?]$|,", name))
