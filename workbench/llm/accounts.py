"""What a classification has cost and how its calls went: the counters, and what is told of them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from workbench.llm.budget import Budget
from workbench.llm.desk import Flight, Reply
from workbench.llm.faults import CallFailed
from workbench.llm.progress import CallReport, Progress
from workbench.llm.providers import Provider, Usage
from workbench.llm.repair import Chunk
from workbench.llm.sheet import Sheet

OnProgress = Callable[[Progress], None]


class Accounts:
    """The counters of the latest classification."""

    _on_progress: OnProgress | None
    _budget: Budget
    _started: float
    _note: str
    _title: str

    def _open_accounts(self) -> None:
        self.seconds = 0.0
        """Wall time of the latest classification, also of one that was stopped."""
        self.usage = Usage()
        """What the calls have cost, those with bad answers included."""
        self.cached = 0
        """Items that the cache answered."""
        self.answered = 0
        """Items that the provider answered."""
        self.retried = 0
        """Items that were asked for more than once."""
        self.failed = 0
        """Items without a valid answer after all attempts."""
        self.unknown = 0
        """Answers to items that were not asked for; they are ignored."""
        self.left = 0
        """Items that are pending because the budget is used up."""
        self.left_again = 0
        """Answered items for whose further pass the budget had no money."""
        self.put_off = 0
        """Calls that the service put off (429); they cost nothing and are made again."""
        self.broken = 0
        """Calls that broke down, were refused or were too long."""
        self.hedged = 0
        """Calls that were made a second time because the first was slow."""
        self.second_pass: dict[str, int] | None = None
        """Items `asked` again for their low score, and how many `changed`."""
        self.position_audit: dict[str, int] | None = None
        """Items `asked` again in other chunks, and how many answers `changed`."""

    def _add(self, other: Accounts) -> None:
        """Add what another pass over the same items has cost."""
        self.usage += other.usage
        self.unknown += other.unknown
        self.put_off += other.put_off
        self.broken += other.broken
        self.hedged += other.hedged
        self.left_again += other.left

    @property
    def cost_usd(self) -> float | None:
        """What the calls have cost; None where the model's price is unknown."""
        return self._budget.spent

    def _report(self, sheet: Sheet, last_call: CallReport | None = None, *, more: bool = False) -> None:
        if self._on_progress is None:
            return
        asked = self.answered + self.failed
        rate = asked / max(time.monotonic() - self._started, 1e-9)
        left = (sheet.total - sheet.done) / rate if rate else None
        self._on_progress(
            Progress(
                done=sheet.done,
                total=sheet.total,
                rate=rate,
                seconds_left=left,
                usage=self.usage,
                failed=self.failed,
                cached=self.cached,
                retried=self.retried,
                cost_usd=self.cost_usd,
                last_call=last_call,
                more=more,
                note=self._note,
                title=self._title,
            )
        )

    def _processing(self, provider: Provider) -> dict[str, Any]:
        """Give what the latest classification has cost, as plain data: seconds, items per second, calls, tokens."""
        items = self.cached + self.answered + self.failed
        return {
            "provider": provider.name,
            "model": provider.model,
            "seconds": round(self.seconds, 3),
            "items_per_second": round(items / self.seconds, 1) if self.seconds else None,
            "calls": self.usage.calls,
            "tokens": self.usage.input_tokens + self.usage.output_tokens,
            "input_tokens": self.usage.input_tokens,
            "cached_tokens": self.usage.cached_tokens,
            "output_tokens": self.usage.output_tokens,
            "cost_usd": self.cost_usd,
            "cached": self.cached,
            "retried": self.retried,
            "failed": self.failed,
            "unknown": self.unknown,
            "put_off": self.put_off,
            "broken": self.broken,
            "hedged": self.hedged,
            "second_pass": self.second_pass,
            "position_audit": self.position_audit,
        }


def report_of(flight: Flight, reply: Reply | CallFailed) -> CallReport:
    """Say what a call was like."""
    tokens, seconds = reply.usage.input_tokens + reply.usage.output_tokens, time.monotonic() - flight.started_at
    good = isinstance(reply, Reply) and not reply.parsed.faults
    return CallReport(len(flight.chunk), tokens, seconds, good)


def record_of(sheet: Sheet, chunk: Chunk, reply: Reply | CallFailed) -> dict[str, Any]:
    """Give all that is known of a call that came back, as plain data.

    `time` (ISO 8601, UTC), `items` (number in the call → ids of the items that asked it), `text` (the answer as it
    came; null where there is none), `finish` (why it ended, in the words of the service), `usage`, `fault` (of the
    whole call) and `faults` (number → what is wrong with its answer).
    """
    said: dict[str, Any] = {"text": None, "finish": None, "fault": None, "faults": {}}
    if isinstance(reply, CallFailed):
        said["fault"] = reply.message
    else:
        faults = {str(at): fault for at, fault in sorted(reply.parsed.faults.items())}
        said |= {"text": reply.text, "finish": reply.finish, "faults": faults}
    return {
        "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "items": {str(at): sheet.ids(question) for at, question in enumerate(chunk.questions, start=1)},
        **said,
        "usage": asdict(reply.usage),
    }
