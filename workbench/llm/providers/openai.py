"""Every endpoint that speaks the chat protocol of OpenAI: build the call, send it, map its errors, read what it cost.

What an endpoint can do is found out by asking: a JSON schema first, then JSON mode, then plain text; what works is
remembered. The client's own retries are off: who waits, and how long, is decided in one place, by the classifier.
"""

from __future__ import annotations

import json
import os
import weakref
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from workbench.errors import MissingExtra, ParameterError, ProviderError, install
from workbench.llm.example_choice import estimate_tokens
from workbench.llm.faults import Refused, Rejected, Unreachable
from workbench.llm.providers import Request, Response, Usage, Writing
from workbench.llm.rendering import answer_schema

try:
    import httpx2
    import openai
    from openai import DefaultHttpxClient

    from workbench.llm.providers import openai_errors
except ImportError:  # the extra is not installed
    raise MissingExtra("the provider 'openai' needs the openai package.", hint=install("openai")) from None

if TYPE_CHECKING:
    from workbench.llm.providers.openai_batches import OpenAIBatches

FORMATS = ("json_schema", "json_object", "text")
"""What an answer can be held to, from the strictest to none."""
_CONNECT_SECONDS = 10.0


class OpenAIProvider:
    """A model behind an OpenAI-compatible endpoint."""

    name = "openai"
    formats = FORMATS

    def __init__(
        self,
        model: str,
        base_url: str | None = None,
        api_key_env: str = "OPENAI_API_KEY",
        temperature: float | None = None,
        timeout: float = 300.0,
        asks: bool = True,
    ) -> None:
        """Prepare; nothing is sent yet. `timeout` is in seconds, for one call.

        The key comes from the environment variable `api_key_env`, the address from `base_url` or `OPENAI_BASE_URL`;
        raises ParameterError where there is neither a key nor an address of one's own that may do without. Where
        nothing will be asked, for an estimate, no key is needed.
        """
        if not model:
            raise ParameterError("provider 'openai' needs a model.", hint="set classify.model.")
        self.model = model
        self.temperature = temperature
        address = base_url or os.environ.get("OPENAI_BASE_URL") or None
        key = os.environ.get(api_key_env)
        if asks and not key and not address:
            raise ParameterError(
                f"the environment variable {api_key_env} is not set.", hint="put the key of the endpoint into it."
            )
        self.client = _client(key or "none", address, timeout)
        weakref.finalize(self, self.client.close)
        self.base_url = _without_secrets(str(self.client.base_url))
        self.place = openai_errors.Place(model, self.base_url, api_key_env, bool(key))
        self._format = FORMATS[0]
        self._format_is_proven = False
        self._prefix: tuple[tuple[str, str], bytes] = ("", ""), b""
        """Instructions and format of the latest call, and how every call with them begins."""

    @property
    def fingerprint(self) -> str:
        """Endpoint, model and temperature: what decides an answer besides the prompt."""
        return json.dumps(["openai", self.base_url, self.model, self.temperature])

    @property
    def answer_format(self) -> str:
        """What answers are held to, one of `FORMATS`; certain after the first answer."""
        return self._format

    def models(self) -> list[str] | None:
        """List the models that the endpoint has; None where it answers, but has no such list. Raises ProviderError."""
        try:
            raw = self.client.models.with_raw_response.list()
            return [str(each["id"]) for each in json.loads(raw.content)["data"]]
        except openai.APIStatusError as error:
            if error.status_code in (401, 402, 403, 429) or error.status_code >= 500:
                raise openai_errors.mapped(error, self.place) from error
            return None
        except openai.OpenAIError as error:
            raise openai_errors.mapped(error, self.place) from error
        except (ValueError, TypeError, KeyError):
            raise Unreachable(f"{self.base_url} did not answer in JSON.", hint=openai_errors.ADDRESS_HINT) from None

    def complete(self, request: Request) -> Response:
        """Answer one request; raises CallFailed for this call alone, ProviderError where no call can succeed."""
        refused: Rejected | None = None
        vain = Usage()
        for form in FORMATS[FORMATS.index(self._format) :]:
            try:
                response = self._send(request, form)
            except Refused:
                raise
            except Rejected as error:
                refused = refused or error
                vain += error.usage
                refused.usage = vain
                if self._format_is_proven and "response_format" not in error.message:
                    raise
            else:
                if not self._format_is_proven:  # by another thread, meanwhile
                    self._format, self._format_is_proven = form, True
                return replace(response, usage=response.usage + vain)
        assert refused is not None
        raise refused

    def write(self, request: Writing) -> Response:
        """Answer a request for free text; raises as `complete` does."""
        return self._send(request, "text")

    def _send(self, request: Request, form: str) -> Response:
        try:  # not by `chat.completions.create`: its transformation of the body takes longer than all the rest
            raw = self.client.post("/chat/completions", cast_to=httpx2.Response, content=self.wire(request, form))
            answer = json.loads(raw.content)
        except openai.OpenAIError as error:
            raise openai_errors.mapped(error, self.place) from error
        except ValueError:
            raise Unreachable(f"{self.base_url} did not answer in JSON.", hint=openai_errors.ADDRESS_HINT) from None
        return self.read(request, answer)

    def batches(self) -> OpenAIBatches:
        """Give the endpoint's Batch API; nothing is sent yet."""
        from workbench.llm.providers.openai_batches import OpenAIBatches

        return OpenAIBatches(self)

    def wire(self, request: Request, form: str) -> bytes:
        """Write the call as JSON: everything that all calls share first, byte for byte the same, and the items last."""
        shared = (request.instructions, form)
        if self._prefix[0] != shared:
            self._prefix = shared, self._before_items(request, form)
        return self._prefix[1] + _json(request.data) + b"}]}"

    def _before_items(self, request: Request, form: str) -> bytes:
        body: dict[str, Any] = {"model": self.model}
        if self.temperature is not None:
            body["temperature"] = self.temperature
        if form == "json_schema":
            schema = {"name": "classification", "strict": True, "schema": answer_schema(request.prompt, request.reason)}
            body["response_format"] = {"type": form, "json_schema": schema}
        elif form == "json_object":
            body["response_format"] = {"type": form}
        body["messages"] = [{"role": "system", "content": request.instructions}]
        return _json(body).removesuffix(b"]}") + b',{"role":"user","content":'

    def read(self, request: Request, answer: Any) -> Response:
        """Read the body of a good response; raises Refused, and Unreachable for something else than an answer."""
        try:
            choice = answer["choices"][0]
            message = choice["message"]
            text = _text(message.get("content"))
        except (TypeError, KeyError, IndexError, AttributeError):
            said = f"{self.base_url} sent something other than an answer."
            raise Unreachable(said, hint=openai_errors.ADDRESS_HINT) from None
        usage = _usage(answer.get("usage"), request, text)
        finish = choice.get("finish_reason")
        if finish == "content_filter":
            raise Refused("the content filter of the service stopped the answer.", usage=usage)
        if refusal := message.get("refusal"):
            raise Refused(f"the model refused: {_text(refusal)[:200]}", usage=usage)
        return Response(text, usage, truncated=finish == "length", finish=str(finish or ""))


