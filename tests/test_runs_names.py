"""Field names, column names and table columns are the same words."""

from dataclasses import fields
from pathlib import Path

from workbench.records import PREDICTION_COLUMNS, VALIDATION_COLUMNS, Prediction, Run, Validation
from workbench.runs import Answer, open_store
from workbench.runs.schema import METADATA


def columns(table: str) -> set[str]:
    return set(METADATA.tables[table].columns.keys())


def test_a_validation_has_the_same_names_as_record_as_frame_and_as_table(tmp_path: Path) -> None:
    names = {field.name for field in fields(Validation)}
    with open_store(tmp_path) as store:
        frame = store.validations(store.create({}, run_id="a").run_id)
    assert tuple(frame.columns) == VALIDATION_COLUMNS
    assert names == set(VALIDATION_COLUMNS) == columns("validations") - {"run_id"}


def test_an_answer_has_the_names_of_the_prediction_that_comes_of_it() -> None:
    assert set(PREDICTION_COLUMNS) == {field.name for field in fields(Prediction)}
    given_by_another = {"item_id", "judge_category"}  # by ingest and by the second opinion
    assert set(Answer._fields) - {"key"} == set(PREDICTION_COLUMNS) - given_by_another
    assert columns("answers") == {*Answer._fields, "saved_at"}


def test_a_run_has_the_same_names_as_record_and_as_table_and_the_list_shows_them(tmp_path: Path) -> None:
    names = {field.name for field in fields(Run)}
    assert columns("runs") - {"facts", "updated_at"} == names - {"folder"}
    with open_store(tmp_path) as store:
        assert names - {"folder", "parameters"} <= set(store.list().columns)


def test_stages_have_the_same_names_as_frame_and_as_table(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        store.create({}, run_id="a")
        store.start_stage("a", "ingest")
        shown = set(store.stages("a").columns)
    assert shown - {"seconds"} == columns("stages") - {"run_id", "artifacts"}
