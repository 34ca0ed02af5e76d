"""Classify items: the story of every classification, from a frame of items to a frame of predictions.

1. Items with the same clean fields are one question. Items without text are none.
2. Questions that the cache answers are done.
3. The others go out in chunks, several calls at a time (`pacing` says when, `waiting` which). Good answers are kept as
   they arrive; what is missing, wrong or broken is asked again, in smaller chunks, as `repair` decides.
4. Where it is wanted, items with low scores and a random sample are asked again in other chunks (`passes`).
5. Every item gets exactly one prediction, in the order of the items: answered, failed with the reason, or pending.

Threads do nothing but call the provider and take its answers apart. Everything else (cache, progress, bookkeeping)
happens in the thread that classifies, so a cache or a progress bar need not know of threads, and a running event loop
does not matter.
"""

from __future__ import annotations

import contextlib
import copy
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pandas as pd

from workbench.errors import ProviderError, WorkbenchError
from workbench.llm.accounts import Accounts, OnProgress, record_of, report_of
from workbench.llm.batch_memory import BatchMemory
from workbench.llm.budget import Budget
from workbench.llm.cache import Answer, AnswerCache
from workbench.llm.chunks import number
from workbench.llm.desk import Desk, Flight, Reply
from workbench.llm.dispatcher import Dispatcher
from workbench.llm.faults import CallFailed, RateLimited, TooLong, TooSlow, Transient
from workbench.llm.forecast import Forecast
from workbench.llm.hedging import Hedge
from workbench.llm.limits import BATCH, DEFAULT_LIMITS, Limits
from workbench.llm.pacing import Breaker, Pace
from workbench.llm.parsing import GoodAnswer, parse_answer
from workbench.llm.passes import reconsider
from workbench.llm.prompt import Prompt
from workbench.llm.providers import Provider, Request, Usage
from workbench.llm.repair import Chunk, Decision, after_answer, after_failure, backoff
from workbench.llm.sheet import Question, Sheet
from workbench.llm.waiting import ChunkSize, Waiting
from workbench.records import AMBIGUOUS_SCORE, Status

_PASSES = {2: "asked a second time", 3: "asked a third time"}
_LAST_WAIT = 5.0
"""Seconds to wait for the calls under way when one of them says that no other can succeed."""

