"""Calls that take far longer than the others are made a second time, and the first answer counts.

After J. Dean and L. A. Barroso, "The Tail at Scale", Communications of the ACM 56 (2), 2013: a second request after the
95th percentile of the latency cuts the tail for a few per cent more requests. Here it is the 94th percentile of the
latest calls and a fifth on top, so that an even latency is not hedged at all, and never more than a tenth of all calls.
"""

from __future__ import annotations

import time
from collections import deque

from workbench.llm.desk import Flight

_PERCENTILE, _MARGIN = 0.94, 1.2
_FEWEST_SEEN = 16
"""Good calls after which their latency says something."""
_REMEMBERED = 200
_LARGEST_SHARE = 0.1
"""Of all calls may be second ones: when the whole service slows down, asking twice makes it worse."""


class Hedge:
    """Knows which calls are under way, which of them are overdue, and which are two of a kind."""

    def __init__(self, wanted: bool) -> None:
        """Hedge nothing if it is not wanted."""
        self._wanted = wanted
        self._seen: deque[float] = deque(maxlen=_REMEMBERED)
        self._single: dict[Flight, None] = {}
        """Calls under way that were not asked twice, the oldest first."""
        self._rivals: dict[Flight, Flight] = {}
        self._started = 0
        self.calls = 0
        """Second calls that were made."""

    def started(self, flight: Flight, twin: Flight | None) -> None:
        """Note a call that starts, perhaps as the second one for what another asks."""
        if not self._wanted:
            return
        self._started += 1
        if twin is None:
            self._single[flight] = None
        else:
            self.calls += 1
            self.leave(twin)
            self._rivals |= {flight: twin, twin: flight}

    def leave(self, flight: Flight) -> None:
        """Do not ask for this one a second time."""
        self._single.pop(flight, None)

    def returned(self, flight: Flight, is_good: bool) -> Flight | None:
        """Note a call that has come back; gives the other one for the same chunk, if that is still under way."""
        self.leave(flight)
        if self._wanted and is_good:
            self._seen.append(time.monotonic() - flight.started_at)
        rival = self._rivals.pop(flight, None)
        if rival is not None:
            del self._rivals[rival]
        return rival

    def overdue(self) -> Flight | None:
        """Give the oldest call that should be made a second time now."""
        return next(iter(self._single), None) if self.seconds_until_overdue() == 0.0 else None

    def seconds_until_overdue(self) -> float | None:
        """Give the seconds until a call should be made a second time; None if there is none."""
        oldest = next(iter(self._single), None)
        is_early = len(self._seen) < _FEWEST_SEEN or self.calls + 1 > _LARGEST_SHARE * self._started
        if oldest is None or is_early:
            return None
        patience = _MARGIN * sorted(self._seen)[int(_PERCENTILE * len(self._seen))]
        return max(0.0, oldest.started_at + patience - time.monotonic())
