"""Whether a provider can classify: key, endpoint, model, structured output, and one item from end to end."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol, runtime_checkable

from workbench.errors import ProviderError, WorkbenchError, nearest
from workbench.llm.chunks import number
from workbench.llm.parsing import parse_answer
from workbench.llm.prompt import Prompt
from workbench.llm.providers import Provider, Request, get_provider
from workbench.records import CLEAN_PREFIX


class Health(StrEnum):
    """How a part is."""

    OK = "ok"
    ILL = "ill"
    NOT_USED = "not used"


@dataclass(frozen=True, slots=True)
class Check:
    """What was found out about one part."""

    part: str
    health: Health
    detail: str
    hint: str | None = None

    @classmethod
    def ill(cls, part: str, error: WorkbenchError) -> Check:
        """Say what is wrong with a part."""
        return cls(part, Health.ILL, error.message, error.hint)


@runtime_checkable
class Endpoint(Provider, Protocol):
    """A provider behind an address."""

    @property
    def base_url(self) -> str:
        """The address."""
        ...

    @property
    def answer_format(self) -> str:
        """What its answers are held to: json_schema, json_object or text; found out by the first call."""
        ...

    def models(self) -> list[str] | None:
        """List the models there are; None where the endpoint answers, but has no such list."""
        ...


_FORMATS = {
    "json_schema": (Health.OK, "answers are held to a JSON schema"),
    "json_object": (Health.OK, "JSON mode, without a schema"),
    "text": (Health.NOT_USED, "the endpoint has none; plain text is read all the same"),
}


def check_provider(name: str, prompt: Prompt, **options: Any) -> list[Check]:
    """Find out whether a provider can classify, step by step up to the first that fails; costs one call of one item.

    The parts: `provider key`, `provider endpoint`, `provider model`, `provider output`, `provider classification`; an
    embedded provider has only the last. Raises nothing that concerns the provider.
    """
    checks = [_key(options["api_key_env"])] if "api_key_env" in options else []
    try:
        provider = get_provider(name, **options)
    except WorkbenchError as error:
        return [Check.ill("provider key" if checks and checks[0].health == Health.NOT_USED else "provider", error)]
    if not isinstance(provider, Endpoint):
        return [_classification(provider, prompt)]
    return checks + _check_endpoint(provider, prompt)


def _key(variable: str) -> Check:
    if os.environ.get(variable):
        return Check("provider key", Health.OK, f"{variable} is set")
    return Check("provider key", Health.NOT_USED, f"{variable} is not set; the endpoint is asked without a key")


def _check_endpoint(provider: Endpoint, prompt: Prompt) -> list[Check]:
    try:
        models = provider.models()
    except ProviderError as error:
        return [Check.ill("provider endpoint", error)]
    checks = [Check("provider endpoint", Health.OK, f"{provider.base_url} answers")]
    classification = _classification(provider, prompt)
    is_listed = models is None or provider.model in models
    if classification.health == Health.ILL and not is_listed:
        hint = nearest(provider.model, models or [])
        return [*checks, Check("provider model", Health.ILL, f"there is no model {provider.model!r}", hint)]
    if classification.health == Health.OK:
        said = (
            f"{provider.model} answers" if is_listed else f"{provider.model} answers, but is not in the list of models"
        )
        checks.append(Check("provider model", Health.OK, said))
        checks.append(Check("provider output", *_FORMATS[provider.answer_format]))
    return [*checks, classification]


def _classification(provider: Provider, prompt: Prompt) -> Check:
    part = "provider classification"
    text = prompt.examples[0].text if prompt.examples else prompt.category_names[0]
    started = time.monotonic()
    try:
        response = provider.complete(Request(prompt, number([{f"{CLEAN_PREFIX}Text": text}])))
    except WorkbenchError as error:
        return Check.ill(part, error)
    parsed = parse_answer(response.text, prompt, [1], truncated=response.truncated)
    if fault := parsed.faults.get(1):
        hint = "try another model, or simplify the prompt."
        return Check(part, Health.ILL, f"{provider.model} gave no valid answer: {fault}", hint)
    answer, tokens = parsed.good[1], response.usage.input_tokens + response.usage.output_tokens
    cost = f", {tokens:,} tokens" if tokens else ""
    return Check(
        part, Health.OK, f"{text!r} is {answer.category}, {time.monotonic() - started:.1f} s{cost} ({provider.model})"
    )
