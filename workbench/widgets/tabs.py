"""The loop by clicking, in three tabs: data and cleaning, pipeline, validation.

What is clicked together is a parameters file like any other, and the run is `workbench run` in the background: the
notebook may be closed and opened again, and the same file runs on a schedule.
"""

from __future__ import annotations

import html
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

import ipywidgets as w

from workbench import dedup, llm, plots, sampling
from workbench.errors import UsageError
from workbench.parameters import Parameters, load_parameters, parse_parameters, run_name
from workbench.records import RunState
from workbench.runs import RunStore, Session, open_store
from workbench.settings import find_file, shown
from workbench.widgets.background import write_parameters
from workbench.widgets.cleaning import CleaningPreview
from workbench.widgets.explorer import IterationExplorer
from workbench.widgets.files import FilePicker
from workbench.widgets.monitor import ClassificationMonitor
from workbench.widgets.panel import Panel, button, file_list, guarded
from workbench.widgets.prompts import PromptEditor

STEPS = ("1 · Data and cleaning", "2 · Pipeline", "3 · Validation")


class Workbench(Panel):
    """Files → cleaning → prompt → run → review, without writing YAML."""

    def __init__(self, parameters_file: str = "parameters/demo.yaml") -> None:
        """Begin with the values of a parameters file, or go on from where the last page of it was left."""
        super().__init__()
        self._store = open_store()
        self._session = _session_of(self._store, parameters_file)
        kept = self._session.state
        self._start = _start_of(kept, parameters_file)
        self.data = DataTab(self._start)
        self.pipeline = PipelineTab(self._start, self._parameters, self._store, self._started)
        self.validation = ValidationTab(self._store)
        self._tabs = w.Tab([tab.box for tab in (self.data, self.pipeline, self.validation)], titles=STEPS)
        if self._session.current_step in STEPS:
            self._tabs.selected_index = STEPS.index(self._session.current_step)
        if kept.get("run_id") and self._store.exists(kept["run_id"]):
            self._opened(kept["run_id"])
        self._turned()
        self._tabs.observe(self._turned, "selected_index")
        self.fill(self._tabs)

    def still(self) -> str:
        """Say what is to be seen here."""
        return "<p>Three tabs to click through: data and cleaning, pipeline, validation. Open it in JupyterLab.</p>"

    def _parameters(self) -> Parameters:
        told = self._start.to_dict()
        for section, values in (*self.data.value.items(), *self.pipeline.value.items()):
            told[section] = {**told[section], **values}
        return parse_parameters(told, "what was clicked")

    def _started(self, run_id: str) -> None:
        self._store.update_manifest(run_id, session_id=self._session.session_id)
        self._opened(run_id)

    def _opened(self, run_id: str) -> None:
        self.pipeline.open(run_id)
        self.validation.run_id = run_id
        self._remember(run_id=run_id)

    def _remember(self, **state: Any) -> None:
        """Keep where the page is, for when it is loaded anew."""
        with suppress(UsageError):  # what is not picked yet cannot be kept
            state["parameters"] = self._parameters().to_dict()
        step = STEPS[self._tabs.selected_index or 0]
        self._session = self._store.sessions().update(self._session.session_id, current_step=step, state=state)

    @guarded
    def _turned(self, *_: object) -> None:
        self._remember()
        if self._tabs.selected_index == 2:
            self.validation.refresh()


def _session_of(store: RunStore, parameters_file: str) -> Session:
    """Find the session that was begun with this file, or begin one."""
    living = (each for each in store.sessions().living() if each.state.get("parameters_file") == parameters_file)
    return next(living, None) or store.sessions().create(STEPS[0], {"parameters_file": parameters_file})


def _start_of(kept: dict[str, Any], parameters_file: str) -> Parameters:
    """Give what the page shows first: what was clicked before, or the file, whose name is not that of a new run."""
    if "parameters" in kept:
        return parse_parameters(kept["parameters"])
    told = load_parameters(find_file(parameters_file)).to_dict()
    return parse_parameters({**told, "run": {**told["run"], "name": "my-run"}})


