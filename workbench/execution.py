"""Execute one notebook under papermill, strictly, and keep the executed copy.

Stock papermill 2.7 marks cells that never ran as completed, kills the kernel on Ctrl+C without running its clean-up,
only warns about unknown parameters and saves non-atomically. The engine here does none of that.
"""

from __future__ import annotations

import ast
import logging
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from workbench.settings import COLLECT_RARELY, EXECUTED, shown, skip_grammar

skip_grammar()

# ruff: noqa: E402
import nbformat
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import NBClientEngine, NotebookExecutionManager, papermill_engines
from papermill.exceptions import PapermillExecutionError
from papermill.execute import execute_notebook as papermill_execute
from traitlets.config import Config

from workbench import errors
from workbench.errors import Interrupted, NotebookFailed, ParameterError, WorkbenchError, nearest
from workbench.runs.artifacts import mapped_errors, partial_path, remove

ENGINE = "workbench-strict"
GRACE_SECONDS = 10
"""How long an interrupted cell may take to clean up."""
START_TIMEOUT = 120
"""Seconds that a kernel may take to start on a busy machine."""
FIRST_LINE = f"--IPKernelApp.exec_lines=__import__('gc').set_threshold{COLLECT_RARELY}"


def declared_parameters(notebook: nbformat.NotebookNode) -> list[str]:
    """List the names that the cell tagged `parameters` assigns, in order."""
    cells = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
    targets: list[ast.expr] = []
    for node in ast.parse(cells[0].source).body if cells else []:
        if isinstance(node, ast.AnnAssign):
            targets.append(node.target)
        elif isinstance(node, ast.Assign):
            targets.extend(node.targets)
    return [target.id for target in targets if isinstance(target, ast.Name)]


def execute(source: Path, output: Path, parameters: dict[str, Any], *, timeout: int | None = None) -> None:
    """Execute a notebook with parameters and save the executed copy atomically, also when it fails.

    Args:
        source: the notebook; it is never changed.
        output: where the executed copy goes.
        parameters: name → literal value.
        timeout: seconds that one cell may take.

    Raises:
        ParameterError: a name that the notebook does not declare; before a kernel starts.
        WorkbenchError: the very error that the workbench raised inside the notebook.
        Interrupted: Ctrl+C or SIGTERM; the cell's clean-up has run.
        NotebookFailed: any other exception, a dead kernel or a time-out.
    """
    _refuse_unknown(source, parameters)
    interrupts: list[int] = []
    try:
        papermill_execute(
            str(source).replace("{", "{{").replace("}", "}}"),
            None,
            parameters=parameters,
            engine_name=ENGINE,
            kernel_name="python3",
            progress_bar=False,
            start_timeout=START_TIMEOUT,
            execution_timeout=timeout,
            save_to=output,
            interrupts=interrupts,
        )
    except PapermillExecutionError as fault:
        if interrupts and fault.ename != Interrupted.__name__:  # the workbench's own says more
            raise _interrupted() from None
        raise _error_of_cell(fault.ename, fault.evalue, output, fault.cell_index) from None
    except (CellTimeoutError, DeadKernelError, RuntimeError) as fault:
        if interrupts:
            raise _interrupted() from None
        raise NotebookFailed(
            f"{output.name} stopped: {_first_line(fault)}", hint=f"{shown(output)} shows how far it came."
        ) from None
    except KeyboardInterrupt:
        raise _interrupted() from None
    if interrupts:  # it came when the last cell was done already, while the kernel shut down
        raise _interrupted()


def _refuse_unknown(source: Path, parameters: dict[str, Any]) -> None:
    declared = declared_parameters(nbformat.read(source, 4))  # type: ignore[no-untyped-call]
    unknown = [name for name in parameters if name not in declared]
    if unknown:
        raise ParameterError(
            f"{source.name} has no parameter {', '.join(repr(name) for name in unknown)}.",
            hint=" ".join(nearest(name, declared) for name in unknown),
        )


def _interrupted() -> Interrupted:
    return Interrupted("interrupted; what was done stays.", hint="go on with --resume.")


def _error_of_cell(ename: str, evalue: str, output: Path, cell: int) -> WorkbenchError:
    """Turn a cell's error back into the workbench's own error, or say where to look."""
    kind = getattr(errors, ename, None)
    if isinstance(kind, type) and issubclass(kind, WorkbenchError):
        message, _, hint = evalue.partition(" Hint: ")
        return kind(message, hint=hint or None)
    return NotebookFailed(
        f"{output.name}, cell {cell}: {ename}: {_first_line(evalue)}", hint=f"{shown(output)} shows the traceback."
    )


def _first_line(fault: object) -> str:
    return (str(fault).strip() or type(fault).__name__).splitlines()[0]


