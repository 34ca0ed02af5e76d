"""The Batch API of an OpenAI-compatible endpoint: a file of requests goes up, a batch is made of it, results come down.

A request has a name (`custom_id`) of its own: the format in which its answer was asked for, and a number. Results are
found by that name, in whatever order and in whichever of the two files they come.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import httpx2
import openai

from workbench.errors import ProviderError
from workbench.llm.faults import Rejected, Transient, Unanswered, WrongFormat
from workbench.llm.providers import BatchState, Request, Response, openai_errors

if TYPE_CHECKING:
    from workbench.llm.providers.openai import OpenAIProvider

ENDPOINT: Final = "/v1/chat/completions"
_RETRIES = 4
"""By the client, with growing waits; only the making of a batch, which costs money, is not left to it."""
_PAUSES = (0.5, 4.0)
"""Seconds before a batch that could not be made is looked for, and then made again."""
_DELETION_SECONDS = 10.0
_FORMAT_TROUBLE = re.compile(r"response_format|json_schema|json_object|structured output", re.I)
_ENDED = {"completed", "expired", "cancelled", "failed"}
_SHOWN_ERRORS = 3


class OpenAIBatches:
    """The batches of one provider."""

    def __init__(self, provider: OpenAIProvider) -> None:
        """Prepare; nothing is sent yet."""
        self._provider = provider
        self._form = provider.formats[0]
        self._patient = provider.client.with_options(max_retries=_RETRIES)
        self.url = provider.base_url

    def line(self, number: int, request: Request) -> bytes:
        """Give the line of a file for one request."""
        about = json.dumps({"custom_id": f"{self._form}-{number}", "method": "POST", "url": ENDPOINT})
        return about.removesuffix("}").encode() + b',"body":' + self._provider.wire(request, self._form) + b"}\n"

    def upload(self, content: bytes) -> str:
        """Send a file, which costs nothing; gives its id. Raises TooLong where the service takes no such file."""
        with self._mapped():
            return str(self._patient.files.create(file=("requests.jsonl", content), purpose="batch").id)

    def create(self, file_id: str) -> str:
        """Make a batch of a file and give its id; before a second try it is looked for, so that none is paid twice."""
        for pause in _PAUSES:
            try:
                return self._create(file_id)
            except Transient:
                time.sleep(pause)
                if found := self.find(file_id):
                    return found
        return self._create(file_id)

    def _create(self, file_id: str) -> str:
        with self._mapped():
            batches = self._provider.client.batches
            return str(batches.create(input_file_id=file_id, endpoint=ENDPOINT, completion_window="24h").id)

    def find(self, file_id: str) -> str | None:
        """Find the batch that was made of a file; None if there is none among the newest hundred."""
        with self._mapped():
            newest = self._patient.batches.list(limit=100).data
        return next((str(batch.id) for batch in newest if batch.input_file_id == file_id), None)

    def look(self, batch_id: str) -> BatchState:
        """See how far a batch is; raises ProviderError where the service does not know it."""
        lost = ProviderError(
            f"{self.url} does not know the batch {batch_id}.",
            hint="was it made with another key? If it is lost, remove batches.json beside prompt.yaml in the run.",
        )
        with self._mapped(lost):
            found = self._patient.batches.retrieve(batch_id)
        counts, said = found.request_counts, found.errors.data if found.errors else None
        errors = [
            f"{str(error.message).rstrip('.')}{f' (line {error.line})' if error.line else ''}" for error in said or []
        ]
        return BatchState(
            status=found.status,
            has_ended=found.status in _ENDED,
            done=counts.completed + counts.failed if counts else 0,
            files=tuple(file for file in (found.output_file_id, found.error_file_id) if file),
            errors="; ".join(errors[:_SHOWN_ERRORS]),
        )

    def results(self, state: BatchState) -> dict[int, Any]:
        """Fetch the results of a batch: number of the request → what the service said. Lines that are no JSON are none.

        Of several results for one request the first answer counts, and an error only where there is no answer.
        """
        found: dict[int, Any] = {}
        for file in state.files:
            with self._mapped():
                content = self._patient.files.content(file).content
            for line in content.split(b"\n"):
                number, said = _read_line(line)
                if number is not None and (number not in found or (_is_good(said) and not _is_good(found[number]))):
                    found[number] = said
        return found

    def delete(self, file_id: str) -> None:
        """Delete a file at the service; raises ProviderError where that fails, after one try."""
        with self._mapped(ProviderError(f"{self.url} cannot delete the file {file_id}.")):
            self._provider.client.files.delete(file_id, timeout=_DELETION_SECONDS)

    def read(self, said: Any, request: Request) -> Response:
        """Read a result as if it were the answer to a call; raises what a call would raise, and Unanswered."""
        answer = said.get("response") if isinstance(said, dict) else None
        if not isinstance(answer, dict):
            error = said.get("error") if isinstance(said, dict) else None
            why = f": {error.get('message')}" if isinstance(error, dict) else "."
            raise Unanswered(f"the batch did not answer it{why}")
        if answer.get("status_code") == 200:
            return self._provider.read(request, answer.get("body"))
        fault = openai_errors.mapped(_status_error(answer), self._provider.place)
        form = said["custom_id"].rpartition("-")[0]
        if (
            isinstance(fault, Rejected)
            and form in self._provider.formats[:-1]
            and _FORMAT_TROUBLE.search(fault.message)
        ):
            self._form = max(self._form, self._after(form), key=self._provider.formats.index)
            raise WrongFormat(fault.message)
        raise fault

    def _after(self, form: str) -> str:
        return self._provider.formats[self._provider.formats.index(form) + 1]

    @contextmanager
    def _mapped(self, missing: ProviderError | None = None) -> Iterator[None]:
        """Map the client's errors; "not found" means that there is no Batch API, or what `missing` says."""
        try:
            yield
        except openai.NotFoundError:
            hint = "set classify.mode to live, or check classify.base_url."
            raise missing or ProviderError(f"{self.url} has no Batch API.", hint=hint) from None
        except openai.OpenAIError as error:
            raise openai_errors.mapped(error, self._provider.place) from error


def _read_line(line: bytes) -> tuple[int | None, Any]:
    try:
        said = json.loads(line)
        return int(said["custom_id"].rpartition("-")[2]), said
    except (ValueError, TypeError, KeyError, AttributeError):
        return None, None


def _is_good(said: Any) -> bool:
    answer = said.get("response")
    return isinstance(answer, dict) and answer.get("status_code") == 200


def _status_error(answer: dict[str, Any]) -> openai.APIStatusError:
    """Give the error that the client would have raised for a call with this answer."""
    status = answer.get("status_code")
    status = status if isinstance(status, int) and 400 <= status < 600 else 500
    body = answer.get("body")
    error = body.get("error", body) if isinstance(body, dict) else body
    response = httpx2.Response(status, request=httpx2.Request("POST", ENDPOINT))
    return openai.APIStatusError(f"HTTP status {status}", response=response, body=error)