class DataTab(Panel):
    """Which files, which columns, how they are cleaned, and what counts as the same."""

    def __init__(self, start: Parameters) -> None:
        super().__init__()
        options = start.ingest
        first = find_file(options.input[0])
        folder = first.parent if first.parent.is_dir() else Path()
        self._picker = FilePicker(str(folder), files=[Path(path).name for path in options.input])
        self._picker.pick(options.columns, options.amount_column, start.validate_.gold_column)
        self._same = w.Dropdown(options=list(dedup.STRATEGIES), value=options.deduplication, description="Same item")
        self._preview: CleaningPreview | None = None
        self._pipeline_name = options.pipeline
        self._place = w.VBox()
        self.fill(self._picker.box, self._same, button("Preview the cleaning", self._show), self._place)

    @property
    def value(self) -> dict[str, dict[str, Any]]:
        """What was chosen, by section of the parameters file; raises UsageError where something is missing."""
        picked = self._picker.value
        if not picked["input"] or not picked["columns"]:
            raise UsageError("no files or no columns are picked.", hint="pick them in the first tab.")
        truth = picked.pop("gold_column")
        pipeline = self._preview.pipeline if self._preview else self._pipeline_name
        ingest = {**picked, "pipeline": pipeline, "deduplication": self._same.value}
        return {"ingest": ingest, "validate": {"gold_column": truth}}

    @guarded
    def _show(self) -> None:
        picked = self.value["ingest"]
        if self._preview is None:
            self._preview = CleaningPreview(picked["input"][0], picked["columns"], pipeline=self._pipeline_name)
        else:
            self._preview.open(picked["input"][0], picked["columns"])
        self._place.children = (self._preview.box,)


class PipelineTab(Panel):
    """The prompt, who classifies, what it will cost, and the run."""

    def __init__(self, start: Parameters, parameters: Any, store: RunStore, started: Any) -> None:
        super().__init__()
        self._parameters, self._store, self._started = parameters, store, started
        options = start.classify
        self._editor = PromptEditor(find_file(options.prompt), reason=options.reason)
        self._provider = w.Dropdown(options=list(llm.PROVIDERS), value=options.provider, description="Provider")
        self._model = w.Text(options.model or "", description="Model")
        self._chunk = w.BoundedIntText(options.chunk_size, min=1, max=1000, description="Items a call")
        self._turns = w.BoundedIntText(start.run.iterations, min=1, max=50, description="Iterations")
        self._sampling = w.Dropdown(
            options=list(sampling.STRATEGIES), value=start.validate_.strategy, description="Sample"
        )
        self._size = w.BoundedIntText(start.validate_.sample_size, min=1, max=100_000, description="Sample size")
        self._name = w.Text(start.run.name, description="Run name")
        self._name.observe(self._named, "value")
        self._monitor: ClassificationMonitor | None = None
        self._place = w.VBox()
        rows = [[self._provider, self._model, self._chunk], [self._turns, self._sampling, self._size], [self._name]]
        actions = [button("What will it cost?", self._estimate), button("Start the run", self._go, style="primary")]
        actions.append(button("Go on with this run", self._resume))
        self.fill(self._editor.box, *(w.HBox(row) for row in rows), w.HBox(actions), self._place)

    @property
    def value(self) -> dict[str, dict[str, Any]]:
        """What was chosen, by section of the parameters file."""
        return {
            "run": {"name": self._name.value, "iterations": self._turns.value},
            "classify": {
                "prompt": shown(Path(self._editor.path).resolve()),
                "provider": self._provider.value,
                "model": self._model.value or None,
                "chunk_size": self._chunk.value,
            },
            "validate": {"strategy": self._sampling.value, "sample_size": self._size.value},
        }

    def open(self, run_id: str) -> None:
        """Look on at a run."""
        if self._monitor is not None:
            self._monitor.close()
        self._monitor = ClassificationMonitor(run_id, store=self._store)
        self._monitor.watch()
        self._place.children = (self._monitor.box,)

    def _named(self, *_: object) -> None:
        """Say what a name may hold while it is typed."""
        try:
            run_name(self._name.value)
        except ValueError as fault:
            self.say(f"{fault}.", bad=True)
        else:
            self.say("")

    @guarded
    def _estimate(self) -> None:
        from workbench import classification

        self.say(str(classification.estimate_input(self._parameters(), self._store)))

    @guarded
    def _go(self) -> None:
        from workbench import workflow

        if self._monitor is not None and self._monitor.run.worker():
            at_work = f"{self._monitor.run.run_id} has been started and is at work."
            raise UsageError(at_work, hint="stop it before another one is started here.")
        parameters = self._parameters()
        run = workflow.start(parameters, self._store)
        self._started(run.run_id)
        self._work(parameters)

    @guarded
    def _resume(self) -> None:
        from workbench import workflow

        if self._monitor is None:
            raise UsageError("there is no run yet.", hint="start one.")
        self._work(workflow.parameters_of(self._store.get(self._monitor.run.run_id)))

    def _work(self, parameters: Parameters) -> None:
        assert self._monitor is not None
        wanted = Path("parameters") / f"{parameters.run.name}.yaml"
        file = write_parameters(parameters, wanted)
        self._monitor.run.go(file)
        self._monitor.watch()
        why = "" if file == wanted else f" ({wanted} is there already and stays as it is)"
        self.say(f"the parameters are in {file}{why}: `workbench run {file}` does the same again.")


