"""An iteration explorer: two iterations side by side, and from every move between categories down to its items."""

from __future__ import annotations

import ipywidgets as w
import pandas as pd
from itables.widget import ITable

from workbench import measuring
from workbench.errors import UsageError
from workbench.runs import RunStore, open_store
from workbench.widgets.panel import Panel, guarded, table

ALL = "all items"
COLUMNS = ["text", "before", "after", "score before", "score after", "reason", "rows", "verdict"]


class IterationExplorer(Panel):
    """Compare two iterations of a run and look at the items that changed their category."""

    def __init__(self, run_id: str | None = None, *, store: RunStore | None = None) -> None:
        """Open a run (default: the newest); raises RunNotFound, and UsageError before its first classification."""
        super().__init__()
        self._store = store or open_store()
        self._run = self._store.get(run_id) if run_id else self._store.latest()
        newest = self._store.newest(self._run.run_id, "predictions")
        if newest is None:
            raise UsageError(f"run {self._run.run_id!r} is not classified yet.", hint="go on with it by --resume.")
        numbers = list(range(1, newest + 1))
        self._first = w.Dropdown(options=numbers, value=max(newest - 1, 1), description="Iteration")
        self._second = w.Dropdown(options=numbers, value=newest, description="against")
        self._move = w.Dropdown(options=[ALL], description="Show", layout=w.Layout(width="560px"))
        self._verdict = w.HTML()
        self._items = ITable(pd.DataFrame(columns=COLUMNS), showIndex=False, pageLength=10)
        for choice in (self._first, self._second):
            choice.observe(self._compare, "value")
        self._move.observe(self._drill, "value")
        self.fill(w.HBox([self._first, self._second]), self._verdict, self._move, self._items)
        self._compare()

    def still(self) -> str:
        """Give the comparison in words."""
        return str(self._verdict.value)

    @guarded
    def _compare(self, *_: object) -> None:
        first, second = self._first.value, self._second.value
        self._frame = item_changes(self._store, self._run.run_id, first, second)
        moved = self._frame[self._frame["before"] != self._frame["after"]]
        counts = moved.groupby(["before", "after"]).size().sort_values(ascending=False).reset_index(name="n")
        moves = {f"{row.before} → {row.after} ({row.n:,})": (row.before, row.after) for row in counts.itertuples()}
        self._verdict.value = self._told(first, second)
        self._move.options = {f"{ALL} ({len(self._frame):,})": None, **moves}
        self.say(f"{len(moved):,} of {len(self._frame):,} items changed their category.")
        self._drill()

    def _told(self, first: int, second: int) -> str:
        if first >= second:
            return "" if first == second else "Choose the earlier iteration first."
        found = measuring.compare(self._run, self._store, first, second)
        return table([(sentence,) for sentence in found["recommendations"]], [f"iteration {first} against {second}"])

    @guarded
    def _drill(self, *_: object) -> None:
        frame, move = self._frame, self._move.value
        if move is not None:
            frame = frame[(frame["before"] == move[0]) & (frame["after"] == move[1])]
        self._items.update(frame[COLUMNS].reset_index(drop=True), showIndex=False)


def item_changes(store: RunStore, run_id: str, first: int, second: int) -> pd.DataFrame:
    """Give every item with what two iterations say of it, those that stand for most rows first."""
    before, after = (store.load(run_id, "predictions", each).set_index("item_id") for each in (first, second))
    items = store.load(run_id, "items").set_index("item_id")
    validations = store.validations(run_id).drop_duplicates("item_id", keep="last").set_index("item_id")
    true = validations["category"].where(validations["is_correct"].astype(bool), validations["corrected_category"])
    frame = pd.DataFrame(
        {
            "text": measuring.texts_of(store, run_id),
            "before": before["category"],
            "after": after["category"],
            "score before": before["score"],
            "score after": after["score"],
            "reason": after["reason"],
            "rows": items["n_rows"],
            "verdict": true,
        }
    )
    ordered: pd.DataFrame = frame.loc[items.index].sort_values("rows", ascending=False, kind="stable")
    return ordered
