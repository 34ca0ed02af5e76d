"""The prompt: what a classifier is told. A YAML file that people edit, checked field by field, rendered byte for byte.

A prompt is data. `render` writes the instructions that a language model reads; the lexical provider reads the same
categories, keywords and examples directly. The fingerprint of the content is the prompt's version.
"""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

from workbench.documents import Location, build, parse_yaml, read_text
from workbench.errors import PromptError, nearest
from workbench.llm import rendering
from workbench.llm.free_text import find_categories
from workbench.records import AMBIGUOUS_SCORE

FALLBACK = "Otros"
UNCLASSIFIABLE = "Indeterminado"
_STANDING = {"fallback": FALLBACK, "unclassifiable": UNCLASSIFIABLE}
"""The two categories that every prompt has, under these names if it does not say others."""


def fold(name: str) -> str:
    """Fold what does not tell two names apart: case, accents and spaces.

    >>> fold("  Promoción  CERVEZA ") == fold("promocion cerveza") == fold("PromociónCerveza")
    True
    """
    decomposed = unicodedata.normalize("NFKD", name.casefold())
    return "".join(char for char in decomposed if not unicodedata.combining(char) and not char.isspace())


def _line(value: str) -> str:
    line = " ".join(unicodedata.normalize("NFC", value).split())
    if not line:
        raise ValueError("it is empty")
    return line


def _text(value: str) -> str:
    return unicodedata.normalize("NFC", value).strip()


def _null_as_blank(value: Any) -> Any:
    return "" if value is None else value


def _null_as_none(value: Any) -> Any:
    return [] if value is None else value


def _names_as_categories(value: Any) -> Any:
    return (
        [{"name": entry} if isinstance(entry, str) else entry for entry in value] if isinstance(value, list) else value
    )


Line = Annotated[str, AfterValidator(_line)]
"""Text on one line, not empty."""
Text = Annotated[str, AfterValidator(_text), BeforeValidator(_null_as_blank)]
"""Text on any number of lines, perhaps empty."""
Score = Annotated[float, Field(ge=AMBIGUOUS_SCORE, le=1, allow_inf_nan=False)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


class Category(_Part):
    """One answer that is allowed."""

    name: Line
    description: Text = ""
    """What belongs here, and what does not."""
    keywords: Annotated[list[Line], BeforeValidator(_null_as_none)] = []
    """Words that point to the category."""
    priority: int = 0
    """Of several categories that fit, the higher number wins."""


class Example(_Part):
    """A text with its right category."""

    text: Line
    category: Line
    note: Text = ""
    """Why, in a sentence."""
    item_id: str | None = None
    """The item that it comes from; the model does not get to see it."""


class ScoreRange(_Part):
    """What a span of scores means."""

    low: Score
    high: Score
    meaning: Line

    @field_validator("high")
    @classmethod
    def _not_below_low(cls, high: float, info: ValidationInfo) -> float:
        low = info.data.get("low", high)
        if low > high:
            raise ValueError(f"{high:g} is below low, {low:g}")
        return high


class Prompt(_Part):
    """Everything a classifier is told: role, task, categories, rules, scores and examples.

    `fallback` is the category for weak evidence; `unclassifiable` the one for unintelligible items, the only one that
    is scored -1. `text` holds the instructions of a free-text prompt, which then stand in for role and task.
    """

    name: Line
    role: Text = ""
    task: Text = ""
    categories: Annotated[list[Category], BeforeValidator(_names_as_categories), Field(min_length=1)]
    rules: Annotated[list[Line], BeforeValidator(_null_as_none)] = []
    """In order of precedence."""
    score_ranges: Annotated[list[ScoreRange], BeforeValidator(_null_as_none)] = []
    examples: Annotated[list[Example], BeforeValidator(_null_as_none)] = []
    fallback: Line = FALLBACK
    unclassifiable: Line = UNCLASSIFIABLE
    text: str | None = None

    @model_validator(mode="wrap")
    @classmethod
    def _gather_faults(cls, data: Any, handler: ModelWrapValidatorHandler[Prompt]) -> Prompt:
        """Report what is wrong with the names together with what is wrong with the fields."""
        details = [_detail(where, fault) for where, fault in _name_faults(data)] if isinstance(data, dict) else []
        try:
            prompt = handler(data)
        except ValidationError as error:
            own = [_detail(fault["loc"], fault["msg"], fault["type"], fault["input"]) for fault in error.errors()]
            raise ValidationError.from_exception_data(cls.__name__, own + details) from None
        if details:
            raise ValidationError.from_exception_data(cls.__name__, details)
        return prompt

    @property
    def category_names(self) -> list[str]:
        """The names that an answer may use, in the order of the prompt."""
        return [category.name for category in self.categories]

    @property
    def fingerprint(self) -> str:
        """The version of the content: 16 hex characters, whatever the file is called and however it is laid out."""
        content = self.model_dump(mode="json", exclude={"name": True, "examples": {"__all__": {"item_id"}}})
        canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode("ascii")).hexdigest()[:16]

    def render(self, reason: str = "always") -> str:
        """Write the complete instructions that a language model reads: the same prompt gives the same bytes.

        `reason` says when an answer gives one: always, short, low_confidence or never.
        """
        if reason not in self._rendered:
            self._rendered[reason] = rendering.render(self, reason)
        return self._rendered[reason]

    def to_yaml(self) -> str:
        """Write the prompt as a YAML file that reads well and loads to an equal prompt."""
        return rendering.to_yaml(self)

    def find_category(self, name: str) -> str | None:
        """Find the category that a name means: exactly, or but for case, accents and spaces; None otherwise.

        The fold is never ambiguous: categories that fold to the same text are refused when a prompt is built.
        """
        return self._found_by.get(name) or self._found_by.get(fold(name))

    @cached_property
    def _rendered(self) -> dict[str, str]:
        """When reasons are given → the instructions: every call wants them."""
        return {}

    @cached_property
    def _found_by(self) -> dict[str, str]:
        """Each category by its name and by its folded name."""
        return {fold(name): name for name in self.category_names} | {name: name for name in self.category_names}

    def with_examples(self, examples: Iterable[Example], rules: Iterable[str] | None = None) -> Prompt:
        """Give the same prompt with these examples (and rules) in the place of its own; raises PromptError."""
        data = {field: getattr(self, field) for field in type(self).model_fields}
        data |= {"examples": list(examples)} | ({} if rules is None else {"rules": list(rules)})
        return build(Prompt, data, f"prompt {self.name!r}", PromptError)


