"""The notebooks' widgets without a browser: what they pick, show, save, start and stop."""

import time

import pandas as pd
import pytest
import yaml

from workbench.errors import ColumnNotFound, PromptError, UsageError
from workbench.parameters import load_parameters, parse_parameters
from workbench.records import RunState
from workbench.runs import open_store
from workbench.widgets import (
    ClassificationMonitor,
    CleaningPreview,
    FilePicker,
    IterationExplorer,
    PromptEditor,
    Workbench,
)
from workbench.widgets.background import BackgroundRun, write_parameters
from workbench.widgets.drafts import PromptDraft
from workbench.widgets.explorer import item_changes

PROMPT = {"name": "gastos", "categories": ["Viajes", "Limpieza", "Otros", "Indeterminado"], "rules": ["Uno."]}
ROWS = "Concepto,Importe,Real\nTAXI AEROPUERTO,120.5,Viajes\nCLORO 5 LTS,30,Limpieza\nJABÓN <b>X</b>,12,Limpieza\n"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WORKBENCH_RUNS", raising=False)
    (tmp_path / "gastos.csv").write_text(ROWS, encoding="utf-8")
    (tmp_path / "otros.csv").write_text("Concepto,Fecha\nHOTEL,2026-01-01\n", encoding="utf-8")
    (tmp_path / "prompt.yaml").write_text(yaml.safe_dump(PROMPT), encoding="utf-8")
    return tmp_path


def test_a_file_picker_shows_the_columns_of_all_files_and_says_what_was_picked(folder):
    picker = FilePicker(".", files=["gastos.csv", "otros.csv"])
    assert picker.value["input"] == ["gastos.csv", "otros.csv"]
    picker.pick(["Concepto", "Nada"], amount="Importe", truth="Real")
    assert picker.value["columns"] == ["Concepto"]
    assert (picker.value["amount_column"], picker.value["gold_column"]) == ("Importe", "Real")
    assert "TAXI AEROPUERTO" in picker.still() and "<td class='n'>2</td>" in picker.still()


def test_a_file_picker_names_a_folder_that_is_not_there_and_a_file_that_cannot_be_read(folder):
    (folder / "roto.xlsx").write_bytes(b"no")
    picker = FilePicker("nowhere")
    assert "there is no folder nowhere" in picker.message.value
    picker = FilePicker(".", files=["gastos.csv", "roto.xlsx"])
    assert "roto.xlsx" in picker.message.value and "wb-bad" in picker.message.value
    assert "Concepto" in picker.still()
    picker._folder.value = "nowhere"
    assert (picker.value["input"], picker._files.options) == ([], ())


def test_a_cleaning_preview_shows_before_and_after_and_every_step(folder):
    preview = CleaningPreview("gastos.csv", ["Concepto"])
    assert "taxi aeropuerto" in preview.still()
    assert "<b>X</b>" not in preview.still()  # text from a file is never HTML
    preview._rows.selected_rows = [0]
    assert "fold_case" in preview._steps.value
    preview._pipeline.value = "v1"
    assert preview.pipeline == "v1"


def test_a_cleaning_preview_says_which_column_is_missing(folder):
    with pytest.raises(ColumnNotFound, match="Concepto"):
        CleaningPreview("gastos.csv", ["Concept"])


def test_a_draft_is_sent_as_it_is_shown_compared_with_its_file_and_saved_as_a_new_version(folder):
    draft = PromptDraft("prompt.yaml")
    assert draft.changes() == ""
    draft.fields["rules"].append("Dos.")
    assert "+  - Dos." in draft.changes() or "+- Dos." in draft.changes()
    sent = draft.sent([{"cleanConcepto": "taxi"}])
    assert sent.startswith("# Task") and sent.endswith("id\tcleanConcepto\n1\ttaxi") and "2. Dos." in sent
    saved = draft.save()
    assert saved.as_posix() == "parameters/prompts/prompt.v2.yaml"
    assert PromptDraft(saved).prompt() == draft.prompt()
    assert draft.next_path().name == "prompt.v3.yaml"
    with pytest.raises(UsageError, match="is there already"):
        draft.save("prompt.yaml")


