"""What a refinement proposes: single rules and examples with an id, which people accept or strike."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from workbench.llm.prompt import Prompt, fold

RULE, EXAMPLE = "rule", "example"


def proposal_id(kind: str, text: str, category: str = "") -> str:
    """Name a rule or an example by its content, so that the same proposal has the same id in every iteration.

    >>> proposal_id(RULE, "Items that mention 'toner' belong to 'Papelería', not to 'Cómputo'.")
    'R-323b45'
    """
    content = "\0".join((kind, fold(text), category))
    return f"{kind[0].upper()}-{hashlib.blake2b(content.encode('utf-8', 'replace'), digest_size=3).hexdigest()}"


def ids_in(prompt: Prompt) -> set[str]:
    """Give the ids of a prompt's rules, and of its examples that come from verdicts: what may be struck."""
    examples = (each for each in prompt.examples if each.item_id is not None)
    return {proposal_id(RULE, rule) for rule in prompt.rules} | {
        proposal_id(EXAMPLE, each.text, each.category) for each in examples
    }


@dataclass(frozen=True, slots=True)
class Proposal:
    """A rule or an example that the next prompt may have."""

    kind: str
    """rule or example."""
    text: str
    category: str
    instead_of: str
    """The category that was said where this one is right; empty where nothing was wrong."""
    evidence: tuple[str, ...]
    """The reviewed items that speak for it; of an example the item itself."""
    why: str
    tokens: int
    """What it costs in each call, about."""

    @property
    def proposal_id(self) -> str:
        """The id that people accept or strike it by."""
        return proposal_id(self.kind, self.text, self.category if self.kind == EXAMPLE else "")

    def to_dict(self, status: str) -> dict[str, Any]:
        """Give plain data, as it stands in proposals.json."""
        return {"proposal_id": self.proposal_id, "status": status, **asdict(self), "evidence": list(self.evidence)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Proposal:
        """Read a proposal back from plain data."""
        kept = {field.name: data[field.name] for field in fields(cls)}
        return cls(**kept | {"evidence": tuple(kept["evidence"])})


@dataclass(frozen=True, slots=True)
class Selection:
    """What people want of the proposals: `all`, `none` or the ids in `accept`, without those in `strike`."""

    accept: str | Collection[str] = "all"
    strike: Collection[str] = ()

    def takes(self, name: str) -> bool:
        """Say whether the next prompt gets a new proposal."""
        wanted = self.accept == "all" if isinstance(self.accept, str) else name in self.accept
        return wanted and name not in self.strike


EVERYTHING = Selection()
