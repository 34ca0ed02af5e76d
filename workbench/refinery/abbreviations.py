"""Abbreviations: the shipped list, and lists of the user's own on top of it."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from workbench.documents import read_text
from workbench.errors import UsageError, few

DATA = Path(__file__).parent / "data"
SHIPPED = DATA / "abbreviations_es.csv"

OwnAbbreviations = str | Path | Mapping[str, str]


class Entry(NamedTuple):
    """One line of a list."""

    where: str
    abbreviation: str
    expansion: str


def read_words(name: str) -> frozenset[str]:
    """Read a shipped list of words, one per line."""
    return frozenset((DATA / name).read_text(encoding="utf-8").split())


def read_entries(source: OwnAbbreviations) -> list[Entry]:
    """Read a list from a mapping or a CSV file (`abbreviation,expansion[,note]`; comma, semicolon or tab).

    Raises UsageError where the file cannot be read or lacks the two columns.
    """
    if isinstance(source, Mapping):
        return [Entry("abbreviations", str(key), str(value)) for key, value in source.items()]
    text = read_text(Path(source), UsageError)
    header = text.partition("\n")[0]
    rows = csv.reader(io.StringIO(text), delimiter=max(",;\t", key=header.count))
    names = [name.strip().casefold() for name in next(rows, [])]
    if not {"abbreviation", "expansion"} <= set(names):
        raise UsageError(
            f"{source} has no columns 'abbreviation' and 'expansion'.", hint="name them so in its first line."
        )
    short, long = names.index("abbreviation"), names.index("expansion")
    name = Path(source).name
    padded = ((rows.line_num, [*row, *names]) for row in rows if any(cell.strip() for cell in row))
    return [Entry(f"{name}, line {line}", _cell(row, short, names), _cell(row, long, names)) for line, row in padded]


def _cell(row: list[str], position: int, names: list[str]) -> str:
    """A cell of a row that was padded at its end, so that a short row reads as empty cells."""
    return row[position] if position < len(row) - len(names) else ""


def build_table(
    entries: Iterable[Entry], prepare: Callable[[str], str], stop_words: Collection[str] = ()
) -> dict[str, str]:
    """Make the table word → expansion that cleaning uses; a later entry replaces an earlier one.

    Both sides are cleaned by `prepare`. Expansions are followed through the table to their end, so that no result
    changes again when it is cleaned again. Raises UsageError that names every faulty entry at once.

    >>> build_table([Entry("", "PZA.", "Pieza"), Entry("", "pieza", "artículo")], str.lower)
    {'pza.': 'artículo', 'pieza': 'artículo'}
    """
    table: dict[str, str] = {}
    faults: list[str] = []
    for entry in entries:
        key = prepare(entry.abbreviation).split()
        expansion = [word for word in prepare(entry.expansion).split() if word not in stop_words]
        if len(key) == 1 and expansion:
            table[key[0]] = " ".join(expansion)
        elif len(key) != 1:
            faults.append(f"{entry.where}: {entry.abbreviation!r} is not one word")
        else:
            faults.append(f"{entry.where}: {entry.abbreviation!r} has no expansion")
    circles = [key for key in table if _follow(key, table, ()) is None]
    faults += [f"the expansion of {key!r} leads back to an abbreviation on the way" for key in circles]
    if faults:
        raise UsageError(
            f"{few(faults, 20, '; ')}.", hint="each line needs one word and what it stands for, without circles."
        )
    return {key: " ".join(_follow(key, table, ()) or []) for key in table}


def _follow(word: str, table: Mapping[str, str], path: tuple[str, ...]) -> list[str] | None:
    """Spell a word out to the end; None where it runs in a circle. A word that stands for itself is left alone."""
    if word in path:
        return None
    if table.get(word, word) == word:
        return [word]
    spelt = [_follow(part, table, (*path, word)) for part in table[word].split()]
    found = [part for part in spelt if part is not None]
    return [part for parts in found for part in parts] if len(found) == len(spelt) else None
