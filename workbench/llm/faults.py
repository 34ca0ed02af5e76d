"""What can go wrong with one call while other calls still may succeed; what stops everything is a plain ProviderError.

ProviderError               the classifier cannot answer at all: key, model, quota; the run stops
└── CallFailed              this call failed; the classifier decides what becomes of its items
    ├── RateLimited         too many calls or tokens: everybody waits, and it does not count as an attempt
    ├── Transient           the service or the line broke down: asked again after a while
    │   ├── TooSlow         no answer in time: the next chunks are smaller
    │   └── Unreachable     nothing answers there, or nothing that speaks the protocol
    ├── Unanswered          a batch ended without it: asked again in the next one
    ├── WrongFormat         a batch was refused the format of its answers: asked again in another
    ├── TooLong             the call does not fit into the model: asked again in halves
    └── Rejected            the service does not take what stands in the call: halved until the item stands alone
        └── Refused         a content filter or the model itself: asking the same again does not help
"""

from __future__ import annotations

from workbench.errors import ProviderError
from workbench.llm.providers import Usage

NO_USAGE = Usage(calls=1)


class CallFailed(ProviderError):
    """One call failed."""

    def __init__(
        self, message: str, *, hint: str | None = None, usage: Usage = NO_USAGE, wait: float | None = None
    ) -> None:
        """Keep what the call has cost, and how many seconds the service asks us to wait, if it says so."""
        super().__init__(message, hint=hint)
        self.usage = usage
        self.wait = wait


class RateLimited(CallFailed):
    """The service asks us to slow down."""


class Transient(CallFailed):
    """The service or the line broke down."""


class TooSlow(Transient):
    """There was no answer in time."""


class Unreachable(Transient):
    """Nothing answers at the address, or nothing that speaks the protocol."""


class Unanswered(CallFailed):
    """A batch ended without an answer to the call."""


class WrongFormat(CallFailed):
    """The endpoint refuses the format in which answers were asked for; another was chosen."""


class TooLong(CallFailed):
    """The call is too long for the model."""


class Rejected(CallFailed):
    """The service does not take what stands in the call."""


class Refused(Rejected):
    """A content filter or the model does not want to answer."""