def test_a_draft_with_mistakes_is_not_saved_and_says_all_of_them(folder):
    draft = PromptDraft("prompt.yaml")
    draft.categories[0]["name"] = "Limpieza"
    draft.examples.append({"text": "x", "category": "Nope"})
    with pytest.raises(PromptError, match="Limpieza") as caught:
        draft.save()
    assert "Nope" in str(caught.value)
    assert not (folder / "parameters").exists()


def test_a_prompt_editor_edits_adds_and_removes(folder):
    editor = PromptEditor("prompt.yaml")
    editor._rules.value = "Una regla.\n\nOtra."
    editor._examples._add()
    editor._examples._fields["text"].value = "TAXI"
    editor._examples._fields["category"].value = "Viajes"
    editor._categories._list.index = 1
    editor._categories._fields["keywords"].value = "cloro, jabón"
    editor._save()
    saved = yaml.safe_load(editor.path.read_text(encoding="utf-8"))
    assert saved["rules"] == ["Una regla.", "Otra."]
    assert saved["examples"] == [{"text": "TAXI", "category": "Viajes"}]
    assert saved["categories"][1]["keywords"] == ["cloro", "jabón"]
    editor._examples._remove()
    editor._refresh()
    assert "TAXI" in editor._changes.value and "0 examples" in editor.message.value


def described(folder, **classify):
    told = {"run": {"name": "w", "iterations": 1}, "ingest": {"input": "gastos.csv", "columns": ["Concepto"]}}
    told |= {"classify": {"prompt": "prompt.yaml", **classify}, "validate": {"gold_column": "Real"}}
    return parse_parameters(told)


def test_what_was_clicked_is_a_parameters_file_like_any_other(folder):
    parameters = described(folder)
    assert load_parameters(write_parameters(parameters, "parameters/w.yaml")) == parameters


def test_a_parameters_file_that_says_something_else_is_never_overwritten(folder):
    mine = folder / "demo.yaml"
    mine.write_text("# my notes\n", encoding="utf-8")
    first, other = described(folder), described(folder, chunk_size=7)
    written = [write_parameters(each, "demo.yaml").name for each in (first, other, first)]
    assert written == ["demo-2.yaml", "demo-3.yaml", "demo-2.yaml"]
    assert mine.read_text(encoding="utf-8") == "# my notes\n"
    assert load_parameters("demo-3.yaml") == other


def wait_until(is_so, seconds=60):
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_run_in_the_background_is_followed_to_its_end_and_explored(folder):
    from workbench import workflow

    store = open_store()
    parameters = described(folder)
    run = workflow.start(parameters, store)
    monitor = ClassificationMonitor(run.run_id, store=store)
    monitor.run.go(write_parameters(parameters, "w.yaml"))
    with pytest.raises(UsageError, match="works on"):
        monitor.run.go(folder / "w.yaml")
    monitor.watch()
    wait_until(lambda: not monitor.run.status()["running"])
    monitor.close()
    assert monitor.look()["state"] == "finished"
    assert "finished" in monitor.still() and not monitor.message.value
    monitor.say("process 1 works on it already.", bad=True)
    monitor.look()
    assert "already" not in monitor.message.value
    with pytest.raises(UsageError, match="nobody works"):
        monitor.run.stop()
    explorer = IterationExplorer(run.run_id, store=store)
    assert "0 of 3 items changed" in explorer.message.value
    assert set(item_changes(store, run.run_id, 1, 1)["verdict"]) == {"Viajes", "Limpieza"}


def test_a_monitor_whose_database_goes_away_says_so(folder):
    store = open_store()
    store.create({}, run_id="one")
    monitor = ClassificationMonitor("one", store=store)
    for path in store.folder.glob("workbench.sqlite*"):
        path.unlink()
    monitor._follow()
    assert "open the store again" in monitor.message.value


