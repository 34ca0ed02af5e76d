"""How much is asked at once, how often, and of how many items."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from numbers import Integral, Real
from typing import Any

from workbench.errors import ParameterError, nearest
from workbench.llm.rendering import REASONS

BATCH = "batch"
_CHOICES: dict[str, tuple[str, ...]] = {"reason": tuple(REASONS), "mode": ("live", BATCH)}
_LEAST = {
    "chunk_size": 1,
    "concurrency": 1,
    "max_retries": 0,
    "sample_size": 0,
    "requests_per_minute": 0,
    "tokens_per_minute": 0,
    "stop_after": 0,
    "backoff_seconds": 0.0,
    "budget_usd": 0.0,
    "second_pass_below": 0.0,
    "audit_sample": 0,
}


@dataclass(frozen=True, slots=True)
class Limits:
    """How a classification is carried out; raises ParameterError for values that make no sense."""

    chunk_size: int = 50
    """Items per call; fewer where answers are cut off, too long or full of faults."""
    concurrency: int = 3
    """Calls in flight; fewer where the service says that it gets too many."""
    max_retries: int = 3
    """How often an item is asked for again whose answer was missing or invalid, before it has failed; 0 = never."""
    sample_size: int = 0
    """Ask only this many items, drawn at random; 0 = all."""
    seed: int = 7
    """Fixes the draw and the make-up of the chunks."""
    requests_per_minute: int = 0
    """Calls that are started in a minute; 0 = any number."""
    tokens_per_minute: int = 0
    """Tokens, in and out, of the calls that are started in a minute; 0 = any number."""
    stop_after: int = 5
    """So many chunks in a row without one good answer among them stop the classification; 0 = never."""
    reason: str = "always"
    """When an answer gives its reason: always (a sentence), short (a few words), low_confidence or never."""
    budget_usd: float = 0.0
    """What the classification may cost, in US dollars; then it stops and leaves the rest pending; 0 = any amount."""
    mode: str = "live"
    """live: call by call; batch: by the Batch API of the provider, at half price, within a day."""
    backoff_seconds: float = 1.0
    """The longest wait after a first breakdown; it doubles with every further one."""

    hedge: bool = False
    """Make a call that is far slower than the others a second time; the first answer counts, both are paid for."""
    second_pass_below: float = 0.0
    """Items with a lower score get up to two more answers in other chunks, and the majority decides; 0 = none."""
    audit_sample: int = 0
    """So many items, drawn at random, are asked again in other chunks, to see how often the answer changes."""

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
    if choices := _CHOICES.get(name):
        return "" if value in choices else f"{name} is {value!r}, but should be one of {', '.join(choices)}"
    if name == "hedge":
        return "" if isinstance(value, bool) else f"hedge is {value!r}, but should be true or false"
    least = _LEAST.get(name)
    kind, word = (Real, "number") if isinstance(least, float) else (Integral, "whole number")
    is_number = isinstance(value, kind) and not isinstance(value, bool)
    if is_number and (least is None or value >= least):
        return ""
    return f"{name} is {value!r}, but should be a {word}" + (f" of at least {least:g}" if least is not None else "")


DEFAULT_LIMITS = Limits()