def _detail(where: Location, message: str, kind: str = "value_error", given: Any = None) -> InitErrorDetails:
    return InitErrorDetails(type=PydanticCustomError(kind, message), loc=where, input=given)


def _name_faults(data: dict[str, Any]) -> Iterator[tuple[Location, str]]:
    """Find names that are taken twice or that are not among the categories, in data that may have other faults too."""
    names = [_as_line(entry) or _value(entry, "name") for entry in _entries(data, "categories")]
    yield from _repeated(names)
    allowed = [name for name in names if name]
    if not allowed:
        return
    for position, entry in enumerate(_entries(data, "examples")):
        if fault := _off_list(_value(entry, "category"), allowed):
            yield ("examples", position, "category"), fault
    standing = {field: _as_line(data.get(field, name)) for field, name in _STANDING.items()}
    for field, name in standing.items():
        if fault := _off_list(name, allowed):
            yield (field,), fault
    if standing["unclassifiable"] and standing["unclassifiable"] == standing["fallback"]:
        yield ("unclassifiable",), "it is the fallback too, but only the unclassifiable category is scored -1"


def _entries(data: dict[str, Any], field: str) -> list[Any]:
    entries = data.get(field)
    return entries if isinstance(entries, list) else []


def _value(entry: Any, field: str) -> str:
    """Read a text of an entry that is a mapping or a model; empty where there is none."""
    return _as_line(entry.get(field) if isinstance(entry, dict) else getattr(entry, field, None))


def _as_line(value: Any) -> str:
    return _line(value) if isinstance(value, str) and value.strip() else ""


def _repeated(names: list[str]) -> Iterator[tuple[Location, str]]:
    known: dict[str, str] = {}
    for position, name in enumerate(names):
        if first := known.get(fold(name)):
            yield ("categories", position, "name"), f"{name!r} repeats the category {first!r}"
        elif name:
            known[fold(name)] = name


def _off_list(name: str, allowed: list[str]) -> str:
    if not name or name in allowed:
        return ""
    return f"{name!r} is not among the categories ({nearest(name, allowed).rstrip('.')})"


def load_prompt(path: str | Path) -> Prompt:
    """Read a prompt: YAML with the fields of `Prompt`, or free text (.txt, .md) whose categories stand in a list.

    Raises PromptError with every mistake of the file at once, each with its line.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in {".yaml", ".yml", ".json", ".txt", ".md"}:
        raise PromptError(f"{path} is not a prompt file.", hint="a prompt is a .yaml, .txt or .md file.")
    text = read_text(path, PromptError)
    if suffix in {".txt", ".md"}:
        return _from_free_text(text, path)
    data, lines = parse_yaml(text, str(path), PromptError)
    return build(Prompt, {"name": path.stem} | data, str(path), PromptError, lines)


def _from_free_text(text: str, path: Path) -> Prompt:
    """Take the text as it is, and its list as the categories; the two standing categories are added where missing."""
    found = find_categories(text)
    if not found:
        raise PromptError(
            f"{path}: no list of categories is recognised in the text.",
            hint="write one category per line, as `1. Viajes - transport, tolls` or `- Viajes: transport, tolls`.",
        )
    categories = [{"name": entry.name, "description": entry.description} for entry in found]
    lines: dict[Location, int] = {("categories", position, "name"): entry.line for position, entry in enumerate(found)}
    folded = {fold(entry.name): entry.name for entry in found}
    standing = {field: folded.get(fold(name), name) for field, name in _STANDING.items()}
    categories += [{"name": name} for name in standing.values() if fold(name) not in folded]
    data = {"name": path.stem, "categories": categories, "text": text, **standing}
    return build(Prompt, data, str(path), PromptError, lines)