def test_a_run_that_is_stopped_keeps_what_it_has_and_says_where_it_stands(folder):
    from workbench import workflow

    store = open_store()
    parameters = described(folder)
    run = workflow.start(parameters, store)
    background = BackgroundRun(store, run.run_id)
    background.go(write_parameters(parameters, "w.yaml"))
    wait_until(lambda: store.worker(run.run_id) is not None)
    background.stop()
    wait_until(lambda: not background.status()["running"])
    assert store.get(run.run_id).state in (RunState.INTERRUPTED, RunState.CREATED)


def test_a_fault_of_a_run_in_the_background_is_told(folder):
    from workbench import workflow

    store = open_store()
    parameters = described(folder)
    run = workflow.start(parameters, store)
    (folder / "gastos.csv").unlink()
    monitor = ClassificationMonitor(run.run_id, store=store)
    monitor.run.go(write_parameters(parameters, "w.yaml"))
    wait_until(lambda: not monitor.run.status()["running"])
    monitor.look()
    assert "gastos.csv" in monitor.message.value and "wb-bad" in monitor.message.value


def test_the_three_tabs_write_the_parameters_of_what_was_clicked(folder):
    write_parameters(described(folder), "start.yaml")
    tabs = Workbench("start.yaml")
    tabs.data._picker.pick(["Concepto"], amount="Importe", truth="Real")
    tabs.pipeline._turns.value = 3
    found = tabs._parameters()
    assert (found.run.iterations, found.ingest.amount_column) == (3, "Importe")
    tabs.pipeline._estimate()
    assert "3 items" in tabs.pipeline.message.value
    tabs.data._picker.pick([])
    tabs.pipeline._go()
    assert "no files or no columns" in tabs.pipeline.message.value
    tabs.validation.refresh()
    assert "there is no run yet" in tabs.validation.message.value


def test_a_page_that_is_loaded_anew_goes_on_where_it_was_left(folder):
    write_parameters(described(folder), "start.yaml")
    tabs = Workbench("start.yaml")
    tabs.data._picker.pick(["Concepto"], amount="Importe")
    tabs.pipeline._turns.value = 4
    tabs._tabs.selected_index = 1
    again = Workbench("start.yaml")
    assert again._tabs.selected_index == 1
    assert again._parameters().ingest.amount_column == "Importe"
    assert again._parameters().run.iterations == 4
    again.pipeline._provider.value = "lexical"
    again.pipeline._go()
    again.pipeline._go()  # a double click
    assert "is at work" in again.pipeline.message.value and len(open_store().list()) == 1
    store, session = open_store(), tabs._session.session_id
    while (begun := store.batch_pipelines(session)).empty and again.pipeline._monitor.run.worker():
        time.sleep(0.1)
    run_id = begun["batch_id"].item()
    again.pipeline._monitor.run.stop()
    while again.pipeline._monitor.run.worker():
        time.sleep(0.1)
    third = Workbench("start.yaml")
    assert third.pipeline._monitor.run.run_id == run_id
    assert store.manifest(run_id)["session_id"] == session


def test_a_name_that_no_run_can_have_is_told_in_plain_words_while_it_is_typed_and_a_good_one_is_kept(folder):
    write_parameters(described(folder), "start.yaml")
    tabs = Workbench("start.yaml")
    assert tabs.pipeline._name.value == "my-run"
    tabs.data._picker.pick(["Concepto"])
    for wrong in ("", "mi corrida", "-x", "año"):
        tabs.pipeline._name.value = wrong
        assert "it may hold up to 80 letters" in tabs.pipeline.message.value
        tabs.pipeline._go()
        assert "run.name" in tabs.pipeline.message.value and "pattern" not in tabs.pipeline.message.value
    assert open_store().list().empty
    tabs.pipeline._name.value = "gastos-2026"
    assert "may hold" not in tabs.pipeline.message.value
    tabs._tabs.selected_index = 1
    assert Workbench("start.yaml").pipeline._name.value == "gastos-2026"


def test_a_widget_that_nobody_can_click_is_shown_as_a_still_picture(folder, monkeypatch, capsys):
    monkeypatch.setenv("WORKBENCH_EXECUTED", "1")
    preview = CleaningPreview(pd.DataFrame({"Concepto": ["TAXI"]}), ["Concepto"])
    preview._ipython_display_()
    assert "HTML" in capsys.readouterr().out