class HonestManager(NotebookExecutionManager):  # type: ignore[misc]
    """Keeps the executed notebook: true cell statuses, atomic saves."""

    NOT_RUN = "not_run"

    def save(self, **kwargs: Any) -> None:
        """Write the notebook beside its place and move it there; raises StorageError."""
        self.nb: Any = kwargs.get("nb") or self.nb
        target = Path(self.output_path)
        partial = partial_path(target)
        with mapped_errors(target):
            try:
                partial.write_text(nbformat.writes(self.nb), encoding="utf-8")  # type: ignore[no-untyped-call]
                partial.replace(target)
            finally:
                remove(partial)
        self.last_save_time = self.now()

    def notebook_complete(self, **kwargs: Any) -> None:
        """Close the record; a cell that never ran stays `pending`, whatever stopped the notebook."""
        not_run = [cell for cell in self.nb.cells if cell.metadata.papermill["status"] == self.PENDING]
        for cell in not_run:
            cell.metadata.papermill["status"] = self.NOT_RUN  # hides it from papermill, which would call it completed
        super().notebook_complete(**kwargs)
        for cell in not_run:
            cell.metadata.papermill["status"] = self.PENDING
        self.save()

    def stopped(self, cell_index: int, reason: BaseException) -> None:
        """Record the cell that did not come to its end, and why."""
        self.nb.metadata.papermill["stopped_by"] = getattr(reason, "ename", None) or type(reason).__name__
        self.cell_exception(self.nb.cells[cell_index], cell_index=cell_index, exception=reason)


class OwnKernel(AsyncKernelManager):
    """A kernel of this very interpreter, whatever kernels are installed for the user."""

    @property
    def kernel_spec(self) -> KernelSpec:
        """Start ipykernel with the running Python."""
        return KernelSpec(
            argv=[sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}", FIRST_LINE],
            display_name="workbench",
            language="python",
            env={EXECUTED: "1"},
        )


class HonestClient(PapermillNotebookClient):  # type: ignore[misc]
    """Executes the cells; whatever stops a cell is recorded on it."""

    interrupts: list[int]

    def _stop_if_interrupted(self) -> None:
        """Heed an interrupt that came between two cells, where the kernel shrugs it off."""
        if self.interrupts:
            raise KeyboardInterrupt

    def papermill_execute_cells(self) -> None:
        """Run cell by cell up to the first that fails."""
        for index, cell in enumerate(self.nb.cells):
            self._stop_if_interrupted()
            self.nb_man.cell_start(cell, index)
            try:
                self.execute_cell(cell, index)
            except CellExecutionError as error:
                self.nb_man.stopped(index, error)
                return
            except BaseException as error:  # a time-out, a dead kernel, an interrupt
                self.nb_man.stopped(index, error)
                raise
            finally:
                self.nb_man.cell_complete(self.nb.cells[index], cell_index=index)
        self._stop_if_interrupted()


class StrictEngine(NBClientEngine):  # type: ignore[misc]
    """The papermill engine that `execute` uses."""

    @classmethod
    def execute_notebook(
        cls, nb: nbformat.NotebookNode, kernel_name: str, output_path: str | None = None, **options: Any
    ) -> nbformat.NotebookNode:
        """Execute and save to `save_to`; papermill's own, non-atomic writing is switched off by `output_path=None`."""
        save_to = options.pop("save_to")
        nb.metadata.papermill["output_path"] = str(save_to)
        manager = HonestManager(nb, output_path=str(save_to), progress_bar=False)
        manager.notebook_start()
        try:
            cls._run(manager, kernel_name, options)
        finally:
            manager.notebook_complete()
        return cast(nbformat.NotebookNode, manager.nb)

    @classmethod
    def _run(cls, manager: HonestManager, kernel_name: str, options: dict[str, Any]) -> None:
        with tempfile.TemporaryDirectory(prefix="wb") as folder:
            client = HonestClient(
                manager,
                kernel_name=kernel_name,
                kernel_manager_class=OwnKernel,
                startup_timeout=options["start_timeout"],
                timeout=options["execution_timeout"],
                coalesce_streams=True,
                config=_kernel_config(Path(folder)),
            )
            client.interrupts = options["interrupts"]
            kernel_log = Path(folder) / "kernel.log"
            with _signals_to_kernel(client), kernel_log.open("w") as log:
                try:
                    client.execute(stderr=log)
                except DeadKernelError:
                    raise DeadKernelError(f"the kernel died. {_last_line(kernel_log)}") from None


def _last_line(log: Path) -> str:
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1] if lines else "It said nothing; was the machine short of memory?"


def _kernel_config(folder: Path) -> Config:
    if sys.platform == "win32":
        return Config()
    # The folder is unique: kernels that share papermill's default socket name answer each other's messages.
    return Config({"KernelManager": {"transport": "ipc", "ip": str(folder / "k")}})


@contextmanager
def _signals_to_kernel(client: HonestClient) -> Iterator[None]:
    """Pass Ctrl+C and SIGTERM on to the kernel, so that the cell's `finally` runs.

    A kernel that has not stopped after `GRACE_SECONDS` (it may have been hit between two messages and wait for one that
    never comes), or a third signal, ends the notebook here.
    """
    if sys.platform == "win32" or threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number: int, _frame: Any) -> None:
        client.interrupts.append(number)
        pid = getattr(getattr(client.km, "provisioner", None), "pid", None)
        if pid is None or len(client.interrupts) > 2 or number == signal.SIGALRM:
            raise KeyboardInterrupt
        os.kill(pid, signal.SIGINT)
        signal.setitimer(signal.ITIMER_REAL, GRACE_SECONDS)

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)}
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in before.items():
            signal.signal(number, handler)


papermill_engines.register(ENGINE, StrictEngine)
logging.getLogger("papermill").setLevel(logging.ERROR)  # it warns of parameters that it fails to parse; we check them
