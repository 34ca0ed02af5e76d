"""Runs: made, found, listed, gone on with, rebuilt from their folders."""

import json
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.errors import ColumnNotFound, RunExists, RunNotFound, StorageError, UsageError, VerdictError
from workbench.records import VALIDATION_COLUMNS, Pool, RunState
from workbench.runs import RunStore, open_store, write_table
from workbench.runs.manifest import check_run_id

PARAMETERS = {"run": {"name": "expenses", "seed": 7}, "ingest": {"input": ["ventas año.csv"]}}


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunStore:
    if request.param == "postgresql":
        monkeypatch.setenv("WORKBENCH_DATABASE_URL", request.getfixturevalue("postgres_url"))
    return open_store(tmp_path / "runs")


def verdicts(*items: str, iteration: int = 1, reviewer: str = "ana", notes: object = "") -> pd.DataFrame:
    rows = [
        (item, iteration, reviewer, "Viajes", False, "Comida", notes, "2026-01-01T00:00:00+00:00", Pool.DEV)
        for item in items
    ]
    return pd.DataFrame(rows, columns=VALIDATION_COLUMNS)


def ingest(store: RunStore, run_id: str) -> None:
    store.start_stage(run_id, "ingest")
    for name in ("rows", "items"):
        store.save(run_id, name, pd.DataFrame({"item_id": ["a", "b"]}))
    for name in ("schema", "llm_input"):
        store.save(run_id, name, {"entries": []})
    store.finish_stage(run_id, "ingest", facts={"rows": 20, "deduplicated_rows": 2})


def classify(store: RunStore, run_id: str, iteration: int = 1) -> None:
    store.start_stage(run_id, "classify", iteration)
    store.save(run_id, "prompt", "name: small\n", iteration)
    store.save(run_id, "predictions", pd.DataFrame({"item_id": ["a", "b"]}), iteration)
    accuracy = {"estimate": 0.5 + iteration / 10, "low": 0.4, "high": 0.9, "n": 10}
    metrics = {"accuracy": accuracy, "rows": 20, "items": 2, "confident_share": 0.75, "ambiguous_rate": 0}
    store.save(run_id, "metrics", metrics, iteration)
    store.finish_stage(run_id, "classify", iteration)


def test_a_new_run_has_a_folder_a_manifest_and_an_id_that_tells_its_name_and_time(store: RunStore) -> None:
    run = store.create(PARAMETERS, name="año nuevo")
    assert run.run_id.startswith("a-o-nuevo-20")
    assert check_run_id(run.run_id) == run.run_id
    assert run.folder == store.folder / run.run_id
    assert (run.state, run.iteration, run.parameters) == (RunState.CREATED, 0, PARAMETERS)
    content = json.loads((run.folder / "run.json").read_text(encoding="utf-8"))
    assert content == store.manifest(run.run_id)
    assert content["parameters"] == PARAMETERS
    assert content["seed"] == 7
    assert set(content["versions"]) == {"workbench", "python", "pandas", "pyarrow", "scikit-learn"}
    assert (content["inputs"], content["prompts"], content["lineage"], content["stages"]) == ([], [], {}, [])


def test_two_runs_made_at_the_same_moment_have_different_ids(store: RunStore) -> None:
    with ThreadPoolExecutor(4) as pool:
        ids = list(pool.map(lambda _: store.create({}).run_id, range(12)))
    assert len(set(ids)) == 12
    assert set(store.list()["run_id"]) == set(ids)


def test_a_run_id_is_taken_once(store: RunStore) -> None:
    store.create({}, run_id="one")
    with pytest.raises(RunExists, match="--resume"):
        store.create({}, run_id="one")
    assert store.exists("one")
    assert not store.exists("two")


@pytest.mark.parametrize(
    "run_id", ["", ".", "..", "../a", "a/b", "a\\b", ".hidden", "-a", "a b", "ñ", "a\n", "a.", "x" * 121]
)
def test_an_id_that_is_no_plain_folder_name_is_refused(store: RunStore, run_id: str) -> None:
    for ask in (store.get, store.exists, lambda run_id: store.create({}, run_id=run_id)):
        with pytest.raises(UsageError, match="cannot be a run id"):
            ask(run_id)


