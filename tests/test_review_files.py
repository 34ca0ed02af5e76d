"""Sheets that go out and files that come back: nothing that people wrote is lost, and nothing of it passes unsaid."""

import json
from dataclasses import replace
from pathlib import Path

import openpyxl
import pandas as pd
import pytest
from review_sheets import fill_in

from workbench import repeating, review, validation, workflow
from workbench.cli import main
from workbench.errors import UsageError, VerdictError
from workbench.parameters import load_parameters
from workbench.records import RunState
from workbench.runs import open_store
from workbench.settling import true_category

UNTRUE = "validate.gold_column=null"


def write_cells(sheet, cells):
    """Write into the cells of a review sheet: {(row, column name): value}."""
    book = openpyxl.load_workbook(sheet)
    page = book.worksheets[0]
    column = {cell.value: cell.column for cell in page[2]}
    for (row, name), value in cells.items():
        page.cell(row, column[name], value)
    book.save(sheet)


def read_cell(sheet, row, name):
    page = openpyxl.load_workbook(sheet).worksheets[0]
    return page.cell(row, [cell.value for cell in page[2]].index(name) + 1).value


@pytest.mark.parametrize("name", ["is_correct", "corrected_category", "user_notes"])
def test_a_new_sheet_takes_the_place_of_an_empty_one_and_never_of_one_that_is_filled_in(ran, capsys, name):
    run, _ = ran(UNTRUE)
    export = ("export", run.run_id, "--sample", "sheet.xlsx")
    assert main(export) == main(export) == 0
    write_cells("sheet.xlsx", {(4, name): "no"})
    assert main(export) == 2
    told = capsys.readouterr().err
    assert "sheet.xlsx is filled in already" in told
    assert f"`workbench validate PARAMETERS.yaml --run-id {run.run_id} --from sheet.xlsx`" in told
    assert read_cell("sheet.xlsx", 4, name) == "no"


def test_a_sheet_is_not_written_over_another_file(ran, project, capsys):
    run, _ = ran(UNTRUE)
    pd.DataFrame({"item_id": ["a"], "Concepto": ["vuelo"]}).to_excel("mine.xlsx", index=False)
    (project / "text.xlsx").write_text("no workbook")
    for name in ("mine.xlsx", "text.xlsx"):
        before = (project / name).read_bytes()
        assert main(["export", run.run_id, "--sample", name]) == 2
        assert f"{name} is there already, and it is no review sheet" in capsys.readouterr().err
        assert (project / name).read_bytes() == before


def test_an_iteration_whose_second_sheet_is_being_filled_in_is_not_asked_again(ran):
    run, store = ran(UNTRUE, "validate.overlap_share=0.5")
    sheet = store.path(run.run_id, "second_review_sheet", 1)
    write_cells(sheet, {(3, "user_notes"): "¿?"})
    with pytest.raises(UsageError, match="its review sheet is being filled in"):
        repeating.asked(run, store, workflow.Step("classify", 1), workflow.Again(failed=True))


# --- what is said of the verdicts that came


def verdict_file(path, items, **values):
    """A file of verdicts of one's own making; gives its name."""
    rows = [{"item_id": item, "is_correct": True} | values for item in items]
    path.write_text(json.dumps(rows))
    return str(path)


def take(parameters, run, store, file, iteration=1):
    """Validate an iteration with a file, as `validate --from` does."""
    return workflow.validate(run, workflow.with_verdicts(parameters, file), store, iteration=iteration, more=True)


@pytest.fixture
def second(ran, loop, project):
    """A run that awaits the review of its second iteration, in which two disputed items shall be looked at again."""
    run, store = ran(UNTRUE)
    parameters = load_parameters("run.yaml", [UNTRUE])
    fill_in(store.path(run.run_id, "review_sheet", 1))
    run = workflow.validate(run, parameters, store)
    sample = store.load(run.run_id, "sample", 1)
    doubted = list(sample.loc[sample["category"] != "Otros", "item_id"])[:2]
    take(parameters, run, store, verdict_file(project / "doubts.json", doubted, reviewer="Ana"))
    run = loop(parameters, store)
    assert set(store.load(run.run_id, "review_items", 2)["item_id"]) >= set(doubted)
    return run, store, parameters


