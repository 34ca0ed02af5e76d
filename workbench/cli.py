"""The command line: it reads arguments, calls the layers below and prints what they give."""

from __future__ import annotations

import argparse
import contextlib
import json
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from workbench import __version__
from workbench.errors import UsageError, WorkbenchError

if TYPE_CHECKING:
    import pandas as pd

    from workbench.parameters import Parameters
    from workbench.runs import RunStore

EPILOG = """\
first steps:
  workbench run parameters/demo.yaml           the shipped example, two iterations, no key needed
  workbench inspect my_expenses.xlsx           what is in a file
  workbench preview my_expenses.xlsx --columns Descripcion --pipeline v3
  workbench show                               the newest run
exit codes: 0 done (or waiting for a review), 1 it failed, 2 wrong usage, 130 interrupted
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; gives the exit code."""
    options = _parser().parse_args(arguments)
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # a polite kill is a Ctrl+C
    try:
        options.command(options)
    except WorkbenchError as error:
        _print_error(error, getattr(options, "log_format", "text"))
        return error.exit_code
    except KeyboardInterrupt:
        print("interrupted; what was done stays.", file=sys.stderr)
        return 130
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our output has gone, as `| head` does
        return 0
    return 0


def _print_error(error: WorkbenchError, log_format: str) -> None:
    if log_format == "json":
        record = {"event": "error", "kind": type(error).__name__, "message": error.message, "hint": error.hint}
        print(json.dumps(record, ensure_ascii=False), file=sys.stderr)
    else:
        print(f"error: {error}", file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="workbench",
        description="Messy expense lines in, categories that people can trust out.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"workbench {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_run_commands(commands)
    _add_file_commands(commands)
    _add_record_commands(commands)
    _add_door_commands(commands)
    return parser


def _command(
    commands: Any, name: str, call: Callable[[argparse.Namespace], None], text: str
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=text,
        description=text[0].upper() + text[1:] + ".",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(command=call)
    return parser


def _add_run_commands(commands: Any) -> None:
    run = _command(commands, "run", _run, "run all stages of all iterations that a parameters file describes")
    run.add_argument("--iterations", type=int, metavar="N", help="how many times the items are classified")
    run.add_argument("--resume", action="store_true", help="go on with the run, or start it if it is not there")
    stages = {
        "ingest": "read, clean and merge the rows",
        "classify": "classify the distinct items",
        "validate": "draw the sample and take the verdicts",
        "refine": "put validated examples into the next prompt",
    }
    for stage, text in stages.items():
        one = _command(commands, stage, _stage, f"run one stage: {text}")
        one.set_defaults(stage=stage)
        if stage != "ingest":
            one.add_argument("--iteration", type=int, metavar="N", help="default: the first that lacks this stage")
        if stage == "validate":
            one.add_argument("--from", dest="verdicts", metavar="FILE", help="a filled-in review sheet, or CSV or JSON")
    _command(commands, "estimate", _estimate, "say what the first iteration will cost, before anything is sent")
    for name in ("run", *stages, "estimate"):
        parser = commands.choices[name]
        parser.add_argument("parameters", metavar="PARAMETERS.yaml", help="the parameters file (or a run.json)")
        if name != "estimate":
            parser.add_argument(
                "--run-id", metavar="ID", help="name of the run; made up from its name and the time if not given"
            )
            parser.add_argument(
                "--log-format", choices=("text", "json"), default="text", help="how progress is printed"
            )
        parser.add_argument(
            "--set",
            action="append",
            default=[],
            metavar="section.key=value",
            help="change a parameter; may be repeated",
        )
        if name in ("run", "classify"):
            parser.add_argument("--no-cache", action="store_true", help="ask for everything anew, also what is kept")
        parser.add_argument("--json", action="store_true", help="print the result as JSON")


def _add_file_commands(commands: Any) -> None:
    inspect = _command(
        commands, "inspect", _inspect, "show the columns of files: type, nulls, distinct values, samples"
    )
    inspect.add_argument("paths", nargs="+", metavar="PATH", help="CSV, XLSX, JSON or JSONL files")
    preview = _command(commands, "preview", _preview, "show cleaning before and after on random rows, step by step")
    preview.add_argument("path", metavar="PATH")
    preview.add_argument("--columns", required=True, metavar="A,B", help="the columns to clean, separated by commas")
    preview.add_argument("--pipeline", default="v3", help="v1, v2 or v3 (default: %(default)s)")
    preview.add_argument("--rows", type=int, default=10, metavar="N", help="how many rows (default: %(default)s)")
    preview.add_argument("--seed", type=int, default=7, help="which random rows (default: %(default)s)")
    for parser in (inspect, preview):
        parser.add_argument("--sheet", metavar="NAME", help="sheet of a workbook (default: the first with data)")
        parser.add_argument("--header-row", type=int, metavar="N", help="row of the header, from 0 (default: found)")
        parser.add_argument("--encoding", metavar="NAME", help="encoding of a text file (default: found)")
        parser.add_argument("--delimiter", metavar="CHAR", help="delimiter of a CSV file (default: found)")
        parser.add_argument("--json", action="store_true", help="print as JSON")


def _add_record_commands(commands: Any) -> None:
    runs = _command(commands, "runs", _runs, "list all runs, newest first")
    show = _command(
        commands, "show", _show, "show one run: what was read, how accurate each iteration is, what to do next"
    )
    compare = _command(commands, "compare", _compare, "compare two iterations of a run")
    search = _command(commands, "search", _search, "find items by keyword, with everything that was said of them")
    search.add_argument("run", metavar="RUN", help="run id")
    search.add_argument("keyword", metavar="KEYWORD", help="words or parts of words; case and accents do not matter")
    search.add_argument("--field", action="append", metavar="F", help="search only this clean field; may be repeated")
    search.add_argument("--category", metavar="C", help="only items of this category")
    search.add_argument("--page", type=int, default=1, metavar="P", help="which page (default: %(default)s)")
    search.add_argument("--limit", type=int, default=50, metavar="L", help="items per page (default: %(default)s)")
    export = _command(commands, "export", _export, "write the rows of a run, with their answers, to a file")
    review = _command(commands, "review", _review, "write the review sheet of a run and say how to hand it back")
    for parser in (show, compare, export, review):
        parser.add_argument("run", nargs="?", metavar="RUN", help="run id (default: the newest run)")
    compare.add_argument("iterations", nargs="*", type=int, metavar="A B", help="default: the last two")
    export.add_argument("--to", required=True, metavar="FILE", help="a .xlsx, .csv, .parquet or .json file")
    export.add_argument(
        "--stage",
        choices=("ingest", "classify"),
        default="classify",
        help="classify: original columns and answers; ingest: rows with clean columns (default: %(default)s)",
    )
    review.add_argument("--iteration", type=int, metavar="N", help="default: the newest")
    for parser in (runs, show, compare, search):
        parser.add_argument("--json", action="store_true", help="print as JSON")


def _add_door_commands(commands: Any) -> None:
    lab = _command(commands, "lab", _lab, "open the notebooks in JupyterLab")
    lab.add_argument("--port", type=int, metavar="P", help="port to listen on")
    lab.add_argument("--no-browser", action="store_true", help="only print the address")


# --- commands -------------------------------------------------------------------------------------------------------


def _load(options: argparse.Namespace) -> Parameters:
    from workbench.parameters import load_parameters

    overrides = list(options.set)
    if getattr(options, "iterations", None) is not None:
        overrides.append(f"run.iterations={options.iterations}")
    if getattr(options, "no_cache", False):
        overrides.append("classify.cache=false")
    return load_parameters(options.parameters, overrides)


def _store() -> RunStore:
    from workbench.runs import open_store

    return open_store()


def _run_id(options: argparse.Namespace, store: RunStore) -> str:
    return store.get(options.run).run_id if options.run else store.latest().run_id


def _run(options: argparse.Namespace) -> None:
    parameters = _load(options)
    from workbench import console, notebooks, report

    store = _store()
    observer = console.Observer(options.log_format)
    run = notebooks.run_loop(parameters, store, run_id=options.run_id, resume=options.resume, observe=observer)
    if options.json:
        console.print_json(report.summary(store, run.run_id))
    else:
        print(console.summary(report.summary(store, run.run_id), options.parameters))


def _stage(options: argparse.Namespace) -> None:
    parameters = _load(options)
    from workbench import console, notebooks, workflow

    store = _store()
    if options.stage == "ingest":
        run = workflow.start(parameters, store, run_id=options.run_id, resume=True)
    elif options.run_id is None:
        raise UsageError(f"{options.stage} needs --run-id.", hint="`workbench runs` lists the runs.")
    else:
        run = workflow.start(parameters, store, run_id=store.get(options.run_id).run_id, resume=True)
    step = workflow.step_of(run, store, options.stage, getattr(options, "iteration", None))
    with store.lock(run.run_id):
        extra = {"verdicts": options.verdicts} if getattr(options, "verdicts", None) else {}
        run = notebooks.run_stage(run, step, store, observe=console.Observer(options.log_format), extra=extra)
    facts = store.facts(run.run_id, step.stage, step.iteration)
    if options.json:
        console.print_json({"run_id": run.run_id, "stage": step.stage, "iteration": step.iteration, "facts": facts})
    elif options.stage == "validate":
        print(workflow.review_advice(run, store, step.iteration))
    else:
        print(console.facts(f"{run.run_id}: {step.stage}", facts))


def _estimate(options: argparse.Namespace) -> None:
    parameters = _load(options)
    from workbench import classification, console

    found = classification.estimate_input(parameters, _store())
    if options.json:
        console.print_json(found.to_dict())
    else:
        print(found)


def _reading(options: argparse.Namespace) -> dict[str, Any]:
    sheet = int(options.sheet) if options.sheet and options.sheet.isdigit() else options.sheet
    delimiter = "\t" if options.delimiter in ("\\t", "tab") else options.delimiter
    return {
        "sheet": sheet,
        "header_row": options.header_row,
        "encoding": options.encoding,
        "delimiter": delimiter,
    }


def _inspect(options: argparse.Namespace) -> None:
    from workbench import console, readers

    found = readers.inspect_files(options.paths, **_reading(options))
    if options.json:
        console.print_json(found.to_dict())
    else:
        print(console.schema(found.to_dict()))


def _preview(options: argparse.Namespace) -> None:
    from workbench import console, readers, refinery

    pipeline = refinery.get_pipeline(options.pipeline)
    table = readers.read(options.path, **_reading(options))
    columns = [column.strip() for column in options.columns.split(",")]
    shown = pipeline.preview(table, columns, rows=options.rows, seed=options.seed)
    _print_frame(shown, options, console.table)


def _print_frame(frame: pd.DataFrame, options: argparse.Namespace, layout: Callable[[pd.DataFrame], str]) -> None:
    from workbench import console

    if options.json:
        console.print_json(json.loads(frame.to_json(orient="records", date_format="iso", force_ascii=False)))
    else:
        print(layout(frame) if len(frame) else "none.")


def _runs(options: argparse.Namespace) -> None:
    from workbench import console

    _print_frame(_store().list(), options, console.table)


def _show(options: argparse.Namespace) -> None:
    from workbench import console, report

    store = _store()
    found = report.summary(store, _run_id(options, store))
    if options.json:
        console.print_json(found)
    else:
        print(console.summary(found))


def _compare(options: argparse.Namespace) -> None:
    from workbench import console, workflow

    store = _store()
    found = workflow.compare(store.get(_run_id(options, store)), store, *options.iterations[:2])
    if options.json:
        console.print_json(found)
    else:
        print(console.comparison(found))


def _search(options: argparse.Namespace) -> None:
    from workbench import console, workflow
    from workbench.search import Query

    fields = tuple(options.field) if options.field else None
    query = Query(options.keyword, fields, options.category, options.page, options.limit)
    store = _store()
    found = workflow.search(store.get(options.run), store, query)
    if options.json:
        console.print_json(found)
    else:
        print(console.search(found))


def _export(options: argparse.Namespace) -> None:
    from workbench import delivery

    store = _store()
    path, rows = delivery.export(store.get(_run_id(options, store)), store, options.to, stage=options.stage)
    print(f"{path}: {rows:,} rows")


def _review(options: argparse.Namespace) -> None:
    from workbench import workflow

    store = _store()
    run = store.get(_run_id(options, store))
    print(workflow.offer_review(run, store, options.iteration))


def _lab(options: argparse.Namespace) -> None:
    import importlib.util
    import subprocess

    from workbench.errors import MissingExtra
    from workbench.settings import shipped_folder

    if importlib.util.find_spec("jupyterlab") is None:
        raise MissingExtra("JupyterLab is not installed.", hint="pip install 'datainspector-workbench[lab]'")
    command = [sys.executable, "-m", "jupyterlab", "--notebook-dir", str(shipped_folder())]
    command += [f"--port={options.port}"] if options.port else []
    command += ["--no-browser"] if options.no_browser else []
    with contextlib.suppress(KeyboardInterrupt):
        subprocess.run(command, check=False)


if __name__ == "__main__":
    sys.exit(main())
