"""From the text that a model answers to predictions that belong to the right items, or to a reason why there is none.

Answers are aligned by the id that they carry, never by their position. An item's answer is good only if its id is
known and not claimed by two different answers, its category is in the prompt, and its score is 0 to 1, or -1 for the
unclassifiable category. Values go in, values come out: nothing here raises for anything that a model may say.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple, TypeVar

from workbench.llm.prompt import Prompt, fold
from workbench.records import AMBIGUOUS_SCORE

_NAMES = {
    "id": "id itemid itemnumber index indice idx number numero num no nr n",
    "category": "category categoria categorie categories categorias clase class classification clasificacion label "
    "etiqueta",
    "reason": "reason razon reasoning rationale motivo explanation explicacion justification justificacion",
    "score": "score puntaje puntuacion puntos confidence confianza confidencescore certainty certeza probability "
    "probabilidad",
}
_FIELD_OF = {alias: name for name, aliases in _NAMES.items() for alias in aliases.split()}
_OPENING = re.compile(r"[{\[]")
_THOUGHTS = re.compile(r"\s*<think>.*?</think>", re.DOTALL)
"""What models that think aloud say before they answer."""
_LONGEST_REASON = 1000
_MOST_BROKEN = 2_000
"""Openings that lead to nothing whole, after which a text is given up: some models repeat one bracket without end."""
_AS_ASKED = [int, list, str, float]
_NUMBERS = int | float | str

_Found = TypeVar("_Found")

Entry = dict[str, list[Any]]
"""The distinct values that one entry of an answer gives for each of our fields; `beside`: the texts of a row without
brackets that stand beside its category, a reason or a second category."""


class GoodAnswer(NamedTuple):
    """What a model says of one item."""

    category: str
    reason: str
    score: float


@dataclass(frozen=True, slots=True)
class ParsedAnswer:
    """An answer, taken apart: every item that was asked for is in `good` or in `faults`."""

    good: dict[int, GoodAnswer] = field(default_factory=dict)
    faults: dict[int, str] = field(default_factory=dict)
    """Number of the item → why its answer does not count."""
    unknown: int = 0
    """Entries whose id was not asked for."""


class _Pairs(tuple[tuple[str, Any], ...]):
    """A JSON object with its fields in order, repeated ones too."""


_DECODER = json.JSONDecoder(object_pairs_hook=_Pairs)


def parse_answer(text: str, prompt: Prompt, numbers: Collection[int], *, truncated: bool = False) -> ParsedAnswer:
    """Take an answer apart; `numbers` are the items that were asked for.

    Thoughts before the answer, prose and fences around the JSON are skipped; of JSON that is cut off or broken the
    whole entries are kept.
    """
    text = _THOUGHTS.sub("", text, count=1)
    entries = list(_entries_in(text))
    parsed = ParsedAnswer()
    unknown = 0
    for entry in entries:
        item = _read_id(entry)
        if item is None or item not in numbers:
            unknown += 1
            continue
        _commit(parsed, item, _read(entry, prompt))
    missing = _why_missing(text, bool(entries), truncated)
    faults = {item: parsed.faults.get(item, missing) for item in numbers if item not in parsed.good}
    return ParsedAnswer(parsed.good, faults, unknown)


def _commit(parsed: ParsedAnswer, item: int, answer: GoodAnswer | str) -> None:
    """Note an answer; a second one that differs spoils both."""
    if item in parsed.faults:
        return
    earlier = parsed.good.get(item)
    if earlier and (isinstance(answer, str) or earlier.category != answer.category):
        del parsed.good[item]
        parsed.faults[item] = "it was answered twice, differently"
    elif isinstance(answer, str):
        parsed.faults[item] = answer
    elif not earlier:
        parsed.good[item] = answer


def _why_missing(text: str, has_entries: bool, truncated: bool) -> str:
    if truncated:
        return "the answer was cut off before it"
    if has_entries:
        return "the answer left it out"
    return "the answer holds no results that can be read" if text.strip() else "the answer is empty"


def _entries_in(text: str) -> Iterator[Entry]:
    """Find every entry in a text: whole JSON values are searched; of a broken one the whole values inside."""
    position = broken = 0
    while broken < _MOST_BROKEN and (found := _OPENING.search(text, position)):
        start = found.start()
        try:
            value, position = _DECODER.raw_decode(text, start)
        except (ValueError, RecursionError):
            position, broken = start + 1, broken + 1
        else:
            yield from _entries_of(value)


def _entries_of(value: Any) -> Iterator[Entry]:
    """Walk through lists and wrappers down to the objects and rows that have an id and say something about it."""
    pending = [value]
    while pending:
        value = pending.pop()
        if isinstance(value, _Pairs):
            entry = _normalised(value)
            if "id" in entry and len(entry) > 1:
                yield entry
            else:
                pending.extend(inner for _, inner in reversed(value))
        elif isinstance(value, list):
            if row := _row(value):
                yield row
            else:
                pending.extend(reversed(value))


def _row(values: list[Any]) -> Entry | None:
    """Read `[id, [reason], category, score]`, also without the reason, with the reason last or out of its brackets.

    None for other lists. The category is what stands right before the score. Where the reason has brackets every plain
    text is a category; where it has none, the other plain text is the reason, unless it is a category too.
    """
    if [*map(type, values)] == _AS_ASKED and [*map(type, values[1])] == [str]:
        item, reason, category, score = values
        return {"id": [item], "category": [category], "reason": reason, "score": [score]}
    bracketed = [value for value in values if _is_reason(value)]
    flat = [value for value in values if value is not None and not _is_reason(value)]
    if len(flat) < 2 or _number(flat[0]) is None or any(isinstance(value, list | _Pairs) for value in flat):
        return None
    rest = flat[1:]
    if len(rest) + len(bracketed) < 2 or not any(isinstance(value, str) for value in rest):
        return None
    at = next((place for place, value in enumerate(rest) if not isinstance(value, str)), len(rest) - 1)
    if at > 0 and _number(rest[at]) is not None:
        named, others, scores = rest[at - 1 : at], rest[: at - 1] + rest[at + 1 :], rest[at : at + 1]
    else:
        named, others, scores = rest[-1:], rest[:-1], []
    if bracketed:
        return {"id": flat[:1], "category": [*named, *others], "reason": [" ".join(bracketed[0])], "score": scores}
    return {"id": flat[:1], "category": named, "reason": others, "beside": others, "score": scores}


def _is_reason(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(part, str) for part in value)


def _normalised(pairs: _Pairs) -> Entry:
    entry: Entry = {}
    for key, value in pairs:
        name = _field_of(key)
        if name and value is not None and not isinstance(value, _Pairs):
            entry.setdefault(name, []).append(value)
    return entry


@lru_cache(maxsize=256)
def _field_of(key: str) -> str | None:
    return _FIELD_OF.get(re.sub(r"[\W_]", "", fold(key)))


def _read_id(entry: Entry) -> int | None:
    number = _only({_number(value) for value in entry["id"]})
    return int(number) if number is not None and number.is_integer() else None


def _only(values: set[_Found]) -> _Found | None:
    """Give what there is, if there is nothing else."""
    return next(iter(values)) if len(values) == 1 else None


def _number(value: Any) -> float | None:
    """Read 1, 1.0 or "1"; None for everything else, also for true and for numbers that are not finite."""
    if isinstance(value, bool) or not isinstance(value, _NUMBERS):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if abs(number) < 1e15 else None


def _read(entry: Entry, prompt: Prompt) -> GoodAnswer | str:
    """Give the answer, or the reason why it does not count."""
    category = _read_category(entry.get("category", []), prompt)
    if category is None:
        return _category_fault(entry.get("category", []))
    beside = [value for value in entry.get("beside", ()) if isinstance(value, str)]
    if beside and any(prompt.find_category(value) not in (None, category) for value in beside):
        return _category_fault([*beside, *entry["category"]])
    reason = _plain(next((value for value in entry.get("reason", []) if isinstance(value, str)), ""))
    if category == prompt.unclassifiable:
        return GoodAnswer(category, reason, AMBIGUOUS_SCORE)
    score = _only({_number(value) for value in entry.get("score", [])})
    if score is None:
        return "its score is missing or is not a number"
    if score == AMBIGUOUS_SCORE:
        return f"its score is -1, which only {prompt.unclassifiable!r} may have"
    return GoodAnswer(category, reason, score) if 0 <= score <= 1 else f"its score {score:g} is not between 0 and 1"


def _read_category(values: list[Any], prompt: Prompt) -> str | None:
    return _only({prompt.find_category(value) if isinstance(value, str) else None for value in values})


def _category_fault(values: list[Any]) -> str:
    named = list(dict.fromkeys(_plain(str(value))[:80] for value in values))
    if not named:
        return "its category is missing"
    if len(named) > 1:
        return f"it names more than one category: {', '.join(map(repr, named))}"
    return f"its category {named[0]!r} is not in the prompt"


def _plain(text: str) -> str:
    """Give text on one line that every file format and database can hold."""
    line = " ".join(text.split())[:_LONGEST_REASON]
    if line.isprintable():
        return line
    line = line.encode("utf-8", "replace").decode("utf-8")
    return "".join(char for char in line if unicodedata.category(char) != "Cc")
