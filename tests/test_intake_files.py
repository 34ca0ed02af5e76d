"""Many files as one input: consolidated, merged across files, with faults told, and nothing read twice."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from datetime import datetime

import openpyxl
import pandas as pd
import pytest

from workbench import console, delivery, engine, report, workflow
from workbench.cli import main
from workbench.errors import ColumnNotFound, ReadError, StageFailed, StorageError
from workbench.intake.files import find
from workbench.intake.lots import MakePart, make_lots
from workbench.intake.partition import Preparation
from workbench.intake.progress import Meter
from workbench.parameters import load_parameters
from workbench.readers import Source
from workbench.refinery import get_pipeline
from workbench.runs import open_store


@pytest.fixture
def folder(project):
    """Three tables that go together only in part: a CSV, a JSON Lines file in a folder, a workbook."""
    (project / "in" / "norte").mkdir(parents=True)
    (project / "in" / "a.csv").write_text("Concepto,Importe,Clave\nTaxi,10,01\nTacos,20,02\ntaxi ,30,03\n")
    lines = [{"Concepto": "Tacos!", "Importe": 1.5, "Fecha": "2024-01-31"}, {"Concepto": "Renta", "Importe": None}]
    (project / "in" / "norte" / "b.jsonl").write_text("\n".join(map(json.dumps, lines)))
    table = pd.DataFrame({"Concepto": ["TAXI", "Hotel"], "Importe": ["5", "cinco"], "Clave": [7, 8]})
    table.to_excel(project / "in" / "c.xlsx", index=False)
    return project


def ingest(*overrides, run_id="one", **more):
    common = ["ingest.input=in", "ingest.filters={}", "ingest.amount_column=null", "validate.gold_column=null"]
    parameters = load_parameters("run.yaml", [*common, *overrides])
    store = open_store()
    run = workflow.ingest(parameters, store, run_id=run_id, **more)
    return store, run, store.load(run_id, "rows"), store.facts(run_id, "ingest")


def states(store, run_id="one"):
    table = store.load(run_id, "files")
    return dict(zip(table["name"], table["state"], strict=True))


def test_all_rows_come_in_one_table_that_says_where_each_stood(folder):
    _, _, rows, facts = ingest()
    assert list(rows["source_file"]) == ["a.csv"] * 3 + ["c.xlsx"] * 2 + ["norte/b.jsonl"] * 2
    assert list(rows["source_row"]) == [1, 2, 3, 1, 2, 1, 2]
    assert list(rows["row_id"]) == list(range(7))
    assert list(rows)[3:] == ["Concepto", "Importe", "Clave", "Fecha", "cleanConcepto", "item_id"]
    assert rows["Fecha"].isna().tolist() == [True] * 5 + [False, True]
    assert facts["columns_missing"] == {"Clave": 1, "Fecha": 2}


def test_a_run_whose_files_were_looked_at_says_so_until_they_are_read(folder):
    overrides = ["ingest.input=in", "ingest.filters={}", "ingest.amount_column=null", "validate.gold_column=null"]
    parameters, store = load_parameters("run.yaml", overrides), open_store()
    workflow.start(parameters, store, run_id="one")
    workflow.inspect(parameters, store, run_id="one")
    workflow.inspect(parameters, store, run_id="two")  # nobody made it yet: there is nothing to note
    batch = store.batch_pipelines().iloc[0]
    assert (batch["status"], batch["total_files"]) == ("schema_validated", 3)
    assert batch["state_snapshot"] == {
        "total_files": 3,
        "files_with_faults": 0,
        "common_columns": ["Concepto", "Importe"],
        "optional_columns": ["Clave", "Fecha"],
        "type_conflicts": ["Importe", "Clave"],
        "has_compatible_schema": False,
    }
    workflow.ingest(parameters, store, run_id="one")
    assert store.batch_pipelines()["status"].tolist() == ["completed"]


def test_types_that_do_not_go_together_become_text_and_are_reported(folder):
    _, _, rows, facts = ingest()
    assert list(rows["Importe"])[:6] == ["10", "20", "30", "5", "cinco", "1.5"]
    assert facts["type_conflicts"] == {
        "Importe": {"integer": 1, "number": 1, "text": 1},
        "Clave": {"integer": 1, "text": 1},
    }
    assert list(rows["Clave"])[:5] == ["01", "02", "03", "7", "8"]


def test_items_are_merged_across_files(folder):
    store, _, rows, facts = ingest()
    items = store.load("one", "items")
    assert dict(zip(items["cleanConcepto"], items["n_rows"], strict=True)) == {
        "taxi": 3, "tacos": 2, "hotel": 1, "renta": 1,
    }  # fmt: skip
    assert (facts["rows"], facts["deduplicated_rows"], facts["files"]["read"]) == (7, 4, 3)
    assert rows["item_id"].nunique() == 4


@pytest.mark.parametrize("strategy", ["content_only", "aggressive", "preserve_all"])
def test_a_strategy_means_the_same_in_one_file_and_across_files(folder, strategy):
    table = pd.DataFrame({"Concepto": ["Taxi", "taxi", "Taxi", "Renta"], "Importe": [1, 1, 1, 2]})
    for name, part in {"1.csv": table[:2], "2.csv": table[2:]}.items():
        (folder / "parts").mkdir(exist_ok=True)
        part.to_csv(folder / "parts" / name, index=False)
    table.to_csv(folder / "whole.csv", index=False)
    chosen = f"ingest.deduplication={strategy}"
    _, _, parts, _ = ingest("ingest.input=parts", chosen)
    _, _, whole, _ = ingest("ingest.input=whole.csv", chosen, run_id="two")
    where = ["source_file", "source_row"]
    pd.testing.assert_frame_equal(parts.drop(columns=where), whole.drop(columns=where))


def test_a_bad_file_is_reported_and_does_not_stop_the_others(folder):
    (folder / "in" / "bad.xlsx").write_bytes(b"PK\x03\x04 this is no workbook")
    (folder / "in" / "other.csv").write_text("Texto\nTaxi\n")
    store, _, rows, facts = ingest()
    assert len(rows) == 7
    reasons = {each["name"]: each["reason"] for each in facts["files"]["failures"]}
    assert set(reasons) == {"bad.xlsx", "other.csv"}
    assert "no column 'Concepto' in other.csv" in reasons["other.csv"]
    assert states(store)["bad.xlsx"] == "failed"
    assert store.batch_pipelines()[["total_files", "files_processed", "upload_id"]].iloc[0].tolist() == [5, 5, None]
    assert [file["path"] for file in store.load("one", "schema")["files"] if file["fault"]] == list(reasons)
    told = console.summary(report.summary(store, "one"))
    assert "3 read, 2 failed" in told and "other.csv failed: there is no column 'Concepto'" in told
    assert json.loads((folder / "runs" / "one" / "run.json").read_text())["stages"][0]["facts"]["files"]["failed"] == 2


def test_of_files_that_are_prepared_together_each_is_told_why_it_cannot_be_used(folder):
    concept = '<cfdi:Concepto Descripcion="Taxi" Cantidad="1" ValorUnitario="1" Importe="1"/>'
    invoice = f'<cfdi:Comprobante xmlns:cfdi="http://www.sat.gob.mx/cfd/4" Version="4.0">{concept}</cfdi:Comprobante>'
    invoice = invoice.replace(concept, f"<cfdi:Conceptos>{concept}</cfdi:Conceptos>")
    for name, text in {"1": invoice, "2": "<roto", "3": invoice + " ", "copia de 3": invoice + " "}.items():
        (folder / "in" / f"{name}.xml").write_text(text)
    (folder / "in" / "copia.csv").write_text("Texto\nTaxi\n")
    (folder / "in" / "otro.csv").write_text("Texto\nTaxi\n")
    store, _, rows, facts = ingest()
    reasons = {each["name"]: each["reason"] for each in facts["files"]["failures"]}
    assert len(rows) == 7 and (facts["files"]["read"], facts["files"]["failed"]) == (3, 6)
    assert reasons["1.xml"] == "there is no column 'Concepto' in 1.xml (ingest.columns)."
    assert reasons["2.xml"].startswith("2.xml is not well-formed XML")
    twins = {name for name, reason in reasons.items() if "holds the same bytes as" in reason}
    assert len(twins & {"3.xml", "copia de 3.xml"}) == len(twins & {"copia.csv", "otro.csv"}) == 1
    assert {name for name, state in states(store).items() if state == "failed"} == set(reasons)


@pytest.mark.parametrize("wrong", ["z.csv", "a.csv", "z.json"])
def test_a_file_under_a_wrong_suffix_does_not_take_its_rightly_named_twin_with_it(folder, wrong):
    good = folder / "in" / "c.xlsx"
    if wrong == "a.csv":
        good.replace(folder / "in" / "z.xlsx")
        good = folder / "in" / "z.xlsx"
    (folder / "in" / wrong).write_bytes(good.read_bytes())
    for run_id in ("one", "two"):  # read, and kept from the first run
        store, _, rows, facts = ingest(run_id=run_id)
        assert (rows["source_file"] == good.name).sum() == 2
        assert [each["name"] for each in facts["files"]["failures"]] == [wrong]
    assert states(store, "two")[good.name] == "kept"


def test_the_same_bytes_are_read_as_each_of_the_kinds_that_their_names_say(folder):
    text = '{"Concepto": "Taxi"}\n'
    (folder / "in" / "uno.jsonl").write_text(text)
    (folder / "in" / "uno.json").write_text(text)
    (folder / "in" / "uno.txt").write_text("Concepto\n" + text)
    (folder / "in" / "uno.csv").write_text("Concepto\n" + text)
    for run_id in ("one", "two"):
        _, _, rows, facts = ingest(run_id=run_id)
        taken = rows[rows["source_file"].str.startswith("uno")].set_index("source_file")["Concepto"]
        assert taken.to_dict() == {name: text.strip() if name[4] in "ct" else "Taxi" for name in taken.index}
        assert len(taken) + facts["files"]["failed"] == 4


def test_the_sheet_with_the_columns_is_read_and_what_other_sheets_hold_is_told(folder):
    with pd.ExcelWriter(folder / "in" / "c.xlsx") as book:
        pd.DataFrame({"Empresa": ["x"], "ACME": ["y"]}).to_excel(book, sheet_name="Portada", index=False)
        for name in ("Enero", "Febrero"):
            pd.DataFrame({"Concepto": [name], "Importe": [1]}).to_excel(book, sheet_name=name, index=False)
    for run_id, files in {"one": "in", "two": "in/c.xlsx"}.items():
        store, _, rows, facts = ingest(f"ingest.input=[{files}]", run_id=run_id)
        assert "Enero" in set(rows["Concepto"]) and "Febrero" not in set(rows["Concepto"])
        assert facts["files"]["notes"]["c.xlsx"][0].startswith("only sheet 'Enero' of 3 is read; 'Portada', 'Febrero'")
        assert "'Febrero' hold rows too" in console.summary(report.summary(store, run_id))


def test_lines_that_were_left_out_are_told_of_where_the_run_is_told_of(folder):
    with (folder / "in" / "norte" / "b.jsonl").open("a") as file:
        file.write('\n{"Concepto": "cut o')
    for run_id, files in {"one": "in", "two": "in/norte/b.jsonl"}.items():
        store, _, rows, facts = ingest(f"ingest.input=[{files}]", run_id=run_id)
        ((name, (note,)),) = facts["files"]["notes"].items()
        assert name.endswith("b.jsonl") and note.startswith("lines that hold no whole record, left out: 1 (line 3: ")
        assert (rows["source_file"] == name).sum() == 2
        assert store.load(run_id, "files").set_index("name").at[name, "reason"] == note
        assert f"{name}: lines that hold no" in console.summary(report.summary(store, run_id))


@pytest.mark.skipif(sys.platform != "linux", reason="only there may names be any bytes")
def test_names_that_are_no_utf8_links_in_a_circle_and_pipes_stop_nobody(folder, capsys):
    (folder / "in" / os.fsdecode(b"Art\xedculos.csv")).write_text("Concepto\nTaxi\n")
    (folder / "in" / os.fsdecode(b"roto\xf1.xlsx")).write_text("no workbook")
    (folder / "in" / "ene\n🌮.csv").write_text("Concepto\nTaxi\n")
    (folder / "in" / "circle").symlink_to("../in")
    (folder / "in" / "self.csv").symlink_to("self.csv")
    os.mkfifo(folder / "in" / "pipe.csv")
    _, _, rows, facts = ingest()
    assert {"Artículos.csv", "ene\n🌮.csv"} < set(rows["source_file"]) and len(rows) == 9
    assert {each["name"] for each in facts["files"]["failures"]} == {"rotoñ.xlsx", "self.csv"}
    assert "2 failed" in console.facts("ingest", facts) and "self.csv failed: " in console.facts("ingest", facts)
    assert main(["inspect", "in"]) == 0
    assert "rotoñ.xlsx" in capsys.readouterr().out


def test_a_bad_file_stops_the_run_where_that_is_wanted_and_where_nothing_else_is_there(folder):
    (folder / "in" / "other.csv").write_text("Texto\nTaxi\n")
    with pytest.raises(ColumnNotFound, match=r"other\.csv"):
        ingest("ingest.on_error=stop")
    with pytest.raises(ColumnNotFound):
        ingest("ingest.input=[in/other.csv]", run_id="two")
    (folder / "empty").mkdir()
    with pytest.raises(ReadError, match="holds no file that can be read"):
        ingest("ingest.input=empty", run_id="three")
    with pytest.raises(ReadError, match="in holds no file that can be read"):
        ingest("ingest.exclude=['*']", run_id="four")


def test_an_amount_column_that_no_file_has_is_named_before_work_is_done(folder):
    with pytest.raises(ColumnNotFound, match="'Monto' in any of the 3 files"):
        ingest("ingest.amount_column=Monto")


def test_excluded_files_and_identical_files_are_told_of(folder):
    (folder / "in" / "copia de a.csv").write_bytes((folder / "in" / "a.csv").read_bytes())
    store, _, rows, facts = ingest("ingest.exclude=[c.xlsx]")
    assert facts["files"]["excluded"] == ["c.xlsx"]
    assert facts["files"]["identical"] == [["a.csv", "copia de a.csv"]]
    assert len(rows) == 8
    assert states(store)["c.xlsx"] == "excluded"


def test_the_same_rows_in_files_of_other_bytes_are_told_of_and_kept(folder):
    table = pd.DataFrame({"Concepto": ["Gorra", "Taxi"], "Importe": [1.5, 2], "Fecha": ["2024-01-31", None]})
    table.to_csv(folder / "in" / "d.csv", index=False, sep=";", encoding="utf-16")
    dated = table.assign(Fecha=pd.to_datetime(table["Fecha"]))
    dated[["Fecha", "Importe", "Concepto"]].to_excel(folder / "in" / "e.xlsx", index=False)
    table.assign(Importe=[1.5, 3]).to_csv(folder / "in" / "f.csv", index=False)
    for run_id in ("one", "two"):  # read, and kept from the first run
        _, _, rows, facts = ingest(run_id=run_id)
        assert (facts["files"]["same_rows"], facts["files"]["identical"], len(rows)) == ([["d.csv", "e.xlsx"]], [], 13)
    assert "the same rows, it seems (as many, and the first are equal): d.csv, e.xlsx" in console.facts("x", facts)


def test_a_grown_folder_is_read_only_where_it_grew_and_the_rows_are_those_of_a_fresh_run(folder):
    ingest()
    (folder / "in" / "b.csv").write_text("Concepto,Importe\nGorra,9\nTaxi,1\n")
    store, _, grown, facts = ingest(run_id="two")
    assert (facts["files"]["read"], facts["files"]["kept"]) == (1, 3)
    assert states(store, "two")["b.csv"] == "read"
    for path in (folder / "runs" / ".cache").rglob("*.json"):
        path.unlink()
    _, _, fresh, facts = ingest(run_id="three")
    assert (facts["files"]["read"], facts["files"]["kept"]) == (4, 0)
    pd.testing.assert_frame_equal(grown, fresh)


def test_other_settings_and_changed_bytes_are_prepared_anew(folder):
    ingest()
    assert ingest("ingest.pipeline=v1", run_id="two")[3]["files"]["kept"] == 0
    (folder / "in" / "a.csv").write_text("Concepto,Importe,Clave\nTaxi,11,01\n")
    assert ingest(run_id="three")[3]["files"]["kept"] == 2


def test_a_killed_ingest_goes_on_with_the_files_that_were_finished(folder):
    lines = "".join(f"Viaje {number} a la planta,{number}\n" for number in range(400_000))
    (folder / "in" / "z.csv").write_text("Concepto,Importe\n" + lines)
    program = (
        "from workbench import workflow\nfrom workbench.parameters import load_parameters\n"
        "from workbench.runs import open_store\n"
        "workflow.ingest(load_parameters('run.yaml', ['ingest.input=in', 'ingest.filters={}', "
        "'ingest.amount_column=null', 'validate.gold_column=null']), open_store(), run_id='one')"
    )
    child = subprocess.Popen([sys.executable, "-c", program])
    wait_for(lambda: len(list((folder / "runs").glob(".cache/parts/*/*.json"))) == 3 or child.poll() is not None)
    assert child.poll() is None
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    _, _, rows, facts = ingest()
    assert (facts["files"]["read"], facts["files"]["kept"]) == (1, 3)
    assert len(rows) == 400_007


def wait_for(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


def test_a_file_that_is_gone_when_its_turn_comes_is_one_fault(folder):
    target = folder / "in" / "gone.csv"
    target.symlink_to(folder / "nowhere.csv")
    _, _, rows, facts = ingest()
    assert len(rows) == 7
    assert facts["files"]["failed"] == 1


def test_members_of_an_archive_are_sources_like_files(folder):
    with zipfile.ZipFile(folder / "all.zip", "w") as archive:
        for path in sorted((folder / "in").rglob("*.*")):
            archive.write(path, path.relative_to(folder / "in"))
    _, _, rows, _ = ingest("ingest.input=all.zip")
    assert set(rows["source_file"]) == {"all.zip/a.csv", "all.zip/c.xlsx", "all.zip/norte/b.jsonl"}


def test_every_file_gets_its_rows_back_with_their_answers(folder, loop):
    common = ["ingest.input=in", "ingest.filters={}", "ingest.amount_column=null", "validate.gold_column=null"]
    store = open_store()
    run = loop(load_parameters("run.yaml", [*common, "run.iterations=1"]), store)
    classified = store.load("one", "classified")
    assert list(classified)[:2] == ["source_file", "source_row"]
    files = dict(delivery.export_by_source(run, store, folder / "out", suffix="csv"))
    names = {path.relative_to(folder / "out").as_posix(): rows for path, rows in files.items()}
    assert names == {"a.csv": 3, "c.csv": 2, "norte/b.csv": 2}
    first = pd.read_csv(folder / "out" / "a.csv", dtype=str)
    assert list(first)[:4] == ["Concepto", "Importe", "Clave", "category"]
    assert list(first["Concepto"]) == ["Taxi", "Tacos", "taxi "]
    assert first["category"].tolist() == classified["category"].tolist()[:3]


def test_no_source_is_given_back_in_the_place_of_another(folder):
    names = ["x.xlsx", "x.csv.csv", "x.csv", "X.csv"]
    for name in names:
        frame = pd.DataFrame({"Concepto": [f"Taxi {name}"]})
        frame.to_excel(name, index=False) if name == "x.xlsx" else frame.to_csv(name, index=False)
    store, run, _, _ = ingest(f"ingest.input=[{', '.join(names)}]")
    files = delivery.export_by_source(run, store, folder / "out", stage="ingest", suffix="csv")
    assert len({str(path).casefold() for path, _ in files}) == len(files) == 4
    assert {pd.read_csv(path)["Concepto"][0] for path, _ in files} == {f"Taxi {name}" for name in names}


def test_a_file_given_back_has_its_own_columns_whatever_else_was_read_and_whatever_it_was_called(folder, loop):
    concept = '<c:Conceptos><c:Concepto Descripcion="Taxi" Cantidad="1" ValorUnitario="1" Importe="1"/></c:Conceptos>'
    (folder / "more").mkdir()
    for number in (1, 2):
        head = f'<c:Comprobante xmlns:c="http://www.sat.gob.mx/cfd/4" Version="4.0" Folio="{number}">'
        (folder / "more" / f"{number}.xml").write_text(f"{head}{concept}</c:Comprobante>")
    for name in ("a", "copia de a"):
        (folder / "more" / f"{name}.csv").write_text("Descripcion,Clave\nTacos,1\n")
    (folder / "more" / "b.csv").write_text("Descripcion,Nota\nRenta,x\n")
    with zipfile.ZipFile(folder / "more" / "dos.zip", "w") as archive:
        for name in ("ok.csv", "w.csv"):
            archive.writestr(name, "Descripcion,x\nTaxi,9\n")
    changes = ["ingest.input=more", "ingest.columns=[Descripcion]"]
    ingest(*changes, run_id="before")
    (folder / "more" / "b.csv").rename(folder / "more" / "c.csv")
    common = ["ingest.filters={}", "ingest.amount_column=null", "validate.gold_column=null", "run.iterations=1"]
    store = open_store()
    run = loop(load_parameters("run.yaml", [*changes, *common]), store)
    assert {file["path"] for file in store.load("one", "schema")["files"]} > {"a.csv", "c.csv", "copia de a.csv"}
    columns = {
        path.name: list(pd.read_csv(path))[:-5]
        for path, _ in delivery.export_by_source(run, store, folder / "out", suffix="csv")
    }
    assert columns.pop("1.csv") == columns.pop("2.csv")
    assert columns == {
        "a.csv": ["Descripcion", "Clave"],
        "copia de a.csv": ["Descripcion", "Clave"],
        "c.csv": ["Descripcion", "Nota"],
        "ok.csv": ["Descripcion", "x"],
        "w.csv": ["Descripcion", "x"],
    }
    assert "Clave" not in list(pd.read_csv(folder / "out" / "1.csv"))
    with pytest.raises(StorageError, match="cannot write"):
        delivery.export_by_source(run, store, folder / "more" / "a.csv", suffix="csv")


def test_a_file_given_back_has_its_own_types_whatever_the_others_hold(folder, loop):
    (folder / "more").mkdir()
    dates = pd.to_datetime(["2024-01-31 00:00:00", "2024-02-01 10:20:30", None])
    table = {"Concepto": ["Taxi", "Tacos", "Renta"], "Importe": [1, 2.5, None], "Fecha": dates, "n": [1, 2, None]}
    table |= {"Pagado": [True, None, False], "status": ["a", "b", None]}
    pd.DataFrame(table).to_excel(folder / "more" / "e.xlsx", index=False)
    (folder / "more" / "conf.csv").write_text("Concepto,Importe,Fecha,n,Pagado,source_file\nTaxi,n/d,ayer,1.5,5,7\n")
    (folder / "more" / "d.jsonl").write_text('{"Concepto": "Taxi", "n": 3, "Pagado": true}\n{"Concepto": "Tacos"}\n')
    common = ["ingest.filters={}", "ingest.amount_column=null", "validate.gold_column=null", "run.iterations=1"]
    store = open_store()
    run = loop(load_parameters("run.yaml", ["ingest.input=more", *common]), store)
    for stage in ("classify", "ingest"):
        delivery.export_by_source(run, store, folder / stage, stage=stage)
    before, _, *cells = openpyxl.load_workbook(folder / "classify" / "e.xlsx").active.iter_rows(values_only=True)
    assert before[:6] == ("Concepto", "Importe", "Fecha", "n", "Pagado", "status_original")
    assert cells[0][:6] == ("Tacos", 2.5, datetime(2024, 2, 1, 10, 20, 30), 2, None, "b")
    assert cells[1][:6] == ("Renta", None, None, None, False, None)
    other = (folder / "classify" / "conf.csv").read_text("utf-8-sig").splitlines()
    assert other[0].startswith("Concepto,Importe,Fecha,n,Pagado,source_file,category,reason,score,status,")
    assert other[1].startswith("Taxi,n/d,ayer,1.5,5,7,Viajes,")
    lines = [json.loads(line) for line in (folder / "classify" / "d.jsonl").read_text().splitlines()]
    assert [(line["n"], line["Pagado"], line["category"]) for line in lines] == [
        (3, True, "Viajes"),
        (None, None, "Comida"),
    ]
    assert "Importe" not in lines[0]
    rows = pd.read_excel(folder / "ingest" / "e.xlsx", engine="calamine")
    assert list(rows) == ["row_id", "source_file", "source_row", *table, "cleanConcepto", "item_id"]
    assert rows["Fecha"].dtype.kind == "M" and rows["n"].tolist()[:2] == [1, 2]


def test_the_only_file_is_given_back_whatever_its_suffix_says(folder):
    for name, text in {
        "solo.json": '{"Concepto": "Taxi", "n": 1}\n{"Concepto": "Tacos"}\n',
        "t.tsv": "Concepto\tn\nA\t1\n",
    }.items():
        (folder / name[:1]).mkdir()
        (folder / name[:1] / name).write_text(text)
        store, run, rows, _ = ingest(f"ingest.input={name[:1]}", run_id=name[:1])
        ((path, number),) = delivery.export_by_source(run, store, folder / "out", stage="ingest", suffix="parquet")
        assert number == len(rows) and list(pd.read_parquet(path)) == list(rows)


def test_types_that_differ_and_columns_that_are_missing_are_told_in_a_line_each(folder):
    for name in ("d", "e"):
        (folder / "in" / f"{name}.csv").write_text(f"Concepto,Importe,{name}1,{name}2,{name}3\nTaxi,s/n,1,2,3\n")
    store, *_, facts = ingest()
    printed = [console.facts("ingest", facts), console.summary(report.summary(store, "one"))]
    for told in (" ".join(text.split()) for text in printed):
        assert "so text in the table of them all: Importe (integer in 1, number in 1, text in 3), Clave (" in told
        assert "columns that some files lack: Clave (3), d1 (4), d2 (4), d3 (4), e1 (4) and 3 more" in told


def test_tables_are_prepared_alone_and_invoices_together_up_to_a_number_and_a_size():
    def source(number, kind, size):
        return str(number), Source(f"{number}.{kind}", f"{number}.{kind}", (), size, 0.0, kind)

    def sizes(*sources):
        return [len(lot.sources) for lot in make_lots(sources)]

    assert sizes(*(source(n, "csv", 1) for n in range(3))) == [1, 1, 1]
    assert sizes(*(source(n, "cfdi", 1) for n in range(4_001))) == [2_000, 2_000, 1]
    assert sizes(*(source(n, "cfdi", 15 << 20) for n in range(5))) == [2, 2, 1]
    assert sizes(source(1, "csv", 1), source(2, "cfdi", 99 << 20), source(3, "cfdi", 1), source(4, "csv", 1)) == [1] * 4


def test_progress_moves_while_a_big_file_among_small_ones_is_read(folder):
    lines = "".join(f"Viaje {number} a la planta,{number}\n" for number in range(120_000))
    (folder / "in" / "big.csv").write_text("Concepto,Importe\n" + lines)
    (folder / "in" / "bad.csv").write_text("Texto,Importe\n" + lines)
    options = load_parameters("run.yaml", ["ingest.input=in", "ingest.filters={}"]).ingest
    sources, told = find(options).sources, []
    meter = Meter(sum(source.size for source in sources), lambda *said: None)

    def tell(*said):
        meter.show_part(*said)
        told.append((meter.done, meter.rows))

    make = MakePart(Preparation(options, get_pipeline("v3")), open_store().parts("x"), tell)
    size = next(source.size for source in sources if source.name == "big.csv")
    for lot in make_lots([(source.name, source) for source in sources]):
        done = make(lot)
        meter.show_part(lot.name, lot.size, done.facts.get("rows", 0))
    within = [rows for done, rows in told if 0.3 * size < done < 2.9 * size]
    assert len(within) >= 2 and told == sorted(told)
    assert (meter.done, meter.rows) == (meter.total, 120_007)  # nothing of the file that could not be used is counted


def test_progress_tells_bytes_rows_and_pace(folder):
    lines = "".join(f"Viaje {number} a la planta de Monterrey,{number}\n" for number in range(120_000))
    (folder / "big.csv").write_text("Concepto,Importe\n" + lines)
    said = []
    ingest("ingest.input=big.csv", show=said.append)
    assert said[0].startswith("50,000 rows read and cleaned, ")
    assert "rows/s" in said[0] and "left" in said[0]
    assert said[-1].startswith("120,000 rows read and cleaned")


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on the size of files")
def test_without_space_the_run_stops_and_what_was_prepared_is_kept(folder):
    lines = "".join(f"Viaje {number} a la planta,{number}\n" for number in range(100_000))
    (folder / "in" / "z.csv").write_text("Concepto,Importe\n" + lines)
    program = (
        "import resource, time\nimport pyarrow.parquet as pq\nfrom workbench import workflow\n"
        "from workbench.errors import StorageError\n"
        "write = pq.ParquetWriter.write_table\n"  # a slow disk: the next batch is there before the first fails
        "pq.ParquetWriter.write_table = lambda *values: (time.sleep(0.3), write(*values))\n"
        "from workbench.parameters import load_parameters\nfrom workbench.runs import open_store\n"
        "store = open_store()\n"
        "parameters = load_parameters('run.yaml', ['ingest.input=in', 'ingest.filters={}', "
        "'ingest.amount_column=null', 'validate.gold_column=null'])\n"
        "run = workflow.start(parameters, store, run_id='one')\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))\n"
        "try: workflow.ingest(parameters, store, run_id='one')\n"
        "except StorageError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, "cannot write" in done.stdout) == (0, True), done.stderr
    assert len(list((folder / "runs").glob(".cache/parts/*/*.json"))) == 3
    assert ingest()[3]["files"]["kept"] == 3


@pytest.fixture
def small_disk(project):
    """Make the folder `runs` a file system of its own; gives what changes its size."""
    (project / "runs").mkdir()

    def mounted(options):
        command = ["mount", "-t", "tmpfs", "-o", options, "none", project / "runs"]
        return bool(shutil.which("mount")) and subprocess.run(command, capture_output=True).returncode == 0

    if not mounted("size=1m"):
        pytest.skip("needs the right to mount a file system of a few megabytes.")
    yield lambda size: mounted(f"remount,size={size}")
    subprocess.run(["umount", "-l", project / "runs"], check=True)


def test_a_run_that_fills_the_disk_says_so_and_goes_on_when_there_is_space_again(project, small_disk):
    lines = "".join(f"Viaje {number} a la planta,{number}\n" for number in range(100_000))
    (project / "big.csv").write_text("Concepto,Importe\n" + lines)
    overrides = ["ingest.input=big.csv", "ingest.filters={}", "ingest.amount_column=null", "validate.gold_column=null"]
    command = [sys.executable, "-m", "workbench.cli", "ingest", "run.yaml", "--run-id", "one"]
    command += [part for each in overrides for part in ("--set", each)]
    small_disk("3m")  # enough to begin
    stopped = subprocess.run(command, capture_output=True, text=True)
    assert (stopped.returncode, "Traceback" in stopped.stderr) == (1, False)
    assert "the disk is full: free some space" in stopped.stderr.splitlines()[-1]
    small_disk("100m")
    assert len(ingest(*overrides)[2]) == 100_000
    assert not list((project / "runs").rglob("*.partial"))


def test_an_unknown_scheduler_is_a_clear_error(folder, monkeypatch):
    monkeypatch.setattr(engine, "CONNECT_SECONDS", 1)
    with pytest.raises(StageFailed, match=r"no Dask scheduler answers at tcp://127\.0\.0\.1:9"):
        ingest("ingest.engine=dask", "ingest.scheduler=tcp://127.0.0.1:9")