def test_items_are_counted_once_for_two_reviewers_and_not_where_they_were_only_looked_at_again(second, project):
    run, store, parameters = second
    sample, again = (list(store.load(run.run_id, name, 2)["item_id"]) for name in ("sample", "review_items"))
    assert len(sample) == 10
    for name in ("Ana", "Beto"):
        file = verdict_file(project / f"{name}.json", [*sample[:3], *again[:1]], reviewer=name)
        take(parameters, run, store, file, iteration=2)
    assert workflow.review_advice(run, store, 2) == "3 of 10 sampled items have a verdict."
    facts = store.facts(run.run_id, "validate", 2)
    assert [facts[name] for name in ("sample", "judged", "verdicts")] == [10, 3, 8]


def test_the_sheet_of_another_iteration_closes_no_review_and_is_told(second, project):
    run, store, parameters = second
    first = store.path(run.run_id, "review_sheet", 1)
    again = store.load(run.run_id, "review_items", 2)["item_id"]
    run = take(parameters, run, store, str(first), iteration=2)
    assert run.state == RunState.AWAITING_REVIEW
    assert not store.stage_done(run.run_id, "validate", 2)
    known = set(store.validations(run.run_id, 1)["item_id"])
    stored = store.validations(run.run_id, 2)
    assert len(stored) and set(stored["item_id"]) <= set(again)
    left = len(known - set(again))
    assert workflow.review_advice(run, store, 2).startswith(
        f"{left} rows are of items that were judged before and are not asked about now; is this the sheet of another "
        "iteration? So far only items to look at again have a verdict, and none of the sample. 10 items await a review"
    )
    run = take(parameters, run, store, verdict_file(project / "now.json", store.load("one", "sample", 2)["item_id"]), 2)
    assert (run.state, workflow.review_advice(run, store, 2)) == (
        RunState.FINISHED,
        "10 of 10 sampled items have a verdict.",
    )


def test_a_file_with_the_verdicts_of_all_iterations_serves_each_of_them(loop, project):
    store = open_store()
    parameters = load_parameters("run.yaml", ["validate.verdicts=all.json", "validate.gold_column=null"])
    verdict_file(project / "all.json", [])
    for iteration in (1, 2):
        run = loop(parameters, store)
        assert run.state == RunState.AWAITING_REVIEW
        samples = [store.load("one", "sample", each)["item_id"] for each in range(1, iteration + 1)]
        verdict_file(project / "all.json", [*pd.concat(samples)])
    run = loop(parameters, store)
    assert run.state == RunState.FINISHED
    assert workflow.review_advice(run, store, 2) == (
        "10 rows are of items that were judged before and are not asked about now. "
        "10 of 10 sampled items have a verdict."
    )


def test_what_is_told_of_a_file_is_said_beside_its_faults_too(second, project):
    run, store, parameters = second
    known = set(store.validations("one", 1)["item_id"]) - set(store.load("one", "review_items", 2)["item_id"])
    file = verdict_file(project / "mixed.json", [sorted(known)[0], "nobody"])
    told = "0 verdicts were taken, 1 was not: .*nobody.* 1 row is of an item that was judged before and is not asked"
    with pytest.raises(VerdictError, match=told):
        take(parameters, run, store, file, iteration=2)


# --- what a sheet must have kept


@pytest.mark.parametrize("name", ["is_correct", "corrected_category", "user_notes"])
def test_a_sheet_with_a_renamed_or_deleted_column_is_refused_and_names_it(ran, name):
    run, store = ran(UNTRUE)
    sheet = store.path(run.run_id, "review_sheet", 1)
    fill_in(sheet)
    write_cells(sheet, {(2, name): "¿Correcto?"})
    with pytest.raises(VerdictError, match=f"has no column '{name}'. Hint: headers must stay as they were") as told:
        workflow.validate(run, load_parameters("run.yaml", [UNTRUE]), store)
    assert str(sheet) in str(told.value)
    assert store.validations(run.run_id).empty


