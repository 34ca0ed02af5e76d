"""Classify items: the story of every classification, from a frame of items to a frame of predictions.

1. Items with the same clean fields are one question. Items without text are none.
2. Questions that the cache answers are done.
3. The others go out in chunks, several calls at a time. Good answers are kept as they arrive; only the questions that
   an answer left out or got wrong are asked again, in a smaller chunk, until their attempts are used up.
4. Every item gets exactly one prediction, in the order of the items: answered, failed with the reason, or pending.

Threads do nothing but call the provider and take its answers apart. Everything else (cache, progress, bookkeeping)
happens in the thread that classifies, so a cache or a progress bar need not know of threads, and a running event loop
does not matter.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from workbench.errors import ProviderError, WorkbenchError
from workbench.llm.cache import Answer, AnswerCache
from workbench.llm.chunks import cut, number
from workbench.llm.dispatcher import Dispatcher
from workbench.llm.limits import DEFAULT_LIMITS, Limits
from workbench.llm.parsing import GoodAnswer, ParsedAnswer, parse_answer
from workbench.llm.prompt import Prompt
from workbench.llm.providers import Provider, Request, Usage
from workbench.llm.sheet import Question, Sheet
from workbench.records import AMBIGUOUS_SCORE, Status


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

    def __str__(self) -> str:
        """Give one line to show.

        >>> print(Progress(done=1200, total=5000, rate=95.2, seconds_left=39.9, usage=Usage(), failed=2, cached=0))
        1,200 of 5,000 items, 95.2 items/s, 40 s left, 2 failed
        """
        parts = [f"{self.done:,} of {self.total:,} items"]
        parts += [f"{self.rate:,.1f} items/s"] if self.rate else []
        parts += [f"{self.seconds_left:,.0f} s left"] if self.seconds_left else []
        parts += [
            f"{count:,} {word}" for count, word in ((self.cached, "from the cache"), (self.failed, "failed")) if count
        ]
        return ", ".join(parts)


OnProgress = Callable[[Progress], None]


@dataclass(frozen=True, slots=True)
class _Chunk:
    """Questions of one call."""

    questions: tuple[Question, ...]
    attempt: int = 1


@dataclass(frozen=True, slots=True)
class _Reply:
    parsed: ParsedAnswer
    usage: Usage


def classify(
    items: pd.DataFrame,
    prompt: Prompt,
    provider: Provider,
    *,
    limits: Limits = DEFAULT_LIMITS,
    cache: AnswerCache | None = None,
    on_progress: OnProgress | None = None,
    **changes: Any,
) -> pd.DataFrame:
    """Give every item a category, a reason and a score.

    `items` has `item_id` and `clean*` columns; all clean fields that are not empty go to the provider. `changes` are
    single limits: `chunk_size=`, `concurrency=`, `max_retries=`, `sample_size=`, `seed=`. The result has the columns
    of `records.Prediction`, one row per item, in the order of the items.

    Raises ColumnNotFound and UsageError for items that cannot be classified, ParameterError for wrong limits and
    ProviderError if the provider cannot answer at all; what was answered until then is in the cache.
    """
    return Classifier(prompt, provider, limits.changed(**changes), cache).classify(items, on_progress)


class Classifier:
    """A prompt, a provider and limits, and what the latest classification with them has cost."""

    def __init__(
        self, prompt: Prompt, provider: Provider, limits: Limits = DEFAULT_LIMITS, cache: AnswerCache | None = None
    ) -> None:
        """Prepare; nothing is asked yet."""
        self.prompt = prompt
        self.provider = provider
        self.limits = limits
        self.cache = cache
        self._start(None)

    def _start(self, on_progress: OnProgress | None) -> None:
        self._on_progress = on_progress
        self._started = time.monotonic()
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

    def classify(self, items: pd.DataFrame, on_progress: OnProgress | None = None) -> pd.DataFrame:
        """Give every item a prediction; see `classify` above.

        `on_progress` is called from the calling thread after each chunk, and once for what the cache answered.
        """
        self._start(on_progress)
        try:
            sheet = Sheet(items, self.prompt)
            questions = sheet.questions(self.limits, self.provider.fingerprint)
            self._ask(sheet, self._without_cached(sheet, questions))
            return sheet.frame()
        finally:
            self.seconds = time.monotonic() - self._started

    def processing(self) -> dict[str, Any]:
        """Give what the latest classification has cost, as plain data: seconds, items per second, calls, tokens."""
        items = self.cached + self.answered + self.failed
        return {
            "provider": self.provider.name,
            "model": self.provider.model,
            "seconds": round(self.seconds, 3),
            "items_per_second": round(items / self.seconds, 1) if self.seconds else None,
            "calls": self.usage.calls,
            "tokens": self.usage.input_tokens + self.usage.output_tokens,
            "input_tokens": self.usage.input_tokens,
            "cached_tokens": self.usage.cached_tokens,
            "output_tokens": self.usage.output_tokens,
            "cached": self.cached,
            "retried": self.retried,
            "failed": self.failed,
            "unknown": self.unknown,
        }

    def _without_cached(self, sheet: Sheet, questions: Sequence[Question]) -> list[Question]:
        """Answer what the cache knows, and give the rest."""
        kept = self.cache.get([question.key for question in questions]) if self.cache is not None else {}
        good = {key: answer for key, answer in kept.items() if answer.status != Status.FAILED}
        for question in questions:
            if answer := good.get(question.key):
                sheet.answer(
                    question, GoodAnswer(answer.category, answer.reason, answer.score), answer.status, answer.attempts
                )
                self.cached += len(question.positions)
        if sheet.done:
            self._report(sheet)
        return [question for question in questions if question.key not in good]

    def _ask(self, sheet: Sheet, questions: Sequence[Question]) -> None:
        """Keep the window full until every question is answered or has failed."""
        waiting = deque(_Chunk(chunk) for chunk in cut(questions, self.limits.chunk_size))
        with Dispatcher(self._call, self.limits.concurrency) as dispatcher:
            try:
                while waiting or dispatcher.in_flight:
                    while waiting and dispatcher.has_room:
                        dispatcher.submit(waiting.popleft())
                    chunk, reply = dispatcher.next()
                    waiting.extend(self._take(sheet, chunk, reply))
                    self._report(sheet)
            except BaseException:
                for chunk, reply in dispatcher.arrived():  # paid for: it must not be lost
                    self._keep(sheet, chunk, reply)
                raise

    def _call(self, chunk: _Chunk) -> _Reply:
        """Ask the provider and take its answer apart; this runs in a thread."""
        items = number([question.fields for question in chunk.questions])
        try:
            response = self.provider.complete(Request(self.prompt, items))
        except WorkbenchError:
            raise
        except Exception as error:
            name = f"{type(error).__name__}: {error}"
            raise ProviderError(f"the provider {self.provider.name!r} broke down: {name}") from error
        numbers = range(1, len(items) + 1)
        parsed = parse_answer(response.text, self.prompt, numbers, truncated=response.truncated)
        return _Reply(parsed, response.usage)

    def _take(self, sheet: Sheet, chunk: _Chunk, reply: _Reply) -> list[_Chunk]:
        """Keep the good answers; give what must be asked again."""
        self._keep(sheet, chunk, reply)
        faulty = {chunk.questions[item - 1]: fault for item, fault in sorted(reply.parsed.faults.items())}
        if not faulty:
            return []
        if chunk.attempt <= self.limits.max_retries:
            self.retried += sum(len(question.positions) for question in faulty) if chunk.attempt == 1 else 0
            return [_Chunk(tuple(faulty), chunk.attempt + 1)]
        for question, fault in faulty.items():
            self._fail(sheet, question, fault, chunk.attempt)
        return []

    def _keep(self, sheet: Sheet, chunk: _Chunk, reply: _Reply) -> None:
        """Put good answers into the cache first, then on the sheet."""
        self.usage += reply.usage
        self.unknown += reply.parsed.unknown
        status = Status.OK if chunk.attempt == 1 else Status.REPAIRED
        good = [(chunk.questions[item - 1], answer) for item, answer in sorted(reply.parsed.good.items())]
        if self.cache is not None and good:
            self.cache.put([Answer(question.key, *answer, status, chunk.attempt) for question, answer in good])
        for question, answer in good:
            sheet.answer(question, answer, status, chunk.attempt)
            self.answered += len(question.positions)

    def _fail(self, sheet: Sheet, question: Question, fault: str, attempts: int) -> None:
        reason = f"no valid answer in {attempts} {'attempt' if attempts == 1 else 'attempts'}: {fault}"
        answer = GoodAnswer(self.prompt.unclassifiable, reason, AMBIGUOUS_SCORE)
        sheet.answer(question, answer, Status.FAILED, attempts)
        self.failed += len(question.positions)

    def _report(self, sheet: Sheet) -> None:
        if self._on_progress is None:
            return
        asked = self.answered + self.failed
        rate = asked / max(time.monotonic() - self._started, 1e-9)
        left = (sheet.total - sheet.done) / rate if rate else None
        self._on_progress(Progress(sheet.done, sheet.total, rate, left, self.usage, self.failed, self.cached))
