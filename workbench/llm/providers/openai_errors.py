"""The errors of the OpenAI client, each mapped to what the classifier does about it."""

from __future__ import annotations

import email.utils
import re
import time
from dataclasses import dataclass
from typing import Any

import httpx2
import openai

from workbench.errors import ProviderError
from workbench.llm.faults import CallFailed, RateLimited, Refused, Rejected, TooLong, TooSlow, Transient, Unreachable

ADDRESS_HINT = "check classify.base_url; it often ends in /v1."
UNLIMITED = httpx2.Limits(max_connections=None, max_keepalive_connections=None, keepalive_expiry=60.0)
"""The classifier bounds the calls in flight; a second bound would only hide it."""
_QUOTA = {"insufficient_quota", "billing_hard_limit_reached", "billing_not_active"}
_TOO_LONG = re.compile(
    r"context.{0,12}(length|window|size)|maximum.{0,20}(length|tokens)|too (long|many tokens|large)|n_ctx", re.I
)
_FILTERED = re.compile(r"content.?(filter|management|policy)|responsible.?ai|safety", re.I)
_UNKNOWN_MODEL = re.compile(
    r"model.{0,60}(not.{0,6}(found|exist)|unknown|invalid)|(unknown|invalid|no such) model", re.I
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where calls go, as error messages name it."""

    model: str
    url: str
    key_name: str
    has_key: bool


def patience(seconds: float, connect: float) -> httpx2.Timeout:
    """Give the time that a call may take, and the part of it for reaching the endpoint."""
    return httpx2.Timeout(seconds, connect=min(connect, seconds))


def mapped(error: openai.OpenAIError, place: Place) -> ProviderError:
    """Give our error for one of the client."""
    if isinstance(error, openai.APITimeoutError):
        return TooSlow(f"{place.url} did not answer in time.")
    if isinstance(error, openai.APIStatusError):
        return _of_status(error, place)
    if isinstance(error, openai.APIConnectionError):
        return Unreachable(f"{place.url} cannot be reached: {_cause(error)}.", hint=ADDRESS_HINT)
    return ProviderError(f"the client for {place.url} failed: {type(error).__name__}: {_line(error)}")


def _of_status(error: openai.APIStatusError, place: Place) -> ProviderError:
    status, code, said = error.status_code, str(error.code or error.type or ""), _said(error)
    if fatal := _fatal(status, code, said, place):
        return fatal
    found = f"{place.url} answered {status}: {said}."
    if status == 429:
        return RateLimited(found, hint="lower classify.concurrency.", wait=_wait(error.response.headers))
    if status in (408, 409, 425) or status >= 500:
        return Transient(found)
    kinds: list[tuple[type[CallFailed], Any]] = [
        (TooLong, status == 413 or "context_length" in code or _TOO_LONG.search(said)),
        (Refused, "content_filter" in code or _FILTERED.search(said)),
    ]
    kind = next((kind for kind, fits in kinds if fits), Rejected)
    return kind(found)


def _fatal(status: int, code: str, said: str, place: Place) -> ProviderError | None:
    """Give the error that every other call would get too."""
    if status == 401:  # what the service says may quote the key
        state = "does not accept the key in" if place.has_key else "wants a key, but there is none in"
        return ProviderError(
            f"{place.url} {state} the environment variable {place.key_name}.", hint="put a valid key into it."
        )
    if status == 402 or code in _QUOTA:
        return ProviderError(
            f"the account at {place.url} is out of quota: {said}.",
            hint="add credit or raise its limit, then go on with --resume; what was answered is kept.",
        )
    if status == 403:
        return ProviderError(f"{place.url} forbids the use of {place.model!r}: {said}.")
    if code == "model_not_found" or (status in (400, 404) and _UNKNOWN_MODEL.search(said)):
        said = f"{place.url} does not know the model {place.model!r}: {said}."
        return ProviderError(said, hint=f"check classify.model; {ADDRESS_HINT}")
    if status == 404:
        return ProviderError(f"{place.url} answers no calls: {said}.", hint=f"{ADDRESS_HINT} Or classify.model.")
    return None


def _wait(headers: Any) -> float | None:
    """Read how many seconds a service asks us to wait: `Retry-After-Ms`, or `Retry-After` in seconds or as a date."""
    for name, unit in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        try:
            return max(0.0, float(headers[name]) / unit)
        except (KeyError, ValueError):
            continue
    try:
        return max(0.0, email.utils.parsedate_to_datetime(headers["retry-after"]).timestamp() - time.time())
    except (KeyError, ValueError):
        return None


def _said(error: openai.APIStatusError) -> str:
    body = error.body
    said = body.get("message") if isinstance(body, dict) else body
    return _line(said or error.message).rstrip(".")


def _cause(error: BaseException) -> str:
    return _line(error.__cause__ or error).rstrip(".")


def _line(said: object) -> str:
    return " ".join(str(said).split())[:300] or type(said).__name__
