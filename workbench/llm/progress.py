"""How far a classification is, for whoever looks on."""

from __future__ import annotations

from dataclasses import dataclass

from workbench.llm.providers import Usage
from workbench.values import amount_text


@dataclass(frozen=True, slots=True)
class CallReport:
    """How one call went."""

    items: int
    tokens: int
    """In and out."""
    seconds: float
    """From its start until its answer was taken apart."""
    good: bool
    """No item's answer was missing or invalid."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a classification is."""

    done: int
    """Items that have their prediction."""
    total: int
    """Items that get one: all but the pending ones."""
    rate: float
    """Items that the provider answers in a second."""
    seconds_left: float | None
    """Null as long as nothing was answered."""
    usage: Usage
    failed: int
    cached: int
    retried: int = 0
    """Items that were asked for again."""
    cost_usd: float | None = None
    """Null where the model's price is unknown."""
    last_call: CallReport | None = None
    """Null for what the cache answered."""
    more: bool = False
    """Other calls came back at the same time and are told of next: what takes long can wait for the last of them."""
    note: str = ""
    """What is waited for, where it is not calls, or what was wrong with the latest call."""
    title: str = ""
    """What these items are asked for, where it is not their first answer."""

    def __str__(self) -> str:
        """Give one line to show.

        >>> print(Progress(done=1200, total=5000, rate=95.2, seconds_left=39.9, usage=Usage(), failed=2, cached=0))
        1,200 of 5,000 items, 95.2 items/s, 40 s left, 2 failed
        """
        parts = [f"{self.done:,} of {self.total:,} items"]
        parts += [f"{self.rate:,.1f} items/s"] if self.rate else []
        parts += [f"{self.seconds_left:,.0f} s left"] if self.seconds_left else []
        tokens = self.usage.input_tokens + self.usage.output_tokens
        parts += [f"{tokens:,} tokens"] if tokens else []
        parts += [f"{amount_text(self.cost_usd)} USD"] if self.cost_usd else []
        parts += [
            f"{count:,} {word}"
            for count, word in (
                (self.cached, "from the cache"),
                (self.retried, "asked again"),
                (self.failed, "failed"),
            )
            if count
        ]
        said = "; ".join(filter(None, [", ".join(parts), self.note]))
        return f"{self.title}: {said}" if self.title else said
