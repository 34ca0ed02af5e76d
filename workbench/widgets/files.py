"""A file and column picker: what lies in a folder, what is in the files, and which columns are to be classified."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ipywidgets as w
import pandas as pd
from itables.widget import ITable

from workbench import readers
from workbench.errors import UsageError
from workbench.settings import find_file
from workbench.widgets.panel import Panel, button, frame_table, guarded, table

NONE = "(none)"


class FilePicker(Panel):
    """Pick files, and the columns in them; `value` is what the `ingest` section of a parameters file wants to know.

    >>> FilePicker("examples", files=["expenses.csv"]).value["input"]
    ['examples/expenses.csv']
    """

    def __init__(self, folder: str = ".", *, files: list[str] | None = None, columns: list[str] | None = None) -> None:
        """Look into a folder; `files` and `columns` are picked from the start."""
        super().__init__()
        self._folder = w.Text(folder, description="Folder", continuous_update=False, layout=w.Layout(width="420px"))
        self._files = w.SelectMultiple(description="Files", rows=6, layout=w.Layout(width="420px"))
        self._amount = w.Dropdown(options=[NONE], description="Amount")
        self._truth = w.Dropdown(options=[NONE], description="Truth")
        self._facts = w.HTML()
        self._columns = ITable(pd.DataFrame({"column": []}), **_TABLE)
        self.schema: readers.SchemaReport | None = None
        self._folder.observe(self._look, "value")
        self._files.observe(self._inspect, "value")
        again = button("Look again", self._look, tip="read the folder anew")
        choices = w.HBox([self._amount, self._truth])
        hint = w.HTML("Click the columns that are to be cleaned and classified:")
        self.fill(w.HBox([self._folder, again]), self._files, self._facts, hint, self._columns, choices)
        self._look()
        self._files.value = [path for path in self._files.options if Path(path).name in (files or [])]
        self.pick(columns or [])

    @property
    def value(self) -> dict[str, Any]:
        """What was picked: `input`, `columns`, `amount_column` and `gold_column`."""
        names = self._names()
        return {
            "input": list(self._files.value),
            "columns": [names[row] for row in sorted(self._columns.selected_rows) if row < len(names)],
            "amount_column": None if self._amount.value == NONE else self._amount.value,
            "gold_column": None if self._truth.value == NONE else self._truth.value,
        }

    def pick(self, columns: list[str], amount: str | None = None, truth: str | None = None) -> None:
        """Pick columns by name; those that the files lack are left out."""
        self._columns.selected_rows = [row for row, name in enumerate(self._names()) if name in columns]
        for choice, name in ((self._amount, amount), (self._truth, truth)):
            choice.value = name if name in choice.options else NONE

    def still(self) -> str:
        """Give the columns as a table."""
        return frame_table(self._frame())

    @guarded
    def _look(self, *_: object) -> None:
        folder = find_file(self._folder.value)
        if not folder.is_dir():
            self._files.options = []
            raise UsageError(f"there is no folder {folder}.", hint="write the path of a folder that holds files.")
        found = sorted(path.as_posix() for path in folder.iterdir() if path.suffix.lower() in readers.SUFFIXES)
        self._files.options = found
        self.say(f"{len(found)} file{'' if len(found) == 1 else 's'} that can be read in {folder}.")

    @guarded
    def _inspect(self, *_: object) -> None:
        self.schema = readers.inspect_files(list(self._files.value)) if self._files.value else None
        names = self._names()
        self._amount.options = self._truth.options = [NONE, *names]
        self._columns.update(self._frame(), selected_rows=[], showIndex=False)
        read = self.schema.readable if self.schema else []
        self._facts.value = table(
            [(file.path, file.format, file.rows, "; ".join(file.notes)) for file in read],
            ["file", "kind", "rows", "notes"],
        )
        if self.schema and self.schema.faults:
            self.say("; ".join(f"{path}: {fault}" for path, fault in self.schema.faults.items()), bad=True)

    def _names(self) -> list[str]:
        return [column.column_name for column in self.schema.compatibility] if self.schema else []

    def _frame(self) -> pd.DataFrame:
        """Give one row per column, over all files."""
        found: dict[str, dict[str, Any]] = {}
        for file in self.schema.readable if self.schema else []:
            for column in file.columns:
                entry = found.setdefault(column.name, {"types": [], "nulls": 0, "samples": [], "files": 0})
                entry["types"] += [column.type] if column.type not in entry["types"] else []
                entry["nulls"] += column.nulls
                entry["samples"] += [str(value)[:24] for value in column.samples if len(entry["samples"]) < 3]
                entry["files"] += 1
        rows = [
            (name, " / ".join(e["types"]), e["nulls"], ", ".join(e["samples"][:3]), e["files"])
            for name, e in found.items()
        ]
        return pd.DataFrame(rows, columns=["column", "type", "empty cells", "samples", "files"])


_TABLE: dict[str, Any] = {
    "select": True,
    "pageLength": 12,
    "lengthMenu": [12, 50],
    "ordering": False,
    "showIndex": False,
}
