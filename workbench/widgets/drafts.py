"""A prompt that is being edited: checked as a whole, shown as it is sent, compared with what it was, saved as new."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from workbench import llm
from workbench.documents import build
from workbench.errors import PromptError, UsageError
from workbench.llm.chunks import number
from workbench.llm.providers import Request
from workbench.settings import find_file, shown

_VERSION = re.compile(r"\.v(\d+)$")


class PromptDraft:
    """The fields of a prompt file, free to be wrong until `prompt` is asked for."""

    def __init__(self, path: str | Path, reason: str = "always") -> None:
        """Read a prompt file; `reason` as in `classify.reason`. Raises PromptError."""
        self.path = find_file(path)
        self.reason = reason
        self.before = llm.load_prompt(self.path)
        self.fields: dict[str, Any] = self.before.model_dump(mode="json")

    @property
    def categories(self) -> list[dict[str, Any]]:
        """Name, description, keywords and priority of every category."""
        found: list[dict[str, Any]] = self.fields["categories"]
        return found

    @property
    def examples(self) -> list[dict[str, Any]]:
        """Text, category and note of every example."""
        found: list[dict[str, Any]] = self.fields["examples"]
        return found

    def prompt(self) -> llm.Prompt:
        """Check the fields; raises PromptError with every mistake at once."""
        return build(llm.Prompt, self.fields, f"prompt {self.fields['name']!r}", PromptError)

    def sent(self, items: Sequence[dict[str, str]]) -> str:
        """Give the very text of a call: what all calls share, then the items (their clean fields) as data."""
        request = Request(self.prompt(), number(list(items)), self.reason)
        return f"{request.instructions}\n{request.data}"

    def tokens(self) -> int:
        """Estimate the tokens of the part that every call repeats."""
        return llm.estimate_tokens(self.prompt().render(self.reason))

    def changes(self) -> str:
        """Give what differs from the file, line by line; empty where nothing does."""
        before, after = (each.to_yaml().splitlines() for each in (self.before, self.prompt()))
        lines = list(difflib.unified_diff(before, after, self.path.name, "the draft", lineterm="", n=1))
        return "\n".join(lines)

    def next_path(self) -> Path:
        """Name the next version in the folder `parameters/prompts`: `expenses.yaml` → `expenses.v2.yaml`."""
        folder = Path("parameters/prompts")
        stem = _VERSION.sub("", self.path.stem)
        known = (_VERSION.search(path.stem) for path in folder.glob(f"{stem}.v*.yaml"))
        return folder / f"{stem}.v{max([1, *(int(found[1]) for found in known if found)]) + 1}.yaml"

    def save(self, path: str | Path | None = None) -> Path:
        """Write the draft as a new file and go on from it; a file that is there is never overwritten.

        Raises PromptError for a draft with mistakes, UsageError where the file cannot be written.
        """
        target = Path(path) if path else self.next_path()
        prompt = self.prompt()
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("x", encoding="utf-8") as file:
                file.write(prompt.to_yaml())
        except FileExistsError:
            raise UsageError(f"{shown(target.resolve())} is there already.", hint="choose another name.") from None
        except OSError as error:
            raise UsageError(f"cannot write {target}: {error.strerror}.", hint="choose another folder.") from None
        self.path, self.before = target, prompt
        return target