def test_a_sheet_that_was_copied_to_a_second_tab_is_refused_and_names_both(ran):
    run, store = ran(UNTRUE)
    sheet = store.path(run.run_id, "review_sheet", 1)
    fill_in(sheet)
    book = openpyxl.load_workbook(sheet)
    book.copy_worksheet(book.worksheets[0]).title = "de Ana"
    book.save(sheet)
    with pytest.raises(VerdictError, match=r"on each of the sheets 'Revisión' and 'de Ana'. Hint: keep the one"):
        workflow.validate(run, load_parameters("run.yaml", [UNTRUE]), store)
    assert store.validations(run.run_id).empty


# --- who filled it in


def test_sheets_of_two_people_are_two_opinions_where_their_names_are_given(ran, project):
    run, store = ran(UNTRUE)
    parameters = load_parameters("run.yaml", [UNTRUE])
    sample = store.load(run.run_id, "sample", 1)
    doubted = sample.loc[sample["category"] != "Otros", "item_id"]
    said = {"Ana": {"is_correct": True}, "Beto": {"is_correct": False, "corrected_category": "Otros"}}
    for name, values in said.items():
        file = verdict_file(project / f"{name}.json", doubted, **values)
        named = workflow.with_verdicts(parameters, file, name)
        run = workflow.validate(run, named, store, iteration=1, more=True)
    assert set(store.validations("one", 1)["reviewer"]) == {"Ana", "Beto"}
    assert set(review.disputed(store.validations("one", 1))["item_id"]) == set(doubted)
    assert store.facts("one", "validate", 1)["told"] == []


def test_a_name_in_the_file_comes_before_the_one_that_is_given_with_it(ran, project):
    run, store = ran(UNTRUE)
    file = verdict_file(project / "luz.json", store.load("one", "sample", 1)["item_id"], reviewer="Luz")
    named = workflow.with_verdicts(load_parameters("run.yaml", [UNTRUE]), file, "Ana")
    workflow.validate(run, named, store)
    assert set(store.validations("one", 1)["reviewer"]) == {"Luz"}


def test_it_is_said_how_many_verdicts_were_replaced_by_other_answers_of_the_same_name(ran, project):
    run, store = ran(UNTRUE)
    parameters = load_parameters("run.yaml", [UNTRUE])
    sample = store.load(run.run_id, "sample", 1)
    items = list(sample.loc[sample["category"] != "Otros", "item_id"])[:3]
    run = take(parameters, run, store, verdict_file(project / "ana.json", items))
    no = {"is_correct": False, "corrected_category": "Otros"}
    (project / "beto.json").write_text(
        json.dumps([{"item_id": item} | (no if item != items[0] else {"is_correct": True}) for item in items])
    )
    take(parameters, run, store, str(project / "beto.json"))
    assert workflow.review_advice(run, store, 1) == (
        "2 earlier verdicts were replaced by another answer of the same name (reviewer). Sheets of two people are kept "
        "apart by --reviewer NAME. 3 of 10 sampled items have a verdict."
    )


def test_the_command_takes_the_name_of_who_filled_a_sheet_in(ran, capsys):
    _, store = ran(UNTRUE)
    command = ("validate", "run.yaml", "--run-id", "one", "--set", UNTRUE)
    assert main(["export", "one", "--sample", "sheet.xlsx"]) == 0
    fill_in("sheet.xlsx")
    for wrong in (("--reviewer", "Ana"), ("--reviewer", " ", "--from", "sheet.xlsx")):
        assert main([*command, *wrong]) == 2
        assert "--reviewer NAME says who filled in the file of --from FILE" in capsys.readouterr().err
    assert main([*command, "--from", "sheet.xlsx", "--reviewer", "Ana"]) == 0
    assert "10 of 10 sampled items have a verdict." in capsys.readouterr().out
    assert set(store.validations("one")["reviewer"]) == {"Ana"}


# --- the sheets in the folder of the run, and a file beside them


