"""When the next call may start: the window of calls in flight, pauses, calls and tokens per minute, and the breaker.

The window grows and shrinks as TCP's does (additive increase, multiplicative decrease; Chiu and Jain, 1989): a 429
takes it down by 30 %, at most once per generation of calls; each window full of good answers takes it up by one.
Near the size at which the last 429 came it grows ten times more slowly.
"""

from __future__ import annotations

import time

from workbench.errors import ProviderError
from workbench.llm.faults import CallFailed, Unreachable
from workbench.llm.limits import Limits
from workbench.llm.providers import Usage
from workbench.llm.repair import Chunk, backoff

_DECREASE = 0.7
_BURST_SECONDS = 6.0
"""What was not used of a limit per minute is kept for so long."""


_MOST_PUT_OFF = 40
"""Windows of calls, one after the other, that the service may put off: without its own wish, some 15 minutes."""


class Pace:
    """Lets calls start. All methods belong to the thread that classifies."""

    def __init__(self, limits: Limits) -> None:
        """Start with the full window."""
        self._limits = limits
        self._window = float(limits.concurrency)
        self._ceiling = float("inf")
        self._paused_until = 0.0
        self._shrunk_at = 0.0
        self._in_a_row = 0
        """Calls that were put off or broke down since the last good one."""
        self._generations = 0
        """Generations of calls that were put off since the last good one."""
        self._calls = _Bucket(limits.requests_per_minute)
        self._tokens = _Bucket(limits.tokens_per_minute)
        self.pauses = 0
        """How often everybody had to wait because the service asked for it."""

    @property
    def window(self) -> int:
        """Calls that may be in flight now."""
        return max(1, int(self._window))

    def wait(self, in_flight: int) -> float | None:
        """Give the seconds until a call may start, 0 = now; None = when one has come back."""
        if in_flight >= self.window:
            return None
        return max(0.0, self._paused_until - time.monotonic(), self._calls.wait(), self._tokens.wait())

    def started(self, forecast: Usage) -> None:
        """Note that a call starts, with the tokens that it will probably cost."""
        self._calls.take(1)
        self._tokens.take(forecast.input_tokens + forecast.output_tokens)

    def succeeded(self, forecast: Usage, actual: Usage) -> None:
        """Note a good call, with what it has cost."""
        self._in_a_row = self._generations = 0
        expected, spent = (usage.input_tokens + usage.output_tokens for usage in (forecast, actual))
        self._tokens.take(spent - expected)
        step = 1.0 if self._window + 1 < self._ceiling else 0.1
        self._window = min(float(self._limits.concurrency), self._window + step / self._window)

    def rate_limited(self, started_at: float, wait: float | None) -> None:
        """Note a 429 of a call that was started then: everybody waits, and fewer calls fly.

        Raises ProviderError if there has been nothing else for a long while.
        """
        now = time.monotonic()
        self._in_a_row += 1
        if self._in_a_row > _MOST_PUT_OFF * self.window:
            raise ProviderError(
                f"the service has put off {self._in_a_row - 1} calls in a row.",
                hint="its limit is used up: go on later with --resume; what was answered is kept.",
            )
        if started_at >= self._shrunk_at:
            self._ceiling = self._window
            self._window = max(1.0, self._window * _DECREASE)
            self._shrunk_at = now
            self._generations += 1
            self.pauses += 1
        elif wait is None:
            return  # of a generation that was already answered by a pause
        scale = self._limits.backoff_seconds
        own = backoff(self._generations, scale / 10, scale)
        pause = own if wait is None else wait + backoff(1, wait / 20)
        self._paused_until = max(self._paused_until, now + pause)

    def broke_down(self) -> None:
        """Note a breakdown: if a window full of calls broke down in a row, everybody waits."""
        self._in_a_row += 1
        if self._in_a_row >= self.window:
            scale = self._limits.backoff_seconds
            pause = backoff(self._in_a_row // self.window, scale, scale)
            self._paused_until = max(self._paused_until, time.monotonic() + pause)


class _Bucket:
    """Lets `per_minute` units pass in a minute, evenly; 0 = any number."""

    def __init__(self, per_minute: int) -> None:
        self._rate = per_minute / 60
        self._most = max(1.0, self._rate * _BURST_SECONDS)
        self._level = self._most
        self._at = time.monotonic()

    def wait(self) -> float:
        """Give the seconds until the bucket is not empty."""
        if not self._rate:
            return 0.0
        now = time.monotonic()
        self._level = min(self._most, self._level + (now - self._at) * self._rate)
        self._at = now
        return 0.0 if self._level >= min(1.0, self._most) else (1.0 - self._level) / self._rate

    def take(self, units: float) -> None:
        """Take units out, also more than there are: then the next one waits longer."""
        self._level -= units if self._rate else 0


class Breaker:
    """Stops a classification whose chunks fail one after the other, so that nobody pays for nothing."""

    def __init__(self, stop_after: int) -> None:
        """Stop after so many in a row; 0 = never."""
        self._stop_after = stop_after
        self._in_a_row = 0
        self.good_calls = 0
        """Calls with a good answer."""

    def good(self) -> None:
        """Note a call that brought a good answer."""
        self.good_calls += 1
        self._in_a_row = 0

    def failed(self, chunk: Chunk, why: CallFailed | str) -> None:
        """Note a chunk that failed as a whole; raises ProviderError if it is one too many.

        Once there was a good answer, halved chunks do not count: that one of them fails is what halving is for.
        Before, single items that halving has left do not: they may be all that there is, and all of them bad.
        """
        if chunk.level and (self.good_calls or len(chunk) == 1):
            return
        self._in_a_row += 1
        is_nowhere = isinstance(why, Unreachable) and not self.good_calls
        if self._stop_after and (is_nowhere or self._in_a_row >= self._stop_after):
            which = "last" if self.good_calls else "first"
            said = why.message if isinstance(why, CallFailed) else f"{why}."
            chunks = "chunk" if self._in_a_row == 1 else f"{self._in_a_row} chunks"
            raise ProviderError(
                f"the {which} {chunks} brought no good answer: {said}",
                hint=getattr(why, "hint", None) or "what was answered is kept; go on with --resume.",
            )
