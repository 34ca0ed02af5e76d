"""YAML documents that people edit: read with line numbers, so that every mistake can be shown where it stands."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from workbench.errors import UsageError, nearest
from workbench.settings import find_file

Model = TypeVar("Model", bound=BaseModel)
Location = tuple[str | int, ...]
Places = dict[Location, int | str]
"""Where each field stands: its line in the file, or where else it was said."""

_SUBJECT = re.compile("^(Value error, |(Input|String|List|Dictionary|Value) should )")

MOST_NODES = 500_000
"""Values that a document may unfold to: far more than people write, far less than a bomb of aliases."""


def read_text(path: Path, error: type[UsageError]) -> str:
    """Read a text file as UTF-8; raises `error` with a hint where that fails."""
    try:
        return find_file(path).read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise error(f"there is no file {path}.", hint=nearest_file(path)) from None
    except IsADirectoryError:
        names = sorted(other.name for other in find_file(path).glob("*.y*ml"))
        raise error(f"{path} is a folder, not a file.", hint=f"in {path}: {nearest('', names)}") from None
    except UnicodeDecodeError:
        raise error(f"{path} is not a UTF-8 text file.", hint="a YAML or text file is wanted here.") from None
    except OSError as fault:
        raise error(f"cannot read {path}: {fault.strerror}.") from None


def nearest_file(path: Path) -> str:
    """Word a hint that names the files of that kind which are there, where one is missing."""
    names = sorted(other.name for other in path.parent.glob(f"*{path.suffix}")) if path.parent.is_dir() else []
    return f"in {path.parent}: {nearest(path.name, names)}"


def parse_yaml(text: str, name: str, error: type[UsageError]) -> tuple[dict[str, Any], Places]:
    """Parse a YAML mapping; gives the data and the line (from 1) of every field in it."""
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        if _count_nodes(node, {}) > MOST_NODES:
            raise error(f"{name} unfolds to more than {MOST_NODES:,} values.", hint="use fewer aliases (*name).")
        lines: Places = {}
        _note_lines(node, (), lines, name, error)  # first: what is constructed unfolds its merge keys
        data = loader.construct_document(node) if node else None
    except yaml.MarkedYAMLError as fault:
        line = fault.problem_mark.line + 1 if fault.problem_mark else 1
        raise error(
            f"{name}, line {line}: this is not valid YAML: {fault.problem}.",
            hint="look at the indentation, colons and quotes around that line.",
        ) from None
    except RecursionError:
        raise error(f"{name} is nested too deeply.") from None
    except (yaml.YAMLError, ValueError) as fault:
        raise error(f"{name} is not valid YAML: {str(fault).splitlines()[0]}.") from None
    if not isinstance(data, dict):
        raise error(f"{name} holds no fields.", hint="it needs lines like `name: value`.")
    return data, lines


def _count_nodes(node: yaml.Node | None, known: dict[int, int]) -> int:
    """Count what a document unfolds to where its aliases are followed; each node is looked at once."""
    if id(node) not in known:
        known[id(node)] = MOST_NODES + 1  # what holds an alias of itself never ends
        inner = [part for pair in node.value for part in pair] if isinstance(node, yaml.MappingNode) else []
        inner = node.value if isinstance(node, yaml.SequenceNode) else inner
        known[id(node)] = 1 + sum(_count_nodes(part, known) for part in inner)
    return known[id(node)]


def _note_lines(node: yaml.Node | None, where: Location, lines: Places, name: str, error: type[UsageError]) -> None:
    parts: list[tuple[Any, yaml.Node, int]] = []
    if isinstance(node, yaml.MappingNode):
        parts = [(str(key.value), value, key.start_mark.line + 1) for key, value in node.value]
    elif isinstance(node, yaml.SequenceNode):
        parts = [(position, value, value.start_mark.line + 1) for position, value in enumerate(node.value)]
    for key, value, line in parts:
        if (*where, key) in lines:
            first = lines[(*where, key)]
            raise error(
                f"{name}, line {line}: {key!r} stands here a second time.", hint=f"the first is in line {first}."
            )
        lines[(*where, key)] = line
        _note_lines(value, (*where, key), lines, name, error)


def build(
    model: type[Model],
    data: dict[str, Any],
    name: str,
    error: type[UsageError],
    lines: Mapping[Location, int | str] | None = None,
) -> Model:
    """Build a model from parsed data; raises `error` that names every wrong field at once, with its line."""
    try:
        return model.model_validate(data)
    except ValidationError as fault:
        faults = [_describe(model, detail, lines or {}) for detail in fault.errors()]
    in_file = [f"line {place}: {text}" if place else text for place, text, _ in faults if not isinstance(place, str)]
    elsewhere = [f"{place}: {text}" for place, text, _ in faults if isinstance(place, str)]
    messages = [f"{name}: {'; '.join(in_file)}"] * bool(in_file) + elsewhere
    hints = list(dict.fromkeys(hint for _, _, hint in faults if hint))
    raise error(f"{'; '.join(messages)}.", hint=" ".join(hints) or None)


def place_of(where: Location, places: Mapping[Location, int | str]) -> int | str | None:
    """Find where a field stands, or the innermost field around it that stands anywhere."""
    return next((places[where[:end]] for end in range(len(where), 0, -1) if where[:end] in places), None)


def _describe(
    model: type[BaseModel], detail: ErrorDetails, lines: Mapping[Location, int | str]
) -> tuple[int | str | None, str, str]:
    where = tuple(part for part in detail["loc"] if not (isinstance(part, str) and "[" in part))
    at, field = place_of(where, lines), ".".join(str(part) for part in where)
    if detail["type"] == "extra_forbidden":
        owner = _model_at(model, where[:-1])
        return at, f"unknown field {field!r}", nearest(str(where[-1]), _names(owner) if owner else ())
    if detail["type"] == "missing":
        return at, f"field {field!r} is missing", ""
    if detail["type"] == "too_short":
        return at, f"{field} has no entries, but needs at least one", ""
    message = _SUBJECT.sub("", detail["msg"]).rstrip(".")
    if detail["type"] in ("model_type", "model_attributes_type", "dict_type"):
        message = "be a mapping (name: value)"
    if detail["type"] == "value_error":
        return at, f"{field}: {message}" if field else message, ""
    given = repr(detail["input"])
    return at, f"{field} is {given if len(given) < 60 else given[:57] + '...'}, but should {message}", ""


def _names(model: type[BaseModel]) -> list[str]:
    """Name the fields of a model as they stand in a file."""
    return [field.alias or name for name, field in model.model_fields.items()]


def _model_at(model: type[BaseModel], where: Location) -> type[BaseModel] | None:
    """Find the model that owns a location, through lists and optional fields."""
    for part in where:
        if isinstance(part, int):
            continue
        field = dict(zip(_names(model), model.model_fields.values(), strict=True)).get(str(part))
        inner = _inner_model(field.annotation) if field else None
        if inner is None:
            return None
        model = inner
    return model


def _inner_model(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _inner_model(part))), None)