def test_the_runs_own_sheets_are_read_beside_a_file_and_the_file_wins_for_the_same_reviewer(ran, project):
    run, store = ran(UNTRUE, "validate.overlap_share=0.5")
    parameters = load_parameters("run.yaml", [UNTRUE])
    sheets = [store.path("one", name, 1) for name in ("review_sheet", "second_review_sheet")]
    items = store.load("one", "sample", 1)["item_id"]
    write_cells(sheets[0], {(row, "corrected_category"): "Otros" for row in (3, 4)})
    write_cells(sheets[1], {(3, "corrected_category"): "Comida", (4, "corrected_category"): "Comidas"})
    file = verdict_file(project / "more.json", items[1:3], is_correct=None, corrected_category="Viajes")
    with pytest.raises(VerdictError, match=r"4 verdicts were taken, 1 was not: review_second\.xlsx, row 4: category"):
        take(parameters, run, store, file)
    said = store.validations("one", 1)
    stands_for = said.assign(true_category=true_category(said)).set_index(["reviewer", "item_id"])["true_category"]
    assert stands_for["reviewer"].to_dict() == {items[0]: "Otros", items[1]: "Viajes", items[2]: "Viajes"}
    assert list(stands_for["second reviewer"]) == ["Comida"]


def test_a_sheet_that_was_not_touched_since_undoes_no_verdict_of_a_file_that_came_later(ran, project):
    run, store = ran(UNTRUE)
    parameters = load_parameters("run.yaml", [UNTRUE])
    sheet, items = store.path("one", "review_sheet", 1), store.load("one", "sample", 1)["item_id"]
    write_cells(sheet, {(row, "corrected_category"): "Otros" for row in (3, 4)})
    run = take(
        parameters,
        run,
        store,
        verdict_file(project / "a.json", items[:1], corrected_category="Uniformes", is_correct=None),
    )
    run = take(parameters, run, store, verdict_file(project / "b.json", items[2:3]))
    said = store.validations("one", 1)
    assert true_category(said).set_axis(said["item_id"])[items[:2]].tolist() == ["Uniformes", "Otros"]
    write_cells(sheet, {(3, "corrected_category"): "Comida"})
    run = take(parameters, run, store, verdict_file(project / "c.json", items[3:4]))
    said = store.validations("one", 1)
    assert true_category(said).set_axis(said["item_id"])[items[:2]].tolist() == ["Comida", "Otros"]
    assert store.facts("one", "validate", 1)["told"][0].startswith("review.xlsx, 1 earlier verdict was replaced")


@pytest.mark.parametrize(
    ("name", "reviewer"), [("review_sheet", "reviewer"), ("second_review_sheet", "second reviewer")]
)
def test_the_runs_own_sheet_given_as_a_file_is_read_once(ran, name, reviewer):
    run, store = ran(UNTRUE, "validate.overlap_share=0.5")
    parameters = load_parameters("run.yaml", [UNTRUE])
    sheet = store.path("one", name, 1)
    fill_in(sheet)
    take(parameters, run, store, str(sheet))
    assert set(store.validations("one", 1)["reviewer"]) == {reviewer}


# --- the language of a sheet


@pytest.mark.parametrize(("provider", "language"), [("lexical", "es"), ("lexical", "en"), ("openai", "es")])
def test_reasons_of_the_embedded_provider_are_told_in_the_language_of_the_sheet(ran, monkeypatch, provider, language):
    run, store = ran(UNTRUE)
    monkeypatch.setenv("WORKBENCH_LANG", language)
    reasons = [
        "keywords 'word', 'vuelo'; like the example 'no word'; next would be 'Comida'",
        "no word points clearly to a category",
        None,
    ]
    asked = store.load("one", "sample", 1).head(3).assign(reason=pd.array(reasons, dtype="str"))
    ours = replace(run, parameters=run.parameters | {"classify": run.parameters["classify"] | {"provider": provider}})
    validation.write_sheet(ours, store, 1, Path("sheet.xlsx"), asked)
    spanish = [
        "palabras clave 'word', 'vuelo'; parecido al ejemplo 'no word'; la siguiente sería 'Comida'",
        "ninguna palabra apunta con claridad a una categoría",
        None,
    ]
    told = [read_cell("sheet.xlsx", row, "reason") for row in (3, 4, 5)]
    assert told == (spanish if (provider, language) == ("lexical", "es") else reasons)
