"""The command line: one line for every mistake, exit codes, nothing half-written; and the main job in its notebooks."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import openpyxl
import pandas as pd
import pytest
from conftest import write_project

from workbench import errors
from workbench.cli import main
from workbench.errors import install
from workbench.runs import open_store


def run(*arguments):
    """Call the command in this process; gives the exit code, also where argparse leaves."""
    try:
        return main(arguments)
    except SystemExit as leave:
        return leave.code


RUN = [sys.executable, "-m", "workbench.cli", "run", "run.yaml", "--run-id"]


@pytest.fixture(scope="module")
def main_job(made_once):
    """A folder in which `workbench run` has done its job; to be copied."""

    def fill(folder):
        write_project(folder)
        here = os.environ | {"WORKBENCH_RUNS": str(folder / "runs")}
        here.pop("WORKBENCH_DATABASE_URL", None)
        done = subprocess.run([*RUN, "one"], cwd=folder, env=here, capture_output=True, text=True)
        (folder / "printed.json").write_text(json.dumps([done.returncode, done.stdout, done.stderr]))

    return made_once("main-job", fill)


@pytest.fixture
def done(project, main_job):
    """The project with its finished run "one"; gives the exit code and what was printed."""
    shutil.copytree(main_job, project, dirs_exist_ok=True)
    return json.loads((project / "printed.json").read_text())


def test_the_main_job_runs_in_notebooks_and_ends_with_a_table(project, done, capsys):
    code, out, err = done
    assert code == 0
    assert "95 % interval" in out
    assert "classified.xlsx" in out
    assert "workbench review one" in out
    assert "iteration 2: classify done" in err
    folder = project / "runs" / "one"
    for place in (
        "ingest/01_ingest",
        "iteration_001/02_classify",
        "iteration_001/04_refine",
        "iteration_002/03_validate",
    ):
        notebook = nbformat.read(folder / f"{place}.ipynb", 4)
        assert {cell.metadata.papermill.status for cell in notebook.cells} == {"completed"}
    assert run("run", "run.yaml", "--run-id", "one") == 2
    assert "--resume" in capsys.readouterr().err
    started = time.monotonic()
    assert run("run", "run.yaml", "--run-id", "one", "--resume", "--json") == 0
    assert time.monotonic() - started < 20
    assert json.loads(capsys.readouterr().out)["state"] == "finished"
    assert run("show", "one") == 0
    assert run("compare", "one", "1", "2") == 0
    assert run("runs", "--json") == 0
    assert run("export", "one", "--to", "out.csv") == 0
    assert len(pd.read_csv("out.csv")) == 50


@pytest.mark.skipif(sys.platform == "win32", reason="signals as on POSIX are needed")
def test_a_run_that_was_cut_off_by_ctrl_c_and_by_a_kill_goes_on_to_the_same_result(project, done):
    for number, code, seconds in ((signal.SIGINT, 130, 2.5), (signal.SIGKILL, -signal.SIGKILL, 1.5)):
        process = subprocess.Popen([*RUN, "cut", "--resume"], stderr=subprocess.PIPE, text=True)
        for line in process.stderr:
            if "classify …" in line:
                break
        time.sleep(seconds)
        process.send_signal(number)
        process.communicate(timeout=60)
        assert process.returncode == code
        assert open_store().get("cut").state == "interrupted"
    subprocess.run([*RUN, "cut", "--resume"], check=True, capture_output=True)
    store = open_store()
    for artifact, iteration in (("classified", None), ("predictions", 2), ("sample", 2), ("sample", 1)):
        whole, cut = (store.load(run_id, artifact, iteration) for run_id in ("one", "cut"))
        pd.testing.assert_frame_equal(whole, cut)
    assert store.get("cut").state == "finished"


@pytest.mark.skipif(sys.platform == "win32", reason="signals as on POSIX are needed")
def test_a_kill_ends_what_only_reads_though_a_thread_is_still_at_work():
    program = (
        "import signal, time\nfrom concurrent.futures import ThreadPoolExecutor\n"
        "from workbench.cli.parts import ended_at_once\n"
        "signal.signal(signal.SIGTERM, signal.default_int_handler)\n"
        "with ended_at_once():\n"
        "    at_work = ThreadPoolExecutor().submit(time.sleep, 60)\n"
        "    print('begun', flush=True)\n    at_work.result()"
    )
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    with process:
        assert process.stdout.readline() == "begun\n"
        process.terminate()
        assert process.wait(timeout=20) == 130


def test_two_processes_do_not_work_on_one_run(project, capsys):
    store = open_store()
    run("ingest", "run.yaml", "--run-id", "one")
    program = (
        "from workbench.runs import open_store\nimport time\n"
        "with open_store().lock('one'):\n    print('held', flush=True)\n    time.sleep(60)"
    )
    holder = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout.readline() == "held\n"
        capsys.readouterr()
        assert run("run", "run.yaml", "--run-id", "one", "--resume") == 1
        assert str(holder.pid) in capsys.readouterr().err
    finally:
        holder.kill()
        holder.wait()
        holder.stdout.close()
    assert store.get("one").run_id == "one"


MISTAKES = {
    "a missing parameters file": (["run", "nothing.yaml"], 2, "there is no file nothing.yaml"),
    "an unknown key": (["run", "run.yaml", "--set", "classify.chunksize=3"], 2, "did you mean 'chunk_size'?"),
    "a value that does not fit": (["run", "run.yaml", "--iterations", "0"], 2, "run.iterations"),
    "broken YAML": (["run", "broken.yaml"], 2, "line 3"),
    "a missing input": (["run", "run.yaml", "--set", "ingest.input=expensas.csv"], 1, "expenses.csv"),
    "an unknown format": (["run", "run.yaml", "--set", "ingest.input=run.yaml"], 1, ".xlsx"),
    "an empty file": (["run", "run.yaml", "--set", "ingest.input=empty.csv"], 1, "empty"),
    "a header without rows": (["run", "run.yaml", "--set", "ingest.input=header.csv"], 1, "no rows"),
    "an unknown column": (["run", "run.yaml", "--set", "ingest.columns=[Conceptos]"], 2, "did you mean 'Concepto'?"),
    "an unknown amount column": (["run", "run.yaml", "--set", "ingest.amount_column=Monto"], 2, "Importe"),
    "an unknown filter column": (["run", "run.yaml", "--set", "ingest.filters={Status: [A]}"], 2, "Estado"),
    "filters that fit nothing": (["run", "run.yaml", "--set", "ingest.filters={Estado: [X]}"], 1, "no row is left"),
    "an unknown pipeline": (["run", "run.yaml", "--set", "ingest.pipeline=v4"], 2, "there are v1, v2, v3"),
    "an unknown deduplication": (["run", "run.yaml", "--set", "ingest.deduplication=all"], 2, "content_only"),
    "an unknown strategy": (["run", "run.yaml", "--set", "validate.strategy=best"], 2, "stratified"),
    "an unknown provider": (["run", "run.yaml", "--set", "classify.provider=lexica"], 2, "did you mean 'lexical'?"),
    "a missing prompt": (["run", "run.yaml", "--set", "classify.prompt=promt.yaml"], 2, "did you mean 'prompt.yaml'?"),
    "an unknown gold column": (["run", "run.yaml", "--set", "validate.gold_column=Verdades"], 2, "'Verdad'"),
    "a missing verdicts file": (["run", "run.yaml", "--set", "validate.verdicts=none.xlsx"], 1, "none.xlsx"),
    "a run id with a path in it": (["run", "run.yaml", "--run-id", "../x"], 2, "../x"),
    "an unknown run": (["show", "nobody"], 2, "nobody"),
    "a stage without its run": (["classify", "run.yaml"], 2, "--run-id"),
    "an export of an unknown kind": (["export", "one", "--to", "x.doc"], 2, "one"),
    "an unknown command": (["rnu"], 2, "rnu"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_one_line_with_a_hint(project, capfd, name):
    arguments, code, words = MISTAKES[name]
    (project / "runs").mkdir()
    (project / "broken.yaml").write_text("run: {name: x}\ningest: [\n")
    (project / "empty.csv").write_text("")
    (project / "header.csv").write_text("Folio,Concepto,Importe,Estado,Verdad\n")
    assert run(*arguments) == code
    printed = capfd.readouterr()
    assert words in printed.err
    assert "Traceback" not in printed.err + printed.out
    assert printed.out == ""


def test_an_error_can_be_printed_as_json(project, capsys):
    assert run("run", "nothing.yaml", "--log-format", "json") == 2
    error = json.loads(capsys.readouterr().err)
    assert (error["event"], error["kind"]) == ("error", "ParameterError")


def test_inspect_and_preview_show_a_file(project, capsys):
    assert run("inspect", "expenses.csv") == 0
    printed = capsys.readouterr().out
    assert "50 rows, 5 columns" in printed
    assert "Concepto" in printed
    assert run("inspect", "expenses.csv", "--json") == 0
    assert json.loads(capsys.readouterr().out)["files"][0]["rows"] == 50
    assert run("preview", "expenses.csv", "--columns", "Concepto", "--rows", "3") == 0
    assert run("preview", "expenses.csv", "--columns", "Concepto", "--rows", "3", "--json") == 0


def test_a_run_without_truth_waits_and_says_how_to_go_on(project, capsys):
    assert run("run", "run.yaml", "--run-id", "one", "--set", "validate.gold_column=null") == 0
    printed = capsys.readouterr().out
    assert "awaiting review" in printed
    assert "review.xlsx" in printed
    assert "workbench run run.yaml --run-id one --resume" in printed
    assert "workbench review one" in printed
    assert run("export", "one", "--sample", "sheet.csv") == 2


def test_a_sheet_is_filled_in_and_what_it_could_not_give_is_told_while_the_rest_is_taken(project, capsys):
    untrue = ("run.yaml", "--run-id", "one", "--set", "validate.gold_column=null")
    assert run("run", *untrue) == 0
    capsys.readouterr()
    assert run("export", "one", "--sample", "sheet.xlsx") == 0
    assert "10 items" in (told := capsys.readouterr().out)
    assert "workbench validate PARAMETERS.yaml --run-id one --from sheet.xlsx" in told
    book = openpyxl.load_workbook("sheet.xlsx")
    sheet = book.worksheets[0]
    column = {cell.value: cell.column for cell in sheet[2]}
    twice, said = sheet.cell(5, column["item_id"]).value, sheet.cell(5, column["category"]).value
    other = "Comida" if said == "Otros" else "Otros"
    filled = {
        3: {"is_correct": "sí"},
        4: {"is_correct": "no", "corrected_category": "Viages"},
        5: {"is_correct": "no", "corrected_category": other},
        6: {"is_correct": "no", "corrected_category": "Comida", "user_notes": "así es"},
        13: {"item_id": twice, "is_correct": "sí"},
        14: {"item_id": "nobody", "is_correct": "sí"},
    }
    for row, values in filled.items():
        for name, value in values.items():
            sheet.cell(row, column[name], value)
    book.save("sheet.xlsx")
    assert run("validate", *untrue, "--from", "sheet.xlsx") == 1
    said = capsys.readouterr().err
    assert "2 verdicts were taken, 3 were not" in said
    for fault in (
        "row 4: category 'Viages' is not in the list",
        "row 14: item 'nobody' is not in the sample",
        "row 5 and row 13",
    ):
        assert fault in said
    assert len(open_store().validations("one", 1)) == 2


def on_a_terminal(command):
    """What a command writes where it believes that somebody looks on."""
    import pty

    ours, its = pty.openpty()
    process = subprocess.Popen(command, stdin=its, stdout=its, stderr=its)
    os.close(its)
    written = b""
    with contextlib.suppress(OSError):  # Linux says so where a terminal is closed
        while part := os.read(ours, 4096):
            written += part
    os.close(ours)
    assert process.wait(60) == 0
    return written.decode()


@pytest.mark.skipif(os.name != "posix", reason="needs a pseudo-terminal")
def test_progress_is_one_rewritten_line_on_a_terminal_plain_lines_in_a_file_and_one_output_in_a_notebook(project, done):
    shown = on_a_terminal([*RUN, "two"])
    lines = [line for line in shown.split("\r\n") if "classify" in line]
    assert len(lines) == 2 and all("\r\x1b[K" in line and " done, " in line for line in lines)
    written = done[2]
    assert "\r" not in written and "\x1b" not in written
    assert written.count("classify …") == written.count("classify done, ") == 2
    for stage, name in (("ingest", "01_ingest"), ("iteration_001", "02_classify"), ("iteration_001", "03_validate")):
        cells = nbformat.read(project / "runs" / "one" / stage / f"{name}.ipynb", 4).cells
        outputs = [output for cell in cells for output in cell.get("outputs", [])]
        texts = [output.get("data", {}).get("text/plain", "") for output in outputs]
        told = [text for text in texts if text.startswith(("Ingest: ", "Classify: ", "Validate: "))]
        assert len(told) == (name != "03_validate"), (name, texts)
        assert not any("widget-view" in kind for output in outputs for kind in output.get("data", {}))


def test_a_runs_folder_that_cannot_be_made_is_one_line(project, capsys, monkeypatch):
    (project / "file").write_text("")
    monkeypatch.setenv("WORKBENCH_RUNS", str(project / "file" / "runs"))
    assert run("runs") == 2
    assert "WORKBENCH_RUNS" in capsys.readouterr().err


def test_the_lab_says_what_to_install_where_it_is_missing(project, capsys):
    import importlib.util

    if importlib.util.find_spec("jupyterlab"):
        pytest.skip("JupyterLab is installed here, so nothing is missing")
    assert run("lab") == 2
    assert install("lab") in capsys.readouterr().err


def test_the_command_for_an_extra_is_for_this_python_and_from_the_checkout_where_there_is_one(tmp_path, monkeypatch):
    checkout = Path(errors.__file__).parents[1]
    assert (checkout / "pyproject.toml").is_file()
    assert install("lab") == f"{sys.executable} -m pip install -e '{checkout}[lab]'"
    (tmp_path / "_shipped").mkdir()
    monkeypatch.setattr(errors, "__file__", str(tmp_path / "errors.py"))
    assert install("lab") == f"{sys.executable} -m pip install 'datainspector-workbench[lab]'"