@settings(deadline=None, max_examples=200)
@given(st.text(max_size=12))
def test_an_id_that_is_accepted_stays_inside_the_folder_of_the_runs(run_id: str) -> None:
    try:
        check_run_id(run_id)
    except UsageError:
        return
    assert (Path("runs") / run_id).resolve().parent == Path("runs").resolve()
    assert not run_id.startswith(".")


def test_a_run_that_is_not_there_is_answered_with_the_nearest_id(store: RunStore) -> None:
    with pytest.raises(RunNotFound, match="workbench run"):
        store.latest()
    store.create({}, run_id="expenses-1")
    with pytest.raises(RunNotFound, match="did you mean 'expenses-1'"):
        store.get("expenses_1")
    (store.folder / "stray").mkdir()
    with pytest.raises(RunNotFound):
        store.get("stray")


def test_the_list_is_newest_first_and_shows_how_good_each_run_is(store: RunStore) -> None:
    for run_id in ("one", "two", "three"):
        store.create({}, run_id=run_id)
    ingest(store, "one")
    ingest(store, "two")
    classify(store, "two", 1)
    classify(store, "two", 2)
    store.start_stage("two", "classify", 3)
    listed = store.list()
    assert listed["run_id"].tolist() == ["three", "two", "one"]
    assert listed["rows"].tolist() == [None, 20, 20]
    assert listed["items"].tolist() == [None, 2, 2]
    assert listed["iteration"].tolist() == [0, 3, 0]
    assert listed.loc[1, ["accuracy", "accuracy_low", "accuracy_high"]].tolist() == [0.7, 0.4, 0.9]
    assert listed["accuracy"].isna().tolist() == [True, False, True]
    assert store.latest().run_id == "three"
    assert json.loads(listed.to_json(orient="records", date_format="iso"))[1]["confident_share"] == 0.75


def test_an_empty_list_has_the_same_columns_and_types(store: RunStore) -> None:
    empty = store.list()
    store.create({}, run_id="one")
    assert empty.dtypes.to_dict() == store.list().dtypes.to_dict()
    assert len(empty) == 0


def test_a_run_goes_on_with_other_parameters_and_states(store: RunStore) -> None:
    store.create(PARAMETERS, run_id="one")
    assert store.set_state("one", RunState.AWAITING_REVIEW).state is RunState.AWAITING_REVIEW
    assert store.set_parameters("one", {"run": {"iterations": 3}}).parameters == {"run": {"iterations": 3}}
    content = json.loads((store.folder / "one" / "run.json").read_text())
    assert content["state"] == "awaiting_review"
    assert content["parameters"] == {"run": {"iterations": 3}}
    with pytest.raises(RunNotFound):
        store.set_state("two", RunState.FINISHED)


def test_a_stage_is_done_when_its_artifacts_are_on_disk_and_on_record(store: RunStore) -> None:
    store.create({}, run_id="one")
    assert not store.stage_done("one", "ingest")
    store.start_stage("one", "ingest")
    with pytest.raises(StorageError, match=r"rows\.parquet"):
        store.finish_stage("one", "ingest")
    assert not store.stage_done("one", "ingest")
    ingest(store, "one")
    assert store.stage_done("one", "ingest")
    assert store.facts("one", "ingest") == {"rows": 20, "deduplicated_rows": 2}
    store.path("one", "items").unlink()
    assert not store.stage_done("one", "ingest")


def test_what_people_may_move_away_does_not_undo_a_stage(store: RunStore) -> None:
    store.create({}, run_id="one")
    store.start_stage("one", "validate", 1)
    for name, value in (
        ("sample", pd.DataFrame()),
        ("notebook_validate", {}),
        ("classified", pd.DataFrame({"a": [1]})),
    ):
        store.save("one", name, value, 1)
    store.finish_stage("one", "validate", 1)
    for name in ("notebook_validate", "classified"):
        store.path("one", name, 1).unlink()
    assert store.stage_done("one", "validate", 1)


