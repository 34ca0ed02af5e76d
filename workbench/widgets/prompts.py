"""A prompt editor: categories, rules and examples, with a preview of exactly what is sent."""

from __future__ import annotations

import html
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ipywidgets as w

from workbench.widgets.drafts import PromptDraft
from workbench.widgets.panel import Panel, button, code, guarded

_WIDE = w.Layout(width="98%", height="120px")
_TALL = w.Layout(width="98%", height="260px")


class PromptEditor(Panel):
    """Edit a prompt file and save it as a new version; `path` is the version that was saved last."""

    def __init__(self, path: str | Path, *, items: Sequence[dict[str, str]] = (), reason: str = "always") -> None:
        """Open a prompt file; `items` (clean fields of some items) show what a call looks like. Raises PromptError."""
        super().__init__()
        self.draft = PromptDraft(path, reason)
        self._items = list(items) or [{"text": "…"}]
        fields = self.draft.fields
        self._role = w.Textarea(fields["role"], description="Role", layout=_WIDE)
        self._task = w.Textarea(fields["text"] or fields["task"], description="Task", layout=_WIDE)
        self._rules = w.Textarea("\n".join(fields["rules"]), layout=_TALL, placeholder="one rule per line")
        self._categories = Entries(self.draft.categories, _CATEGORY, "category")
        self._examples = Entries(self.draft.examples, _EXAMPLE, "example")
        self._examples.offer("category", [entry["name"] for entry in self.draft.categories])
        self._sent, self._changes = w.HTML(), w.HTML()
        pages = {
            "Categories": self._categories.box,
            "Rules": self._rules,
            "Examples": self._examples.box,
            "Role and task": w.VBox([self._role, self._task]),
            "What is sent": self._sent,
            "Changes": self._changes,
        }
        self._tabs = w.Tab(list(pages.values()), titles=tuple(pages))
        self._tabs.observe(self._refresh, "selected_index")
        self._name = w.Text(str(self.draft.next_path()), description="New file", layout=w.Layout(width="480px"))
        save = button("Save as new version", self._save, style="primary")
        self.fill(self._tabs, w.HBox([self._name, save, button("Check", self._refresh)]))
        self._refresh()

    @property
    def path(self) -> Path:
        """The file that was opened, or saved last."""
        return self.draft.path

    def still(self) -> str:
        """Give what is sent."""
        return code(self.draft.sent(self._items))

    def _collect(self) -> None:
        fields = self.draft.fields
        fields["role"] = self._role.value
        fields["text" if fields["text"] is not None else "task"] = self._task.value
        fields["rules"] = [line for line in self._rules.value.splitlines() if line.strip()]
        self._categories.keep()
        self._examples.keep()
        self._examples.offer("category", [entry["name"] for entry in self.draft.categories])

    @guarded
    def _refresh(self, *_: object) -> None:
        self._collect()
        draft = self.draft
        self._sent.value = code(draft.sent(self._items))
        changes = draft.changes()
        self._changes.value = _coloured(changes) if changes else "Nothing has changed."
        examples = len(draft.examples)
        self.say(
            f"about {draft.tokens():,} tokens in every call · {len(draft.categories)} categories · {examples} examples"
            f" · version {draft.prompt().fingerprint}"
        )

    @guarded
    def _save(self) -> None:
        self._collect()
        saved = self.draft.save(self._name.value)
        self._name.value = str(self.draft.next_path())
        self._refresh()
        self.say(f"saved as {saved}.")


class Entries:
    """A list on the left, the fields of the entry that is picked on the right."""

    def __init__(self, entries: list[dict[str, Any]], fields: dict[str, w.Widget], noun: str) -> None:
        self._entries, self._noun = entries, noun
        self._list = w.Select(rows=14, layout=w.Layout(width="240px"))
        self._fields = {name: make() for name, make in fields.items()}
        self._current: int | None = None
        self._list.observe(self._pick, "index")
        buttons = w.HBox([button(f"New {noun}", self._add), button("Remove", self._remove)])
        self.box = w.HBox(
            [w.VBox([self._list, buttons]), w.VBox(list(self._fields.values()), layout=w.Layout(flex="1"))]
        )
        self._show(0 if entries else None)

    def keep(self) -> None:
        """Write the fields on the screen into their entry."""
        if self._current is not None:
            for name, field in self._fields.items():
                self._entries[self._current][name] = _read(field, name)

    def offer(self, name: str, options: list[str]) -> None:
        """Give a choice field its options, keeping what is chosen."""
        field = self._fields[name]
        chosen = field.value
        field.options = [*dict.fromkeys([*options, *([chosen] if chosen else [])])]
        field.value = chosen

    def _show(self, index: int | None) -> None:
        self._current = None  # so that redrawing the list keeps nothing
        self._list.options = [
            f"{number}. {next(iter(entry.values()))}" for number, entry in enumerate(self._entries, 1)
        ]
        self._list.index = index
        self._current = index
        for name, field in self._fields.items():
            value = None if index is None else self._entries[index].get(name)
            _write(field, name, value)

    def _pick(self, change: dict[str, Any]) -> None:
        if self._current is not None and change["new"] != self._current:
            self.keep()
            self._show(change["new"])

    def _add(self) -> None:
        self.keep()
        first, *others = self._fields
        self._entries.append({first: f"new {self._noun}", **dict.fromkeys(others)})
        self._show(len(self._entries) - 1)

    def _remove(self) -> None:
        if self._current is not None:
            del self._entries[self._current]
            self._show(min(self._current, len(self._entries) - 1) if self._entries else None)


def _read(field: w.Widget, name: str) -> Any:
    if name == "keywords":
        return [word.strip() for word in field.value.split(",") if word.strip()]
    return field.value if field.value is not None else ""


def _write(field: w.Widget, name: str, value: Any) -> None:
    if isinstance(field, w.Dropdown):
        field.options = [*dict.fromkeys([*field.options, *([value] if value else [])])]
        field.value = value or None
    elif isinstance(field, w.IntText):
        field.value = value or 0
    else:
        field.value = ", ".join(value or []) if name == "keywords" else value or ""


def _coloured(changes: str) -> str:
    lines = []
    for line in changes.splitlines():
        kind = "wb-add" if line.startswith("+") else "wb-bad" if line.startswith("-") else "wb-soft"
        lines.append(f"<span class='{kind}'>{html.escape(line)}</span>")
    return f"<pre class='wb'>{chr(10).join(lines)}</pre>"


_FIELD = w.Layout(width="98%")
_CATEGORY: dict[str, Any] = {
    "name": lambda: w.Text(description="Name", layout=_FIELD),
    "description": lambda: w.Textarea(description="What it is", rows=5, layout=_FIELD),
    "keywords": lambda: w.Textarea(description="Keywords", placeholder="separated by commas", layout=_FIELD),
    "priority": lambda: w.IntText(description="Priority"),
}
_EXAMPLE: dict[str, Any] = {
    "text": lambda: w.Text(description="Text", layout=_FIELD),
    "category": lambda: w.Dropdown(description="Category", layout=_FIELD),
    "note": lambda: w.Textarea(description="Why", layout=_FIELD),
}
