"""Classify by a Batch API: at half price, within a day, in files of many requests.

Everything but the way of asking is the classifier's: what is asked, how answers are read, kept, repaired and paid.
All that waits goes up in files; when a batch has ended, its answers are taken, and what is asked again goes up in the
next one. A batch is noted before it is made and until its answers are kept, so that whatever kills the process, the
next one picks the same batch up. What a batch did not answer (it expired, or lost it) is asked again in another one, up
to `max_retries` times, and has failed then.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

from workbench.errors import Interrupted, ParameterError, ProviderError
from workbench.llm.batch_memory import Batch, BatchMemory, Note, SessionMemory, remembered
from workbench.llm.cache import AnswerCache
from workbench.llm.chunks import number
from workbench.llm.classifier import Classifier
from workbench.llm.desk import Desk, Flight, Reply
from workbench.llm.faults import CallFailed, RateLimited, TooLong, Transient, Unanswered, WrongFormat
from workbench.llm.limits import DEFAULT_LIMITS, Limits
from workbench.llm.prompt import Prompt
from workbench.llm.providers import Batches, BatchState, Provider, Request, Response, Usage
from workbench.llm.repair import Chunk, Decision
from workbench.llm.sheet import Question, Sheet

MOST_REQUESTS, MOST_BYTES = 50_000, 190_000_000
"""Of one file: what OpenAI takes (200 MB), with a margin; a service that takes less says so."""
_SHORTEST_LOOK, _LONGEST_LOOK = 0.1, 60.0
"""Seconds between two looks at the batches: a tenth of the time that they have been waited for."""
_BLIND_LOOKS = 15
"""Looks in a row that may break down: a quarter of an hour after a long wait."""
_BROKEN_OFF = {"failed": "failed", "cancelled": "was cancelled"}
_GO_ON = "go on with --resume: it asks for nothing twice."


def batches_of(provider: Provider) -> Batches:
    """Give the Batch API of a provider; raises ParameterError where it has none."""
    make = getattr(provider, "batches", None)
    if make is None:
        raise ParameterError(f"provider {provider.name!r} has no Batch API.", hint="set classify.mode to live.")
    api: Batches = make()
    return api


class BatchClassifier(Classifier):
    """A classifier that asks by batches."""

    def __init__(
        self,
        prompt: Prompt,
        provider: Provider,
        limits: Limits = DEFAULT_LIMITS,
        cache: AnswerCache | None = None,
        memory: BatchMemory | None = None,
    ) -> None:
        """Prepare; nothing is sent yet. Raises ParameterError for a provider without a Batch API."""
        self._api = batches_of(provider)
        self._memory = memory or SessionMemory()
        self._delivered = _Delivered(provider, self._api)
        self._batches: list[Batch] = []
        self._other_notes: list[Note] = []
        self._reserved: dict[Chunk, Usage] = {}
        self._fruitless: list[str] = []
        """What was wrong with the requests that brought nothing, as long as none has brought anything."""
        # No pauses and no breaker: what comes back was paid for as a whole.
        super().__init__(
            prompt, self._delivered, limits.changed(mode="batch", backoff_seconds=0.0, stop_after=0), cache
        )
        self._stop_after = limits.stop_after
        self._most_bytes = MOST_BYTES
        self._blind = 0
        self._waiting_since = time.monotonic()

    def _ask(self, sheet: Sheet, questions: Sequence[Question]) -> None:
        """Send what waits, wait for a batch to end, and so on until every question is answered or has failed."""
        self._batches = list(self._remembered(questions))
        away = [chunk for batch in self._batches for chunk in batch.chunks]
        asked = {question for chunk in away for question in chunk.questions}
        desk = self._desk(sheet, [question for question in questions if question not in asked])
        for chunk in away:
            self._reserve(desk, chunk)
        try:
            while desk.waiting or self._open:
                self._send_all(desk)
                if self._open:
                    self._wait(desk)
        except KeyboardInterrupt:
            if not self._open:
                raise
            raise Interrupted(f"interrupted; {self._under_way()}.", hint=_GO_ON) from None

    @property
    def _open(self) -> list[Batch]:
        return [batch for batch in self._batches if not batch.has_ended]

    def _under_way(self) -> str:
        names = [batch.batch_id or f"of {batch.file_id}" for batch in self._open]
        what = f"batch {names[0]} goes" if len(names) == 1 else f"batches {', '.join(names)} go"
        return f"{what} on at {self._api.url} and will be paid for"

    def _remembered(self, questions: Sequence[Question]) -> Iterator[Batch]:
        """Bring back the batches that an earlier process left, as far as they answer anything that is asked."""
        by_key = {question.key: question for question in questions}
        self._other_notes = []
        for note in self._memory.load():
            if not any(key in by_key for chunk in note.get("chunks", ()) for key in chunk["keys"]):
                self._other_notes.append(note)  # it has ended, or belongs to another pass
                continue
            batch = remembered(note, by_key)
            batch.batch_id = batch.batch_id or self._api.find(batch.file_id)
            if batch.batch_id:
                yield batch

    def _save(self) -> None:
        self._memory.save(self._other_notes + [batch.note() for batch in self._batches])

    # --- asking

    def _send_all(self, desk: Desk) -> None:
        """Send all that waits, as far as there is money for it, in as many files as it takes."""
        if desk.waiting and self._stop_after and len(self._fruitless) >= self._stop_after:
            raise ProviderError(
                f"the first {len(self._fruitless)} requests brought no good answer: {self._fruitless[-1]}.",
                hint=_GO_ON,
            )
        chunks = []
        while chunk := desk.waiting.take():
            if not self._reserve(desk, chunk):
                self._stop(desk, chunk)
                break
            chunks.append(chunk)
        for part in self._files(chunks):
            self._send_file(desk, part)

    def _reserve(self, desk: Desk, chunk: Chunk) -> bool:
        forecast = desk.forecast.of(chunk.questions)
        if is_paid := desk.budget.reserve(forecast):
            self._reserved[chunk] = forecast
        return is_paid

    def _files(self, chunks: Sequence[Chunk]) -> Iterator[list[Chunk]]:
        """Cut requests into files that the service takes."""
        part: list[Chunk] = []
        size = 0
        for chunk in chunks:
            line = len(self._line(MOST_REQUESTS, chunk))
            if part and (len(part) == MOST_REQUESTS or size + line > self._most_bytes):
                yield part
                part, size = [], 0
            part.append(chunk)
            size += line
        if part:
            yield part

    def _line(self, position: int, chunk: Chunk) -> bytes:
        items = number([question.fields for question in chunk.questions])
        return self._api.line(position, Request(self.prompt, items, self.limits.reason))

    def _send_file(self, desk: Desk, chunks: Sequence[Chunk]) -> None:
        """Upload a file, note it, make a batch of it, note that; a file that is too large is halved."""
        content = b"".join(self._line(position, chunk) for position, chunk in enumerate(chunks, 1))
        try:
            batch = Batch(self._api.upload(content), chunks)
        except TooLong as error:
            self._most_bytes = len(content) // 2
            if len(chunks) == 1:
                self._take(desk, self._flight(chunks[0]), error)
                return
            for part in (chunks[: len(chunks) // 2], chunks[len(chunks) // 2 :]):
                self._send_file(desk, part)
            return
        self._batches.append(batch)
        self._save()
        batch.batch_id = self._api.create(batch.file_id)
        self._save()

    def _flight(self, chunk: Chunk) -> Flight:
        return Flight(chunk, self._reserved.pop(chunk, Usage()), self._waiting_since)

    # --- waiting

    def _wait(self, desk: Desk) -> None:
        """Look at the batches until one has ended, and take its results; raises ProviderError where one has failed."""
        self._waiting_since, ended = time.monotonic(), False
        while not ended:
            for batch in self._open:
                state = self._look(batch)
                ended = ended or state.has_ended
                if state.has_ended:
                    self._take_results(desk, batch, state)
            self._note = ", ".join(f"{batch} ({batch.status})" for batch in self._open)
            self._report(desk.sheet)
            if not ended:
                time.sleep(min(_LONGEST_LOOK, max(_SHORTEST_LOOK, (time.monotonic() - self._waiting_since) / 10)))

    def _look(self, batch: Batch) -> BatchState:
        """See how far a batch is; a service that cannot say so for a while is asked again."""
        assert batch.batch_id is not None
        try:
            state = self._api.look(batch.batch_id)
        except (Transient, RateLimited) as error:
            self._blind += 1
            if self._blind > _BLIND_LOOKS:
                raise ProviderError(f"{error.message.rstrip('.')}; {self._under_way()}.", hint=_GO_ON) from None
            return BatchState(batch.status, False, batch.done, (), "")
        self._blind = 0
        batch.status, batch.done = state.status, state.done
        return state

    def _take_results(self, desk: Desk, batch: Batch, state: BatchState) -> None:
        """Keep what a batch has answered, and see to it that the rest is asked again or has failed."""
        results = self._api.results(state)
        fatal: ProviderError | None = None
        for position, chunk in enumerate(batch.chunks, 1):
            self._delivered.said = results.get(position)
            flight = self._flight(chunk)
            try:
                desk.returned.append((flight, self._call(flight)))
            except ProviderError as error:
                fatal = error
        self._take_all(desk)
        batch.has_ended = True
        self._save()
        if fatal or state.status in _BROKEN_OFF:
            self._report(desk.sheet)
            raise fatal or _broken_off(batch, state, self._api.url)
        self._tidy_up(batch, state)

    def _tidy_up(self, batch: Batch, state: BatchState) -> None:
        """Delete at the service what went up and came down: the answers are kept here. It is no fault if that fails."""
        for file in (batch.file_id, *state.files):
            try:
                self._api.delete(file)
            except ProviderError as error:
                self.log.warning("file %s of batch %s stays at the service: %s", file, batch.batch_id, error.message)

    # --- after an answer

    def _after_answer(self, desk: Desk, flight: Flight, reply: Reply) -> Decision:
        if reply.parsed.good:
            self._stop_after = 0
        else:
            self._fruitless.append(reply.parsed.faults[1])
        return _still_asked(super()._after_answer(desk, flight, reply))

    def _after_failure(self, desk: Desk, flight: Flight, error: CallFailed) -> Decision:
        if isinstance(error, WrongFormat):
            return _still_asked(Decision(again=[flight.chunk]))
        self._fruitless.append(error.message.rstrip("."))
        if isinstance(error, Unanswered):
            return _still_asked(self._after_nothing(flight.chunk, error))
        if isinstance(error, RateLimited):  # in a batch there is nothing to slow down
            error = Transient(error.message, usage=error.usage)
        return _still_asked(super()._after_failure(desk, flight, error))

    def _after_nothing(self, chunk: Chunk, error: Unanswered) -> Decision:
        """Ask what a batch did not answer once more, as it is, as long as it may be."""
        self.broken += 1
        if chunk.attempts >= self.limits.max_retries:
            return Decision(failed=[(question, error.message.rstrip(".")) for question in chunk.questions])
        if chunk.attempts == 0:
            self.retried += sum(len(question.positions) for question in chunk.questions)
        return Decision(again=[replace(chunk, attempts=chunk.attempts + 1)])


class _Delivered:
    """Stands in for the provider: its answer to a call is the result that a batch has brought."""

    def __init__(self, provider: Provider, api: Batches) -> None:
        self.name, self.model, self.fingerprint = provider.name, provider.model, provider.fingerprint
        self._api = api
        self.said: object = None

    def complete(self, request: Request) -> Response:
        """Read the result that was delivered last."""
        return self._api.read(self.said, request)


def _still_asked(decision: Decision) -> Decision:
    """Leave out what nobody asks any more: questions of an earlier process that were answered elsewhere meanwhile."""
    kept = [replace(part, questions=tuple(q for q in part.questions if q.positions)) for part in decision.again]
    return Decision(
        again=[part for part in kept if part.questions],
        wait=decision.wait,
        pooled=[question for question in decision.pooled if question.positions],
        failed=[(question, fault) for question, fault in decision.failed if question.positions],
    )


def _broken_off(batch: Batch, state: BatchState, url: str) -> ProviderError:
    said = f": {state.errors}" if state.errors else ""
    return ProviderError(
        f"batch {batch.batch_id} at {url} {_BROKEN_OFF[state.status]}{said}.",
        hint="what it had answered is kept; --resume asks for the rest by a new batch.",
    )