def test_a_stage_that_starts_again_is_not_done(store: RunStore) -> None:
    store.create({}, run_id="one")
    ingest(store, "one")
    store.start_stage("one", "ingest")
    assert not store.stage_done("one", "ingest")
    assert store.facts("one", "ingest") == {}


def test_stages_are_listed_in_the_order_in_which_they_began(store: RunStore) -> None:
    store.create({}, run_id="one")
    empty = store.stages("one")
    ingest(store, "one")
    classify(store, "one")
    store.start_stage("one", "validate", 1)
    stages = store.stages("one")
    assert stages["stage"].tolist() == ["ingest", "classify", "validate"]
    assert stages["state"].tolist() == ["finished", "finished", "running"]
    assert stages["seconds"].isna().tolist() == [False, False, True]
    assert stages["facts"][0] == {"rows": 20, "deduplicated_rows": 2}
    assert empty.dtypes.to_dict() == stages.dtypes.to_dict()
    assert store.get("one").iteration == 1
    with pytest.raises(UsageError, match="did you mean 'classify'"):
        store.start_stage("one", "clasify", 1)


def test_artifacts_lie_where_the_design_says(store: RunStore) -> None:
    store.create({}, run_id="one")
    store.start_stage("one", "classify", 2)
    expected = {
        "schema": "ingest/schema.json",
        "rows": "ingest/rows.parquet",
        "items": "ingest/items.parquet",
        "llm_input": "ingest/llm_input.json",
        "prompt": "iteration_002/prompt.yaml",
        "predictions": "iteration_002/predictions.parquet",
        "metrics": "iteration_002/metrics.json",
        "comparison": "iteration_002/comparison.json",
        "sample": "iteration_002/sample.parquet",
        "validations": "iteration_002/validations.parquet",
        "validations_json": "iteration_002/validations.json",
        "refined_prompt": "iteration_002/refined_prompt.yaml",
        "prompt_diff": "iteration_002/prompt.diff",
        "history": "history.json",
        "classified": "classified.parquet",
        "classified_workbook": "classified.xlsx",
        "report": "report.html",
    }
    found = {name: store.path("one", name).relative_to(store.folder / "one").as_posix() for name in expected}
    assert found == expected
    assert store.path("one", "prompt", 1).parent.name == "iteration_001"
    with pytest.raises(UsageError, match="counted from 1"):
        store.path("one", "prompt", 0)


def test_artifacts_come_back_as_what_they_were(store: RunStore) -> None:
    store.create({}, run_id="one")
    frame = pd.DataFrame({"item_id": ["a", None], "n": [1, 2]})
    store.save("one", "rows", frame)
    store.save("one", "history", {"iterations": [1, float("nan")]})
    store.save("one", "prompt", "rol: ñ\n", 1)
    pd.testing.assert_frame_equal(store.load("one", "rows"), frame)
    assert list(store.load("one", "rows", columns=["n"])) == ["n"]
    assert store.load("one", "history") == {"iterations": [1, None]}
    assert store.load("one", "prompt", 1) == "rol: ñ\n"
    assert store.save("one", "classified_workbook", frame).name == "classified.xlsx"
    with pytest.raises(StorageError, match="workbook for people"):
        store.load("one", "classified_workbook")
    with pytest.raises(UsageError, match=r"rows\.parquet holds a table, not a dict"):
        store.save("one", "rows", {})


def test_a_missing_artifact_says_which_stage_writes_it(store: RunStore) -> None:
    store.create({}, run_id="one")
    with pytest.raises(StorageError, match=r"no ingest/rows\.parquet.*the ingest stage writes it"):
        store.load("one", "rows")
    with pytest.raises(StorageError, match="no iteration yet"):
        store.load("one", "predictions")
    with pytest.raises(UsageError, match="did you mean 'predictions'"):
        store.has("one", "prediction")
    with pytest.raises(RunNotFound):
        store.load("two", "rows")
    assert not store.has("one", "predictions")
    assert store.newest("one", "predictions") is None


