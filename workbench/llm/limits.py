"""How much is asked at once, how often, and of how many items."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from numbers import Integral
from typing import Any

from workbench.errors import ParameterError, nearest

_LEAST = {"chunk_size": 1, "concurrency": 1, "max_retries": 0, "sample_size": 0}


@dataclass(frozen=True, slots=True)
class Limits:
    """How a classification is carried out; raises ParameterError for values that make no sense."""

    chunk_size: int = 50
    """Items per call."""
    concurrency: int = 3
    """Calls in flight."""
    max_retries: int = 3
    """How often an item is asked for again whose answer was missing or invalid."""
    sample_size: int = 0
    """Ask only this many items, drawn at random; 0 = all."""
    seed: int = 7
    """Fixes the draw and the make-up of the chunks."""

    def __post_init__(self) -> None:
        """Check every value."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        wrong = [fault for name, value in values.items() if (fault := _fault(name, value))]
        if wrong:
            raise ParameterError(f"{'; '.join(wrong)}.")

    def changed(self, **changes: Any) -> Limits:
        """Give the same limits with some values changed; raises ParameterError for one that does not exist."""
        names = [field.name for field in fields(self)]
        if unknown := [name for name in changes if name not in names]:
            raise ParameterError(f"there is no limit {', '.join(map(repr, unknown))}.", hint=nearest(unknown[0], names))
        return replace(self, **changes)


def _fault(name: str, value: Any) -> str:
    least = _LEAST.get(name)
    is_whole = isinstance(value, Integral) and not isinstance(value, bool)
    if is_whole and (least is None or value >= least):
        return ""
    return f"{name} is {value!r}, but should be a whole number" + (f" of at least {least}" if least is not None else "")


DEFAULT_LIMITS = Limits()
