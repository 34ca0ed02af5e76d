"""Values as the database keeps them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any


def now() -> str:
    """The time as it is kept: ISO 8601, UTC, with microseconds, so that texts sort as times do."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


def storable(row: Mapping[str, Any]) -> dict[str, Any]:
    """Give a row of values that any database takes."""
    return {name: _storable_value(value) for name, value in row.items()}


def _storable_value(value: Any) -> Any:
    if isinstance(value, str):
        return _storable_text(value)
    return value.item() if hasattr(value, "item") else value  # numpy's numbers are unknown to databases


def _storable_text(text: str) -> str:
    r"""Replace what no database keeps: a NUL, and half of a surrogate pair (which a model may well answer).

    >>> _storable_text("caf\u00e9 \ud83d \x00")
    'café ? '
    """
    if text.isascii() and "\0" not in text:
        return str(text)
    return text.encode("utf-8", "replace").decode().replace("\0", "")