def test_the_newest_iteration_that_has_an_artifact_is_found(store: RunStore) -> None:
    store.create({}, run_id="one")
    classify(store, "one", 1)
    store.start_stage("one", "classify", 2)
    assert store.newest("one", "predictions") == 1
    assert store.has("one", "predictions", 1)
    assert not store.has("one", "predictions")


def test_rows_are_written_and_read_in_batches(store: RunStore) -> None:
    store.create({}, run_id="one")
    with store.writer("one", "rows") as writer:
        for number in range(3):
            writer.write(pd.DataFrame({"n": [number, number]}))
    assert writer.rows == 6
    assert [len(part) for part in store.batches("one", "rows", rows=4)] == [4, 2]
    with pytest.raises(KeyError), store.writer("one", "items") as writer:
        writer.write(pd.DataFrame({"n": [1]}))
        raise KeyError
    assert not store.has("one", "items")
    with pytest.raises(UsageError, match="batches"), store.writer("one", "schema"):
        pass


def test_a_verdict_given_again_replaces_the_first(store: RunStore) -> None:
    store.create({}, run_id="one")
    assert store.add_validations("one", verdicts("b", "a")) == 2
    assert store.add_validations("one", verdicts("a", notes="second thought")) == 1
    assert store.add_validations("one", pd.concat([verdicts("a", reviewer="eva"), verdicts("c", iteration=2)])) == 2
    found = store.validations("one")
    assert found[["item_id", "iteration", "reviewer"]].values.tolist() == [
        ["a", 1, "ana"],
        ["a", 1, "eva"],
        ["b", 1, "ana"],
        ["c", 2, "ana"],
    ]
    assert found["user_notes"].tolist() == ["second thought", "", "", ""]
    assert len(store.validations("one", 2)) == 1
    assert store.validations("one", 3).dtypes.to_dict() == found.dtypes.to_dict()


def test_verdicts_keep_their_kinds_and_nulls(store: RunStore) -> None:
    store.create({}, run_id="one")
    frame = verdicts("a").assign(is_correct=True, corrected_category=None, user_notes=float("nan"))
    frame["validated_at"] = pd.Timestamp("2026-01-01", tz="UTC")
    store.add_validations("one", frame)
    row = store.validations("one").iloc[0]
    assert row["is_correct"] is True or row["is_correct"] == True  # noqa: E712
    assert pd.isna(row["corrected_category"])
    assert row["user_notes"] == ""
    assert row["validated_at"] == "2026-01-01T00:00:00+00:00"
    assert row["pool"] == "dev"
    assert store.add_validations("one", frame.iloc[:0]) == 0


def test_faulty_verdicts_are_all_named_and_none_is_kept(store: RunStore) -> None:
    store.create({}, run_id="one")
    frame = verdicts("a", "b", "c").astype({"is_correct": object})
    frame.loc[1, "is_correct"] = "maybe"
    frame.loc[2, ["item_id", "pool"]] = [None, "test"]
    with pytest.raises(VerdictError, match=r"row 2: is_correct.*row 3: item_id is empty.*row 3: pool is 'test'"):
        store.add_validations("one", frame)
    assert store.validations("one").empty
    with pytest.raises(ColumnNotFound, match="'reviewer'"):
        store.add_validations("one", verdicts("a").drop(columns="reviewer"))
    with pytest.raises(RunNotFound):
        store.add_validations("two", verdicts("a"))


def test_notes_with_half_surrogate_pairs_and_nuls_are_kept_as_far_as_they_can_be(store: RunStore) -> None:
    store.create({}, run_id="one")
    notes = pd.Series(["año \ud83d\x00!"], dtype=object)
    store.add_validations("one", verdicts("a").assign(user_notes=notes))
    assert store.validations("one")["user_notes"].tolist() == ["año ?!"]


