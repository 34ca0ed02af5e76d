"""The history of all runs: with state, sizes, accuracy and cost; opened, compared, and run again."""

from __future__ import annotations

from contextlib import chdir
from typing import Any

import ipywidgets as w
import pandas as pd
from itables.widget import ITable

from workbench import workflow
from workbench.runs import RunStore, open_store
from workbench.settings import shown
from workbench.values import amount_text
from workbench.widgets.background import BackgroundRun, folder_of
from workbench.widgets.panel import Panel, button, file_list, frame_table, guarded, table

FILES = ("report", "classified_workbook")
COLUMNS = ["run", "state", "iterations", "files", "rows", "items", "accuracy", "95 % interval", "cost USD", "made"]


class RunHistory(Panel):
    """All runs, newest first; one is opened, two are compared, and any is run again with the same parameters."""

    def __init__(self, *, store: RunStore | None = None) -> None:
        """Open the runs of this folder, unless told otherwise."""
        super().__init__()
        self._store = store or open_store()
        self._table = ITable(pd.DataFrame(columns=COLUMNS), showIndex=False, pageLength=15, order=[])
        self._started: list[BackgroundRun] = []
        self._run = w.Dropdown(description="Run")
        self._other = w.Dropdown(description="against")
        self._details = w.HTML()
        for choice in (self._run, self._other):
            choice.observe(self._show, "value")
        again = button("Run again with the same parameters", self.rerun, tip="a new run, in the background")
        self.fill(self._table, w.HBox([self._run, self._other]), self._details, again, button("Refresh", self.refresh))
        self.refresh()

    def still(self) -> str:
        """Give the list as HTML."""
        return frame_table(history(self._store))

    @guarded
    def refresh(self) -> None:
        """Read the runs anew."""
        found, chosen = history(self._store), self._run.value
        self._table.update(found)
        names = list(found["run"])
        self._other.options = {"nothing": "", **{name: name for name in names}}
        self._run.options = names
        self._run.value = chosen if chosen in names else next(iter(names), None)
        self.say(f"{len(names):,} run{'' if len(names) == 1 else 's'} in {shown(self._store.folder)}.")
        self._show()

    @guarded
    def rerun(self) -> None:
        """Start a new run with the parameters of the chosen one."""
        if self._run.value:
            parameters = workflow.parameters_of(self._store.get(self._run.value))
            with chdir(folder_of(self._store, self._run.value)):  # where its relative paths count from
                run = workflow.start(parameters, self._store)
            self._started.append(BackgroundRun(self._store, run.run_id))
            self._started[-1].go(run.folder / "run.json")
            self.refresh()
            self.say(f"{run.run_id} has started: workbench show {run.run_id} --follow.")

    @guarded
    def _show(self, *_: object) -> None:
        if not self._run.value:
            self._details.value = ""
        elif self._other.value:
            names = (self._run.value, self._other.value)
            self._details.value = table(side_by_side(self._store, *names), ["", *names])
        else:
            self._details.value = _files(self._store, self._run.value)


def history(store: RunStore) -> pd.DataFrame:
    """List all runs as people read them; columns `COLUMNS`, unknown numbers are empty texts."""
    batches = store.batch_pipelines()
    files = dict(zip(batches["batch_id"], batches["total_files"], strict=True)) if len(batches) else {}
    lines = [_line(run, files.get(run["run_id"])) for run in store.list().to_dict("records")]
    return pd.DataFrame(lines, columns=COLUMNS)


def _line(run: dict[Any, Any], files: Any) -> list[str]:
    interval = _percent(run["accuracy_low"]) and f"{_percent(run['accuracy_low'])} to {_percent(run['accuracy_high'])}"
    state = str(run["state"]).replace("_", " ") + (" (pinned)" if run["pinned"] else "")
    counts = [_count(value) for value in (run["iteration"], files, run["rows"], run["items"])]
    cost = "" if run["cost_usd"] != run["cost_usd"] else amount_text(run["cost_usd"])
    made = f"{run['created_at']:%Y-%m-%d %H:%M}"
    return [run["run_id"], state, *counts, _percent(run["accuracy"]), interval, cost, made]


def _percent(share: Any) -> str:
    return "" if share is None or share != share else f"{100 * share:.1f} %"


def _count(value: Any) -> str:
    return "" if value is None or value != value else f"{int(value):,}"


def side_by_side(store: RunStore, first: str, second: str) -> list[tuple[str, str, str]]:
    """Set two runs side by side: their numbers, then the parameters that differ."""
    listed = history(store).set_index("run")
    rows = [(name, str(listed.at[first, name]), str(listed.at[second, name])) for name in COLUMNS[1:]]
    one, other = (_flat(store.get(name).parameters) for name in (first, second))
    names = [name for name in dict.fromkeys([*one, *other]) if one.get(name) != other.get(name)]
    return [*rows, *((name, str(one.get(name)), str(other.get(name))) for name in names)]


def _flat(parameters: dict[str, Any]) -> dict[str, Any]:
    sections = {name: section for name, section in parameters.items() if isinstance(section, dict)}
    return {f"{name}.{key}": value for name, section in sections.items() for key, value in section.items()}


def _files(store: RunStore, run_id: str) -> str:
    """Link what people read of a run: its report, its workbook, its executed notebooks."""
    folder = store.get(run_id).folder
    paths = [path for name in FILES if (path := store.path(run_id, name)).is_file()]
    paths += sorted(folder.glob("*/[0-9][0-9]_*.ipynb"))
    return file_list(paths) if paths else "<p class='wb-soft'>It has written nothing to open yet.</p>"
