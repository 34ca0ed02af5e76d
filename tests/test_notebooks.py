"""The strict papermill engine: honest statuses, honest errors, atomic saves, whatever stops a notebook."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from workbench.errors import NotebookFailed, ParameterError, ReadError, StorageError
from workbench.execution import HonestManager, declared_parameters, execute


@pytest.fixture
def write(tmp_path):
    def write_notebook(*sources):
        notebook = new_notebook(cells=[new_code_cell(source) for source in sources])
        notebook.cells[0].metadata["tags"] = ["parameters"]
        notebook.metadata = {"kernelspec": {"name": "python3", "display_name": "", "language": "python"}}
        path = tmp_path / "in {braces}.ipynb"
        nbformat.write(notebook, path)
        return path, tmp_path / "out.ipynb"

    return write_notebook


def statuses(path):
    return [cell.metadata.papermill.status for cell in nbformat.read(path, 4).cells]


def test_parameters_arrive_and_every_cell_is_completed(write):
    source, output = write("amount = 1\nname: str | None = None", "print(amount, name)")
    execute(source, output, {"amount": 5, "name": "a = b"})
    assert statuses(output) == ["completed"] * 3
    assert nbformat.read(output, 4).cells[-1].outputs[0].text == "5 a = b\n"


def test_an_unknown_parameter_is_refused_before_a_kernel_starts(write):
    source, output = write("iteration = 1", "print(iteration)")
    with pytest.raises(ParameterError, match=r"no parameter 'iterations'.*did you mean 'iteration'"):
        execute(source, output, {"iterations": 2})
    assert not output.exists()


def test_annotated_parameters_are_declared():
    notebook = new_notebook(cells=[new_code_cell('a: str | None = None\nb = "k=v"\nc: "list[int]" = []')])
    notebook.cells[0].metadata["tags"] = ["parameters"]
    assert declared_parameters(notebook) == ["a", "b", "c"]


def test_cells_after_a_failure_stay_pending_and_the_error_says_where(write):
    source, output = write("a = 1", "1 / 0", "print(a)")
    with pytest.raises(NotebookFailed, match="cell 1: ZeroDivisionError: division by zero"):
        execute(source, output, {})
    assert statuses(output) == ["completed", "failed", "pending"]


def test_an_error_of_the_workbench_arrives_as_itself(write):
    source, output = write(
        "a = 1", "from workbench.errors import ReadError\nraise ReadError('x is bad.', hint='mend it')"
    )
    with pytest.raises(ReadError) as caught:
        execute(source, output, {})
    assert (caught.value.message, caught.value.hint) == ("x is bad.", "mend it")


def test_a_dead_kernel_is_a_failure_and_not_a_completion(write):
    source, output = write("a = 1", "import os\nos._exit(3)", "print(a)")
    with pytest.raises(NotebookFailed, match="the kernel died"):
        execute(source, output, {})
    assert statuses(output) == ["completed", "failed", "pending"]


def test_a_kernel_that_was_ended_at_its_hard_time_limit_says_so(write):
    stage = "import logging, time\nfrom workbench.deadlines import time_limited\n"
    stage += "with time_limited('ingest', 0, 0.2, logging.getLogger('x')):\n    time.sleep(60)"
    source, output = write("a = 1", stage)
    with pytest.raises(NotebookFailed, match=r"ingest was ended at its hard time limit of 0\.2 seconds"):
        execute(source, output, {})


def test_a_time_out_is_a_failure_and_not_a_completion(write):
    source, output = write("a = 1", "import time\ntime.sleep(60)", "print(a)")
    with pytest.raises(NotebookFailed, match="timed out"):
        execute(source, output, {}, timeout=1)
    assert statuses(output) == ["completed", "failed", "pending"]


def test_an_executed_notebook_that_cannot_be_saved_is_a_clear_error_and_leaves_nothing_half_written(tmp_path):
    resource = pytest.importorskip("resource")
    notebook = new_notebook(cells=[new_code_cell("print(1)")], metadata={"papermill": {}})
    manager = HonestManager(notebook, output_path=str(tmp_path / "out.ipynb"), progress_bar=False)
    manager.save()
    before, limits = (tmp_path / "out.ipynb").read_bytes(), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, limits[1]))
    try:
        with pytest.raises(StorageError, match=r"cannot write .*out\.ipynb: File too large\. Hint: "):
            manager.save()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert (tmp_path / "out.ipynb").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["out.ipynb"]


CLEANING_UP = """\
import time
from pathlib import Path
Path("begun").touch()
try:
    time.sleep(60)
finally:
    Path("cleaned").touch()
"""

SLEEPING = """\
import os, time
from pathlib import Path
Path("pid").write_text(str(os.getpid()))
Path("begun").touch()
time.sleep(120)
"""

PROGRAM = """
import sys
from pathlib import Path
from workbench.errors import Interrupted
from workbench.execution import execute
try:
    execute(Path(sys.argv[1]), Path(sys.argv[2]), {})
except Interrupted as error:
    sys.exit(error.exit_code)
"""


def wait_for(path, seconds=60):
    end = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < end, f"{path} did not appear"
        time.sleep(0.05)


@pytest.mark.skipif(sys.platform == "win32", reason="signals as on POSIX are needed")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_lets_the_cell_clean_up(write, tmp_path, number):
    source, output = write("a = 1", CLEANING_UP, "print(a)")
    process = subprocess.Popen([sys.executable, "-c", PROGRAM, source, output], cwd=tmp_path)
    wait_for(tmp_path / "begun")
    process.send_signal(number)
    assert process.wait(30) == 130
    assert (tmp_path / "cleaned").exists()
    assert statuses(output) == ["completed", "failed", "pending"]


@pytest.mark.skipif(sys.platform == "win32", reason="signals as on POSIX are needed")
def test_the_kernel_dies_with_a_killed_process(write, tmp_path):
    source, output = write("a = 1", SLEEPING)
    process = subprocess.Popen([sys.executable, "-c", PROGRAM, source, output], cwd=tmp_path)
    wait_for(tmp_path / "begun")
    kernel = int((tmp_path / "pid").read_text())
    process.kill()
    process.wait()
    end = time.monotonic() + 30
    while is_running(kernel):
        assert time.monotonic() < end, "the kernel outlived its process"
        time.sleep(0.1)


def is_running(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return (
        "Z" not in Path(f"/proc/{pid}/stat").read_text().split(")")[-1][:3] if Path(f"/proc/{pid}").exists() else False
    )