def test_progress_can_be_read_while_a_stage_works(store: RunStore) -> None:
    store.create({}, run_id="one")
    assert store.progress("one") is None
    store.set_progress("one", "ingest", 0, 10, None, "10 rows")
    store.set_progress("one", "classify", 1, 50, 200, rate=12.5)
    now = open_store(store.folder).progress("one")
    assert now is not None
    assert {name: now[name] for name in ("stage", "iteration", "done", "total", "detail", "rate")} == {
        "stage": "classify",
        "iteration": 1,
        "done": 50,
        "total": 200,
        "detail": "",
        "rate": 12.5,
    }


def test_facts_are_merged_into_the_manifest(store: RunStore) -> None:
    store.create(PARAMETERS, run_id="one")
    store.update_manifest("one", inputs=[{"path": "a.csv", "sha256": "0", "bytes": 3}], lineage={"from": "zero"})
    content = store.update_manifest("one", lineage={"why": "a new prompt"}, pipeline="v3:abc")
    assert content["lineage"] == {"from": "zero", "why": "a new prompt"}
    assert content["inputs"] == [{"path": "a.csv", "sha256": "0", "bytes": 3}]
    assert content == json.loads((store.folder / "one" / "run.json").read_text()) == store.manifest("one")
    with pytest.raises(UsageError, match="set_state"):
        store.update_manifest("one", state="finished")
    with pytest.raises(StorageError, match="form in JSON"):
        store.update_manifest("one", odd=object())


def test_facts_told_by_several_threads_are_all_kept(store: RunStore) -> None:
    store.create({}, run_id="one")
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: store.update_manifest("one", lineage={str(number): number}), range(12)))
    written = json.loads((store.folder / "one" / "run.json").read_text())
    assert written["lineage"] == store.manifest("one")["lineage"] == {str(number): number for number in range(12)}


def test_a_lost_database_is_rebuilt_from_the_folders(store: RunStore) -> None:
    store.create(PARAMETERS, run_id="one", name="expenses")
    ingest(store, "one")
    classify(store, "one")
    store.add_validations("one", verdicts("a", "b"))
    store.save("one", "validations", store.validations("one", 1), 1)
    store.update_manifest("one", pipeline="v3:abc")
    store.set_state("one", RunState.FINISHED)
    before = (store.get("one"), store.list(), store.stages("one"), store.validations("one"), store.manifest("one"))
    store.close()
    for path in store.folder.glob("workbench.sqlite*"):
        path.unlink()
    again = open_store(store.folder)
    after = (again.get("one"), again.list(), again.stages("one"), again.validations("one"), again.manifest("one"))
    assert (before[0], before[4]) == (after[0], after[4])
    for one, other in zip(before[1:4], after[1:4], strict=True):
        pd.testing.assert_frame_equal(one, other)
    assert again.stage_done("one", "classify", 1)
    assert len(again.load("one", "predictions", 1)) == 2


def test_a_folder_copied_from_another_machine_is_found_under_its_new_name(store: RunStore, tmp_path: Path) -> None:
    store.create(PARAMETERS, run_id="one")
    store.set_state("one", RunState.RUNNING)
    other = open_store(tmp_path / "elsewhere")
    shutil.copytree(store.folder / "one", other.folder / "copy")
    assert other.get("copy").state is RunState.INTERRUPTED
    assert other.list()["run_id"].tolist() == ["copy"]
    assert other.manifest("copy")["run_id"] == "copy"
    with pytest.raises(RunExists):
        other.create({}, run_id="copy")


def test_a_run_that_cannot_be_read_does_not_hide_the_others(store: RunStore, caplog: pytest.LogCaptureFixture) -> None:
    store.create({}, run_id="good")
    for run_id, text in {"broken": "{", "odd": '{"a": 1}', "list": "[]"}.items():
        (store.folder / run_id).mkdir()
        (store.folder / run_id / "run.json").write_text(text)
    assert open_store(store.folder).list()["run_id"].tolist() == ["good"]
    assert "broken" in caplog.text
    for run_id in ("broken", "odd", "list"):
        with pytest.raises(StorageError, match=r"run\.json"):
            store.get(run_id)