OnCall = Callable[[dict[str, Any]], None]
_Calls = Dispatcher[Flight, Reply | CallFailed]


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
    single limits: `chunk_size=`, `concurrency=`, `max_retries=`, `sample_size=` and the others of `Limits`. The result
    has the columns of `records.Prediction`, one row per item, in the order of the items.

    Raises ColumnNotFound and UsageError for items that cannot be classified, ParameterError for wrong limits and
    ProviderError if the provider cannot answer at all; what was answered until then is in the cache.
    """
    return classifier_of(prompt, provider, limits.changed(**changes), cache).classify(items, on_progress)


def classifier_of(
    prompt: Prompt,
    provider: Provider,
    limits: Limits = DEFAULT_LIMITS,
    cache: AnswerCache | None = None,
    memory: BatchMemory | None = None,
) -> Classifier:
    """Make the classifier that `limits.mode` asks for; raises ParameterError for a provider that has no Batch API.

    `memory` is where batches are noted that are under way at the service.
    """
    if limits.mode != BATCH:
        return Classifier(prompt, provider, limits, cache)
    from workbench.llm.batch_mode import BatchClassifier

    return BatchClassifier(prompt, provider, limits, cache, memory)


class Classifier(Accounts):
    """A prompt, a provider and limits, and what the latest classification with them has cost."""

    on_call: OnCall | None = None
    """Is told of every call that came back, with the raw answer: see `accounts.record_of`."""
    log = logging.getLogger("workbench.llm")
    """Is told what went wrong without doing harm."""

    def __init__(
        self, prompt: Prompt, provider: Provider, limits: Limits = DEFAULT_LIMITS, cache: AnswerCache | None = None
    ) -> None:
        """Prepare; nothing is asked yet."""
        self.prompt = prompt
        self.provider = provider
        self.limits = limits
        self.cache = cache
        self._full_budget = Budget(limits.budget_usd, provider.model, limits.mode)
        self._start(None)

    def _start(self, on_progress: OnProgress | None) -> None:
        self._on_progress = on_progress
        self._budget = copy.copy(self._full_budget)
        self._started = time.monotonic()
        self._note = self._title = ""
        self._open_accounts()

    def classify(self, items: pd.DataFrame, on_progress: OnProgress | None = None) -> pd.DataFrame:
        """Give every item a prediction; see `classify` above.

        `on_progress` is called from the calling thread after each chunk, and once for what the cache answered.
        """
        self._start(on_progress)
        try:
            sheet = Sheet(items, self.prompt)
            questions = sheet.questions(self.limits, self.provider.fingerprint)
            self._ask(sheet, self._without_cached(sheet, questions))
            if self.left:
                return sheet.frame()
            outcome = reconsider(items, sheet.frame(), self.limits, self._pass)
            self.second_pass, self.position_audit = outcome.second_pass, outcome.position_audit
            return outcome.predictions
        finally:
            self.seconds = time.monotonic() - self._started

    def _pass(self, items: pd.DataFrame, number: int) -> pd.DataFrame | None:
        """Ask items once more, from the same budget; None where that does not suffice."""
        sheet, other = Sheet(items, self.prompt), copy.copy(self)
        other._start(self._on_progress)
        other._budget, other._title = self._budget, _PASSES[number]
        try:
            questions = sheet.questions(self.limits.changed(sample_size=0), self.provider.fingerprint, number)
            other._ask(sheet, other._without_cached(sheet, questions))
            return None if other.left else sheet.frame()
        finally:
            self._add(other)

    def processing(self) -> dict[str, Any]:
        """Give what the latest classification has cost, as plain data: seconds, items per second, calls, tokens."""
        return self._processing(self.provider)

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

    def _desk(self, sheet: Sheet, questions: Sequence[Question]) -> Desk:
        limits, size = self.limits, ChunkSize(self.limits.chunk_size)
        waiting, pace = Waiting(questions, size), Pace(limits)
        forecast = Forecast(self.prompt, limits.reason)
        breaker, hedge = Breaker(limits.stop_after), Hedge(limits.hedge)
        return Desk(sheet, waiting, size, pace, breaker, forecast, self._budget, hedge)

    def _ask(self, sheet: Sheet, questions: Sequence[Question]) -> None:
        """Keep the window full until every question is answered or has failed."""
        desk = self._desk(sheet, questions)
        with Dispatcher(self._call, self.limits.concurrency) as dispatcher:
            try:
                while desk.waiting or dispatcher.in_flight:
                    timeout = self._send(desk, dispatcher)
                    if not dispatcher.in_flight and not desk.waiting:
                        break  # there was no money for anything more
                    self._wait_for(desk, dispatcher, timeout)
                    self._take_all(desk)
            except BaseException as error:
                is_urgent = not isinstance(error, ProviderError)
                for returned in dispatcher.arrived(wait=0 if is_urgent else _LAST_WAIT):
                    if self._counts(desk, dispatcher, *returned):
                        desk.returned.append(returned)
                self._put(desk.returned)  # paid for: it must not be lost
                for flight, reply in desk.returned:
                    self._keep(desk, flight.chunk, reply)
                    desk.budget.settle(flight.forecast, reply.usage)
                raise
            finally:
                self.hedged += desk.hedge.calls
                self._leave(desk, dispatcher)

    def _wait_for(self, desk: Desk, dispatcher: _Calls, timeout: float | None) -> None:
        """Wait until a call comes back, and lay it on the desk with all others that have come back by then."""
        while returned := dispatcher.next(0.0 if desk.returned else timeout):
            if self._counts(desk, dispatcher, *returned):
                desk.returned.append(returned)
            elif not desk.returned:
                return

    def _take_all(self, desk: Desk) -> None:
        """Keep the answers that lie on the desk, all at once, and see to what becomes of each."""
        self._put(desk.returned)
        while desk.returned:
            returned = desk.returned.popleft()
            self._take(desk, *returned)
            self._report(desk.sheet, report_of(*returned), more=bool(desk.returned))

    def _leave(self, desk: Desk, dispatcher: _Calls) -> None:
        """Pay for calls that nobody waits for any more what they probably cost: the service answers all the same."""
        left = [*dispatcher.abandoned, *dispatcher.under_way]
        for flight in left:
            self._pay(desk, flight, desk.forecast.of(flight.chunk.questions))
        if left:
            with contextlib.suppress(Exception):  # the reason to stop is what matters
                self._report(desk.sheet)

    def _counts(self, desk: Desk, dispatcher: _Calls, flight: Flight, reply: Reply | CallFailed) -> bool:
        """Say whether this is the answer for its chunk: of two calls the first good one is, the other is ignored."""
        if dispatcher.take_back(flight):
            self._tell(desk, flight.chunk, reply)
            self._pay(desk, flight, reply.usage)
            return False
        rival = desk.hedge.returned(flight, isinstance(reply, Reply))
        if rival and isinstance(reply, CallFailed):
            self._tell(desk, flight.chunk, reply)
            self._pay(desk, flight, reply.usage)
            if isinstance(reply, RateLimited):
                self.put_off += 1
                desk.pace.rate_limited(flight.started_at, reply.wait)
            else:
                self.broken += 1
            return False
        if rival:
            dispatcher.abandon(rival)
        return True

    def _tell(self, desk: Desk, chunk: Chunk, reply: Reply | CallFailed) -> None:
        if self.on_call is not None:
            self.on_call(record_of(desk.sheet, chunk, reply))

    def _pay(self, desk: Desk, flight: Flight, usage: Usage) -> None:
        """Count what a call has cost whose answer is not used."""
        self.usage += usage
        desk.budget.settle(flight.forecast, usage)

    def _send(self, desk: Desk, dispatcher: _Calls) -> float | None:
        """Start all calls that may start now; gives the seconds until the next one may, None = when one comes back."""
        while (wait := desk.pace.wait(dispatcher.in_flight)) == 0.0:
            if dispatcher.in_flight and desk.budget.is_limited and not desk.forecast.has_learnt:
                return None  # the first call says what the others will cost
            slow = desk.hedge.overdue()
            chunk = slow.chunk if slow else desk.waiting.take()
            if chunk is None:
                soon = (desk.waiting.seconds_until_due(), desk.hedge.seconds_until_overdue())
                return min((seconds for seconds in soon if seconds is not None), default=None)
            forecast = desk.forecast.of(chunk.questions) if self._counts_tokens else Usage(1)
            if desk.budget.reserve(forecast):
                desk.pace.started(forecast)
                flight = Flight(chunk, forecast, time.monotonic())
                desk.hedge.started(flight, slow)
                dispatcher.submit(flight)
            elif slow:
                desk.hedge.leave(slow)
            else:
                self._stop(desk, chunk)
                return None
        return wait if desk.waiting or self.limits.hedge else None

    def _stop(self, desk: Desk, chunk: Chunk) -> None:
        """Leave pending what the budget has no money for; calls under way go on."""
        left = [*chunk.questions, *desk.waiting.drain()]
        desk.sheet.leave_out(left)
        self.left += sum(len(question.positions) for question in left)

    @property
    def _counts_tokens(self) -> bool:
        return self.limits.tokens_per_minute > 0 or self.limits.budget_usd > 0 or self.limits.hedge

    def _call(self, flight: Flight) -> Reply | CallFailed:
        """Ask the provider and take its answer apart; this runs in a thread."""
        items = number([question.fields for question in flight.chunk.questions])
        try:
            response = self.provider.complete(Request(self.prompt, items, self.limits.reason))
        except CallFailed as error:
            return error
        except WorkbenchError:
            raise
        except Exception as error:
            name = f"{type(error).__name__}: {error}"
            raise ProviderError(f"the provider {self.provider.name!r} broke down: {name}") from error
        numbers = range(1, len(items) + 1)
        parsed = parse_answer(response.text, self.prompt, numbers, truncated=response.truncated)
        return Reply(parsed, response.usage, response.truncated, response.text, response.finish)

    def _take(self, desk: Desk, flight: Flight, reply: Reply | CallFailed) -> None:
        """Keep the good answers, and see to it that the others are asked again or have failed."""
        chunk = flight.chunk
        self._keep(desk, chunk, reply)
        desk.budget.settle(flight.forecast, reply.usage)
        if isinstance(reply, CallFailed):
            decision = self._after_failure(desk, flight, reply)
        else:
            decision = self._after_answer(desk, flight, reply)
        for part in decision.again:
            desk.waiting.put_off(part, decision.wait)
        attempts = chunk.attempts + 1
        desk.waiting.pool(decision.pooled, attempts)
        for question, fault in decision.failed:
            self._fail(desk.sheet, question, fault, attempts)

    def _after_answer(self, desk: Desk, flight: Flight, reply: Reply) -> Decision:
        chunk, good = flight.chunk, len(reply.parsed.good)
        desk.pace.succeeded(flight.forecast, reply.usage)
        self._note = ""
        if reply.truncated or not chunk.level:  # what was halved says something about an item, not about sizes
            desk.size.answered(len(chunk), good, truncated=reply.truncated)
        desk.forecast.learn(flight.forecast, reply.usage, len(chunk))
        if good:
            desk.breaker.good()
        elif chunk.attempts == 0 or chunk.level:
            desk.breaker.failed(chunk, reply.parsed.faults[1])
        decision = after_answer(chunk, reply.parsed.faults, self.limits.max_retries)
        if chunk.attempts == 0:
            again = [*decision.pooled, *(question for part in decision.again for question in part.questions)]
            self.retried += sum(len(question.positions) for question in again)
        return decision

    def _after_failure(self, desk: Desk, flight: Flight, error: CallFailed) -> Decision:
        chunk, limits = flight.chunk, self.limits
        decision = after_failure(chunk, error, limits.max_retries, desk.breaker.good_calls)
        self._note = error.message.rstrip(".")
        if isinstance(error, RateLimited):
            self.put_off += 1
            desk.pace.rate_limited(flight.started_at, error.wait)
            return decision
        self.broken += 1
        if isinstance(error, TooLong):
            desk.size.too_long(len(chunk))
        if isinstance(error, TooSlow):
            desk.size.too_slow(len(chunk))
        if isinstance(error, Transient):
            desk.pace.broke_down()
        gives_up = not decision.again or decision.again[0].questions != chunk.questions
        if isinstance(error, Transient) and not gives_up:  # a half is another question, and need not wait
            decision.wait = backoff(chunk.tries + 1, limits.backoff_seconds, limits.backoff_seconds)
        if gives_up and not (isinstance(error, TooLong) and decision.again):
            desk.breaker.failed(chunk, error)
        return decision

    def _put(self, returned: Iterable[tuple[Flight, Reply | CallFailed]]) -> None:
        """Put good answers into the cache, before anything else becomes of them."""
        answers = [
            Answer(question.key, *answer, flight.chunk.status, flight.chunk.attempts + 1)
            for flight, reply in returned
            if isinstance(reply, Reply)
            for question, answer in _good(flight.chunk, reply)
        ]
        if self.cache is not None and answers:
            self.cache.put(answers)

    def _keep(self, desk: Desk, chunk: Chunk, reply: Reply | CallFailed) -> None:
        """Put good answers on the sheet."""
        self._tell(desk, chunk, reply)
        self.usage += reply.usage
        if isinstance(reply, CallFailed):
            return
        self.unknown += reply.parsed.unknown
        for question, answer in _good(chunk, reply):
            desk.sheet.answer(question, answer, chunk.status, chunk.attempts + 1)
            self.answered += len(question.positions)

    def _fail(self, sheet: Sheet, question: Question, fault: str, attempts: int) -> None:
        reason = f"no valid answer in {attempts} {'attempt' if attempts == 1 else 'attempts'}: {fault}"
        answer = GoodAnswer(self.prompt.unclassifiable, reason, AMBIGUOUS_SCORE)
        sheet.answer(question, answer, Status.FAILED, attempts)
        self.failed += len(question.positions)


def _good(chunk: Chunk, reply: Reply) -> list[tuple[Question, GoodAnswer]]:
    return [(chunk.questions[item - 1], answer) for item, answer in sorted(reply.parsed.good.items())]