class ValidationTab(Panel):
    """What people said and what it means: the sheet to fill in, the numbers, two iterations compared."""

    def __init__(self, store: RunStore) -> None:
        super().__init__()
        self._store = store
        self.run_id: str | None = None
        self._numbers, self._links, self._place = w.HTML(), w.HTML(), w.VBox()
        self.fill(button("Look again", self.refresh), self._numbers, self._links, self._place)

    @guarded
    def refresh(self) -> None:
        """Show what there is by now."""
        from workbench import report

        if self.run_id is None:
            raise UsageError("there is no run yet.", hint="start one in the second tab.")
        found = report.summary(self._store, self.run_id)
        told = "".join(map(_answer, found["answers"])) or "<p>There is nothing to measure yet.</p>"
        self._numbers.value = f"<h3>{self.run_id}: {found['state'].replace('_', ' ')}</h3>{told}"
        self._links.value = self._linked()
        if self._store.newest(self.run_id, "predictions"):
            self._place.children = (IterationExplorer(self.run_id, store=self._store).box,)

    def _linked(self) -> str:
        run = self._store.get(self.run_id or "")
        told = ""
        if run.state == RunState.AWAITING_REVIEW:
            command = html.escape(f"workbench review {run.run_id}")
            told = f"<p>Review it in a terminal: <code>{command}</code>. Then go on in the second tab.</p>"
        names = {"review_sheet": self._store.newest(run.run_id, "sample"), "report": None, "classified_workbook": None}
        there = [each for each in names.items() if self._store.has(run.run_id, *each)]
        return told + file_list(self._store.path(run.run_id, *each) for each in there)


def _answer(answer: dict[str, Any]) -> str:
    """Lay out one of the six questions with its sentences and its chart."""
    told = "".join(f"<p>{html.escape(sentence)}</p>" for sentence in answer["sentences"])
    sentences = re.sub("`([^`]+)`", r"<code>\1</code>", told)
    drawn = plots.to_svg(plots.chart(answer["chart"])) if answer["chart"] else ""
    return f"<h4>{html.escape(answer['question'])}</h4>{sentences}{drawn}"