def test_verdicts_that_cannot_be_read_do_not_hide_their_run(store: RunStore, caplog: pytest.LogCaptureFixture) -> None:
    store.create({}, run_id="one")
    store.save("one", "validations", verdicts("a"), 1)
    store.path("one", "validations", 2).parent.mkdir()
    store.path("one", "validations", 2).write_text("no parquet")
    shutil.copytree(store.folder / "one", store.folder / "copy")
    assert store.validations("copy")["item_id"].tolist() == ["a"]
    assert "iteration_002" in caplog.text


def test_numbers_of_numpy_are_taken(store: RunStore) -> None:
    store.create({}, run_id="one")
    store.set_progress("one", "classify", np.int64(1), np.int64(5), np.int64(9))  # type: ignore[arg-type]
    store.start_stage("one", "classify", np.int64(2))  # type: ignore[arg-type]
    store.add_validations("one", verdicts("a"))
    now = store.progress("one")
    assert now is not None
    assert (now["done"], now["total"]) == (5, 9)
    assert len(store.validations("one", np.int64(1))) == 1  # type: ignore[arg-type]
    assert store.get("one").iteration == 2


def test_a_removed_folder_is_a_removed_run_whose_id_is_free_again(store: RunStore) -> None:
    store.create({}, run_id="one")
    ingest(store, "one")
    store.add_validations("one", verdicts("a"))
    shutil.rmtree(store.folder / "one")
    with pytest.raises(RunNotFound):
        store.get("one")
    assert store.list().empty
    if os.environ.get("WORKBENCH_DATABASE_URL"):  # the run may lie in another folder that uses this database
        with pytest.raises(RunExists):
            store.create({}, run_id="one")
    else:
        store.create({}, run_id="one")
        assert not store.stage_done("one", "ingest")
        assert store.validations("one").empty


def test_a_run_whose_making_was_cut_off_can_be_made(store: RunStore) -> None:
    (store.folder / "one").mkdir()
    assert not store.exists("one")
    assert store.create({}, run_id="one").run_id == "one"


def test_a_store_finds_its_folder_in_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBENCH_RUNS", str(tmp_path / "mis corridas ñ"))
    monkeypatch.setenv("WORKBENCH_DATABASE_URL", f"sqlite:///{tmp_path / 'somewhere.sqlite'}")
    monkeypatch.chdir(tmp_path)
    store = open_store()
    assert store.create({}, run_id="one").folder == tmp_path / "mis corridas ñ" / "one"
    assert (tmp_path / "somewhere.sqlite").is_file()
    assert not (store.folder / "workbench.sqlite").exists()


def test_a_file_in_the_place_of_the_folder_is_a_usage_error_with_a_hint(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("")
    with pytest.raises(UsageError, match="WORKBENCH_RUNS"):
        open_store(tmp_path / "runs")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written_is_a_storage_error_with_a_hint(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(StorageError, match="permissions"):
        open_store(tmp_path)


def test_a_run_says_things_in_its_log(store: RunStore) -> None:
    store.create({}, run_id="one")
    store.log("one").info("begun", extra={"stage": "ingest"})
    assert json.loads((store.folder / "one" / "run.log").read_text())["message"] == "begun"


@pytest.mark.parametrize("suffix", [".csv", ".json", ".parquet", ".xlsx", ".CSV"])
def test_a_table_is_written_as_its_suffix_says(tmp_path: Path, suffix: str) -> None:
    frame = pd.DataFrame({"item": ["año", None], "n": [1, 2]})
    path = tmp_path / f"out{suffix}"
    write_table(path, frame)
    readers = {".csv": pd.read_csv, ".json": pd.read_json, ".parquet": pd.read_parquet}
    back = pd.read_excel(path, engine="calamine") if suffix == ".xlsx" else readers[suffix.lower()](path)
    assert back["item"].fillna("null").tolist() == ["año", "null"]
    assert back["n"].tolist() == [1, 2]


def test_a_table_of_no_known_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="csv"):
        write_table(tmp_path / "out.doc", pd.DataFrame())
