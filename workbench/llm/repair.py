"""What becomes of a chunk: which of its items are asked again, in which company, and which have failed.

- From a partly good answer only the other items are asked again, pooled with those of other chunks.
- Where a whole call brought nothing, it is halved, until the item that spoils it stands alone.
- A breakdown is tried again after a while. If other calls succeed meanwhile, the chunk itself is suspected sooner, and
  of its halves the one that breaks down in the same way is halved at once.
- An item has failed when it stood alone and its attempts are used up, or when asking the same again cannot help.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from workbench.llm.faults import CallFailed, RateLimited, Rejected, Transient
from workbench.llm.sheet import Question
from workbench.records import Status

_SUSPECT_AFTER = 2
"""Breakdowns of a chunk, while others succeed, after which it is halved."""
_OUTAGE_PATIENCE = 4
"""Further tries where nothing succeeds, but something did before: the service is down, not the chunk at fault."""
_LONGEST_WAIT = 30.0


@dataclass(frozen=True, slots=True, eq=False)
class Chunk:
    """Questions of one call, and what they have been through together."""

    questions: tuple[Question, ...]
    attempts: int = 0
    """Calls that they were in, without those that were only put off."""
    tries: int = 0
    """Breakdowns of just these questions in one call."""
    level: int = 0
    """How often it was halved; 0 = never."""
    answers_before: int = 0
    """Good calls, of all chunks, before the first breakdown of this one, or of the one that it is a part of."""
    breakdown: type[CallFailed] | None = None
    """What the latest breakdown was, also of the chunk that it is a part of."""

    def __len__(self) -> int:
        """Count the questions."""
        return len(self.questions)

    @property
    def status(self) -> Status:
        """What a good answer is now: repaired if it was asked for before."""
        return Status.REPAIRED if self.attempts else Status.OK


@dataclass(slots=True)
class Decision:
    """What becomes of a chunk whose call has come back."""

    again: list[Chunk] = field(default_factory=list)
    """To be asked again as they are."""
    wait: float = 0.0
    """Seconds to wait before."""
    pooled: list[Question] = field(default_factory=list)
    """To be asked again together with others that had as many attempts."""
    failed: list[tuple[Question, str]] = field(default_factory=list)
    """Questions and why they have failed."""


def after_answer(chunk: Chunk, faults: Mapping[int, str], max_retries: int) -> Decision:
    """Decide after an answer; `faults` are numbers of items, from 1, and what is wrong with their answers."""
    faulty = {chunk.questions[item - 1]: fault for item, fault in sorted(faults.items())}
    attempts = chunk.attempts + 1
    if attempts > max_retries and (len(chunk) == 1 or max_retries == 0):
        return Decision(failed=list(faulty.items()))
    if len(faulty) < len(chunk) and attempts <= max_retries:
        return Decision(pooled=list(faulty))
    rest = replace(chunk, questions=tuple(faulty), attempts=attempts, tries=0)
    return Decision(again=halves(rest) if faulty else [])


def after_failure(chunk: Chunk, error: CallFailed, max_retries: int, good_calls: int) -> Decision:
    """Decide after a call that failed; `good_calls` counts those of all chunks that have succeeded so far."""
    if isinstance(error, RateLimited):
        return Decision(again=[chunk])
    counted = replace(chunk, attempts=chunk.attempts + 1)
    if isinstance(error, Transient):
        is_first = chunk.breakdown is None
        counted = replace(
            counted, answers_before=good_calls if is_first else chunk.answers_before, breakdown=type(error)
        )
        is_known = chunk.level > 0 and chunk.breakdown is type(error) and good_calls > counted.answers_before
        patience = _known_patience(chunk, max_retries) if is_known else _patience(counted, max_retries, good_calls)
        if chunk.tries + 1 < patience:
            return Decision(again=[replace(counted, tries=chunk.tries + 1)])
    may_split = max_retries > 0 or not isinstance(error, Rejected | Transient)
    if len(chunk) == 1 or not may_split:
        return Decision(failed=[(question, error.message.rstrip(".")) for question in chunk.questions])
    return Decision(again=halves(replace(counted, tries=0)))


def _known_patience(chunk: Chunk, max_retries: int) -> int:
    """Give how many breakdowns a part is allowed of a chunk that broke down in the same way while others succeeded."""
    if len(chunk) > 1:
        return 1
    before_it_stood_alone = chunk.attempts - chunk.tries
    return max(_SUSPECT_AFTER, max_retries + 1 - before_it_stood_alone)


def _patience(chunk: Chunk, max_retries: int, good_calls: int) -> int:
    """Give how many breakdowns in all a chunk is allowed."""
    if chunk.level:
        return max_retries + 1 if len(chunk) == 1 else _SUSPECT_AFTER
    if good_calls == chunk.answers_before:
        return max_retries + 1 + (_OUTAGE_PATIENCE if good_calls and max_retries else 0)
    return max_retries + 1 if len(chunk) == 1 else min(_SUSPECT_AFTER, max_retries + 1)


def halves(chunk: Chunk) -> list[Chunk]:
    """Cut a chunk in two; a single question stays as it is."""
    if len(chunk) == 1:
        return [chunk]
    middle = (len(chunk) + 1) // 2
    parts: Sequence[tuple[Question, ...]] = (chunk.questions[:middle], chunk.questions[middle:])
    return [replace(chunk, questions=part, level=chunk.level + 1) for part in parts]


def backoff(failures: int, first: float, scale: float = 1.0) -> float:
    """Give the seconds to wait after so many breakdowns in a row: exponential, with full jitter, at most 30 x scale.

    `first` is the longest first wait. After M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.

    >>> 0 <= backoff(3, 1.0) <= 4
    True
    """
    return random.uniform(0, min(_LONGEST_WAIT * scale, first * 2 ** min(failures - 1, 20)))
