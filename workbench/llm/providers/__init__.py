"""What answers a chunk: the `Provider` protocol, what goes in and comes out, and the providers by name.

Every provider speaks the same answer protocol, one JSON object, whose entries belong to the items by their id: rows, as
in `{"results":[[1,["why"],"Pop",0.9], …]}`, or objects, as in `{"results":[{"id":1,"reason":"why","category":"Pop",
"score":0.9}, …]}`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from inspect import Parameter, signature
from typing import Any, Protocol

from workbench.errors import ParameterError, nearest
from workbench.llm.prompt import Prompt
from workbench.registry import Registry

__all__ = [
    "PROVIDERS",
    "BatchState",
    "Batches",
    "NumberedItem",
    "Provider",
    "Request",
    "Response",
    "Usage",
    "Writing",
    "get_provider",
]


@dataclass(frozen=True, slots=True)
class NumberedItem:
    """An item as a call sees it: a short number in place of its id, and its clean fields."""

    number: int
    """From 1 in every chunk."""
    fields: dict[str, str]


@dataclass(frozen=True, slots=True)
class Request:
    """One call: the prompt, which is the same in every call, and the items."""

    prompt: Prompt
    items: tuple[NumberedItem, ...]
    reason: str = "always"
    """When an answer gives its reason: always, short, low_confidence or never."""

    @property
    def instructions(self) -> str:
        """The part that all calls share."""
        return self.prompt.render(self.reason)

    @property
    def data(self) -> str:
        """The items as a table: a line of column names, a line per item, separated by tabs.

        Spaces, tabs and line ends inside a text become one space, so that nothing can leave its cell.
        """
        columns = list(dict.fromkeys(name for item in self.items for name in item.fields))
        rows = [["id", *(" ".join(name.split()) for name in columns)]]
        rows += [
            [str(item.number), *(" ".join(item.fields.get(name, "").split()) for name in columns)]
            for item in self.items
        ]
        return "\n".join(map("\t".join, rows))


@dataclass(frozen=True, slots=True)
class Writing(Request):
    """A call that asks for free text in place of categories; providers that can answer it have a method `write`."""

    question: str = ""
    material: str = ""

    @property
    def instructions(self) -> str:
        """What is wanted."""
        return self.question

    @property
    def data(self) -> str:
        """What it is about."""
        return self.material


@dataclass(frozen=True, slots=True)
class Usage:
    """What calls have cost.

    >>> Usage(calls=1, input_tokens=10) + Usage(calls=1, output_tokens=5)
    Usage(calls=2, input_tokens=10, cached_tokens=0, output_tokens=5)
    """

    calls: int = 0
    input_tokens: int = 0
    """All tokens that went in, cached ones included."""
    cached_tokens: int = 0
    """Those that the service had seen before and bills at less."""
    output_tokens: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.calls + other.calls,
            self.input_tokens + other.input_tokens,
            self.cached_tokens + other.cached_tokens,
            self.output_tokens + other.output_tokens,
        )


@dataclass(frozen=True, slots=True)
class Response:
    """What a call gave: the answer as text, and what it cost."""

    text: str
    usage: Usage
    truncated: bool = False
    """The answer was cut off at a length limit: its tail is missing, not wrong."""
    finish: str = ""
    """Why the answer ended, in the words of the service."""


class Provider(Protocol):
    """Something that classifies the items of a request. `complete` is called from several threads at once."""

    @property
    def name(self) -> str:
        """The name it is registered under."""
        ...

    @property
    def model(self) -> str:
        """The model that answers."""
        ...

    @property
    def fingerprint(self) -> str:
        """What of the provider decides an answer (model, parameters): part of the key of every kept answer."""
        ...

    def complete(self, request: Request) -> Response:
        """Answer a request; raises CallFailed (see `faults`), or ProviderError where no request can be answered."""
        ...


@dataclass(frozen=True, slots=True)
class BatchState:
    """How far a batch is at the service."""

    status: str
    """As the service calls it."""
    has_ended: bool
    done: int
    """Requests that were answered or failed."""
    files: tuple[str, ...]
    """Where the results are, answers first."""
    errors: str
    """What the service found wrong with the batch as a whole; often nothing."""


class Batches(Protocol):
    """The Batch API of a provider that has one: `provider.batches()`. `openai_batches` says what its methods do."""

    @property
    def url(self) -> str: ...  # noqa: D102
    def line(self, number: int, request: Request) -> bytes: ...  # noqa: D102
    def upload(self, content: bytes) -> str: ...  # noqa: D102
    def create(self, file_id: str) -> str: ...  # noqa: D102
    def find(self, file_id: str) -> str | None: ...  # noqa: D102
    def look(self, batch_id: str) -> BatchState: ...  # noqa: D102
    def delete(self, file_id: str) -> None: ...  # noqa: D102
    def results(self, state: BatchState) -> dict[int, Any]: ...  # noqa: D102
    def read(self, said: Any, request: Request) -> Response: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class _Shipped:
    """A provider of this package, imported when it is first asked for: some need heavy libraries."""

    module: str
    attribute: str

    def load(self) -> Callable[..., Provider]:
        """Import the class."""
        loaded: Callable[..., Provider] = getattr(import_module(self.module), self.attribute)
        return loaded

    def __call__(self, **options: Any) -> Provider:
        """Import the class and make the provider."""
        return self.load()(**options)


PROVIDERS = Registry[Callable[..., Provider]]("provider")
"""Name → what makes the provider from its options."""

for _name, _module, _attribute in [
    ("lexical", "workbench.llm.providers.lexical", "LexicalProvider"),
    ("openai", "workbench.llm.providers.openai", "OpenAIProvider"),
]:
    PROVIDERS.register(_name, _Shipped(_module, _attribute))


def get_provider(name: str, **options: Any) -> Provider:
    """Make a provider; raises NotRegistered for an unknown name, ParameterError for an unknown or missing option."""
    factory = PROVIDERS.get(name)
    if isinstance(factory, _Shipped):
        factory = factory.load()
    _check_options(name, factory, options)
    return factory(**options)


def _check_options(name: str, factory: Callable[..., Provider], options: dict[str, Any]) -> None:
    parameters = signature(factory).parameters.values()
    if any(parameter.kind is Parameter.VAR_KEYWORD for parameter in parameters):
        return
    known = [parameter.name for parameter in parameters]
    if unknown := [option for option in options if option not in known]:
        raise ParameterError(
            f"provider {name!r} has no option {', '.join(map(repr, unknown))}.", hint=nearest(unknown[0], known)
        )
    required = [parameter.name for parameter in parameters if parameter.default is Parameter.empty]
    if missing := [option for option in required if option not in options]:
        raise ParameterError(f"provider {name!r} needs the option {', '.join(map(repr, missing))}.")
