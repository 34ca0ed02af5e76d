"""What one classification works with, a call under way, and what came back."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from workbench.llm.parsing import ParsedAnswer
from workbench.llm.providers import Usage
from workbench.llm.repair import Chunk

if TYPE_CHECKING:
    from workbench.llm.budget import Budget
    from workbench.llm.faults import CallFailed
    from workbench.llm.forecast import Forecast
    from workbench.llm.hedging import Hedge
    from workbench.llm.pacing import Breaker, Pace
    from workbench.llm.sheet import Sheet
    from workbench.llm.waiting import ChunkSize, Waiting


@dataclass(frozen=True, slots=True, eq=False)
class Flight:
    """A chunk under way."""

    chunk: Chunk
    forecast: Usage
    started_at: float


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer, taken apart."""

    parsed: ParsedAnswer
    usage: Usage
    truncated: bool
    text: str = ""
    """The answer as it came."""
    finish: str = ""
    """Why it ended, in the words of the service."""


@dataclass(slots=True)
class Desk:
    """What one classification works with."""

    sheet: Sheet
    waiting: Waiting
    size: ChunkSize
    pace: Pace
    breaker: Breaker
    forecast: Forecast
    budget: Budget
    hedge: Hedge
    returned: deque[tuple[Flight, Reply | CallFailed]] = field(default_factory=deque)
    """Calls that have come back and wait to be dealt with."""
