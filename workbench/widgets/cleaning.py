"""A cleaning preview: what a pipeline makes of some random rows, before and after, and step by step."""

from __future__ import annotations

import html
from pathlib import Path

import ipywidgets as w
import pandas as pd
from itables.widget import ITable

from workbench import readers, refinery
from workbench.records import clean_name
from workbench.settings import find_file
from workbench.widgets.panel import Panel, button, frame_table, guarded, table

ROWS = 10


class CleaningPreview(Panel):
    """Try pipelines on random rows of a file; click a row to see what each step did to it."""

    def __init__(
        self,
        rows: str | Path | pd.DataFrame,
        columns: list[str],
        *,
        pipeline: str = "v3",
        abbreviations: str | None = None,
        seed: int = 7,
    ) -> None:
        """Take rows, or read the beginning of a file; raises ReadError and ColumnNotFound."""
        super().__init__()
        self._abbreviations, self._seed = abbreviations, seed
        self._pipeline = w.Dropdown(options=list(refinery.PIPELINES), value=pipeline, description="Pipeline")
        self._pipeline.observe(self._draw, "value")
        self._rows = ITable(pd.DataFrame(), select="single", paging=False, ordering=False, showIndex=False)
        self._rows.observe(self._explain, "selected_rows")
        self._steps = w.HTML()
        self.fill(w.HBox([self._pipeline, button("Ten others", self._redraw)]), self._rows, self._steps)
        self.open(rows, columns)

    @property
    def pipeline(self) -> str:
        """The pipeline that is chosen."""
        return str(self._pipeline.value)

    def open(self, rows: str | Path | pd.DataFrame, columns: list[str]) -> None:
        """Look at other columns or rows; of a file only the beginning is read."""
        self._columns = columns
        self._table = rows if isinstance(rows, pd.DataFrame) else next(iter(readers.batches(find_file(rows))))
        self._show()

    def still(self) -> str:
        """Give the rows before and after as a table."""
        return frame_table(self._shown)

    @guarded
    def _draw(self, *_: object) -> None:
        self._show()

    def _show(self) -> None:
        chosen = self._chosen()
        self._shown = chosen.preview(self._table, self._columns, rows=ROWS, seed=self._seed)
        self._rows.update(self._shown.reset_index(drop=True), selected_rows=[], showIndex=False)
        self._steps.value = ""
        changed = sum((self._shown[name] != self._shown[clean_name(name)]).any() for name in self._columns)
        self.say(f"{ROWS} of {len(self._table):,} rows; {changed} of {len(self._columns)} columns change in them.")

    @guarded
    def _redraw(self) -> None:
        self._seed += 1
        self._draw()

    @guarded
    def _explain(self, *_: object) -> None:
        told = []
        for row in self._rows.selected_rows[:1]:
            for name in self._columns:
                text = self._shown[name].iloc[row]
                traces = self._chosen().explain(text) if isinstance(text, str) else []
                told.append(
                    f"<b>{html.escape(name)}</b>"
                    + table([(each.step, each.after, each.why) for each in traces], STEP_HEAD)
                )
        self._steps.value = "".join(told)

    def _chosen(self) -> refinery.Pipeline:
        return refinery.get_pipeline(self.pipeline, abbreviations=self._abbreviations)


STEP_HEAD = ["step", "text after it", "what it did"]