def _client(key: str, base_url: str | None, timeout: float) -> openai.OpenAI:
    if base_url and not base_url.startswith(("http://", "https://")):
        raise ParameterError(
            f"the address {base_url!r} has no http:// or https:// in front.", hint="see classify.base_url."
        )
    http = DefaultHttpxClient(limits=openai_errors.UNLIMITED, timeout=openai_errors.patience(timeout, _CONNECT_SECONDS))
    try:
        return openai.OpenAI(api_key=key, base_url=base_url, max_retries=0, http_client=http)
    except (openai.OpenAIError, ValueError, TypeError) as error:
        raise ProviderError(f"the address {base_url!r} cannot be used: {error}") from None


def _json(content: Any) -> bytes:
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def _without_secrets(url: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl().rstrip("/")


def _text(content: Any) -> str:
    """Read the text of a message, which some endpoints give in parts."""
    if isinstance(content, list):
        return "".join(part["text"] for part in content if isinstance(part, dict) and isinstance(part.get("text"), str))
    return content if isinstance(content, str) else ""


def _usage(said: Any, request: Request, text: str) -> Usage:
    """Read what a call has cost; an endpoint that does not say so is estimated, so that a budget still holds."""
    counts = said if isinstance(said, dict) else {}
    details = counts.get("prompt_tokens_details")
    cached = details.get("cached_tokens") if isinstance(details, dict) else 0
    into, out = counts.get("prompt_tokens"), counts.get("completion_tokens")
    if not isinstance(into, int):
        into = estimate_tokens(request.instructions) + estimate_tokens(request.data)
    if not isinstance(out, int):
        out = estimate_tokens(text)
    return Usage(1, into, min(cached, into) if isinstance(cached, int) else 0, out)
