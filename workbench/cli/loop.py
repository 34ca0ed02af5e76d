"""The commands that work: run, the four stages, estimate."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from workbench.cli.parts import command, open_runs
from workbench.errors import ReadError, UsageError

if TYPE_CHECKING:
    from workbench.parameters import Parameters


def add(commands: Any) -> None:
    """Add the commands to the parser."""
    run = command(commands, "run", _run, "run all stages of all iterations that a parameters file describes")
    run.add_argument("--iterations", type=int, metavar="N", help="how many times the items are classified")
    run.add_argument("--resume", action="store_true", help="go on with the run, or start it if it is not there")
    stages = {
        "ingest": "read, clean and merge the rows",
        "classify": "classify the distinct items",
        "validate": "draw the sample and take the verdicts",
        "refine": "put validated examples into the next prompt",
    }
    for stage, text in stages.items():
        one = command(commands, stage, _stage, f"run one stage: {text}")
        one.set_defaults(stage=stage)
        if stage != "ingest":
            one.add_argument("--iteration", type=int, metavar="N", help="default: the first that lacks this stage")
        if stage == "validate":
            one.add_argument("--from", dest="verdicts", metavar="FILE", help="a filled-in review sheet, or CSV or JSON")
            text = "who filled that file in, where it has no reviewer column (default: reviewer)"
            one.add_argument("--reviewer", metavar="NAME", help=text)
    command(commands, "estimate", _estimate, "say what the first iteration will cost, before anything is sent")
    for name in ("run", *stages, "estimate"):
        parser = commands.choices[name]
        parser.add_argument("parameters", metavar="PARAMETERS.yaml", help="the parameters file (or a run.json)")
        if name != "estimate":
            made_up = name in ("run", "ingest")
            text = "made up from its name and the time if not given" if made_up else "it must be there; required"
            parser.add_argument("--run-id", metavar="ID", help=f"name of the run; {text}")
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
        if name == "classify":
            parser.add_argument("--failed", action="store_true", help="ask the items that have failed once more")
            text = "forget the kept answers of an item and ask it again; the beginning of its id will do"
            parser.add_argument("--forget", action="extend", nargs="+", default=[], metavar="ITEM", help=text)
        parser.add_argument("--json", action="store_true", help="print the result as JSON")


def _load(options: argparse.Namespace) -> Parameters:
    from workbench.parameters import load_parameters

    overrides = list(options.set)
    if getattr(options, "iterations", None) is not None:
        overrides.append(f"run.iterations={options.iterations}")
    if getattr(options, "no_cache", False):
        overrides.append("classify.cache=false")
    return load_parameters(options.parameters, overrides)


def _run(options: argparse.Namespace) -> None:
    parameters = _load(options)
    from workbench import console, notebooks, report

    store = open_runs(make=True)
    observer = console.Observer(options.log_format)
    run = notebooks.run_loop(parameters, store, run_id=options.run_id, resume=options.resume, observe=observer)
    if options.json:
        console.print_json(report.summary(store, run.run_id))
    else:
        print(console.summary(report.summary(store, run.run_id), options.parameters))


def _stage(options: argparse.Namespace) -> None:
    parameters = _load(options)
    from workbench import console, notebooks, workflow

    verdicts = getattr(options, "verdicts", None)
    reviewer = _reviewer_of(options)
    _check_there(verdicts)
    store = open_runs(make=options.stage == "ingest")
    if options.stage == "ingest":
        run = workflow.start(parameters, store, run_id=options.run_id, resume=True)
    elif options.run_id is None:
        raise UsageError(f"{options.stage} needs --run-id.", hint="`workbench runs` lists the runs.")
    else:
        run = workflow.start(parameters, store, run_id=store.get(options.run_id).run_id, resume=True)
    again = {name: value for name in ("failed", "forget") if (value := getattr(options, name, None))}
    iteration = getattr(options, "iteration", None)
    if iteration is None and (again or getattr(options, "verdicts", None)):
        iteration = store.newest(run.run_id, "predictions")
    step = workflow.step_of(run, store, options.stage, iteration)
    with store.lock(run.run_id):
        extra = again | ({"verdicts": verdicts, "reviewer": reviewer} if verdicts else {})
        run = notebooks.run_stage(run, step, store, observe=console.Observer(options.log_format), extra=extra)
    facts = store.facts(run.run_id, step.stage, step.iteration)
    if options.json:
        console.print_json({"run_id": run.run_id, "stage": step.stage, "iteration": step.iteration, "facts": facts})
    elif options.stage == "validate":
        print(workflow.review_advice(run, store, step.iteration))
    else:
        print(console.facts(f"{run.run_id}: {step.stage}", facts))


def _reviewer_of(options: argparse.Namespace) -> str | None:
    """Give the name of who filled a file of verdicts in, if there is one; raises UsageError where it says nothing."""
    name: str | None = getattr(options, "reviewer", None)
    if name is not None and not (name.strip() and options.verdicts):
        raise UsageError("--reviewer NAME says who filled in the file of --from FILE.", hint="give both.")
    return name and name.strip()


def _check_there(file: str | None) -> None:
    """Raise ReadError, with the names of the files that are there, where a file of verdicts is not."""
    from pathlib import Path

    from workbench.documents import nearest_file
    from workbench.settings import find_file

    if file and not find_file(file).is_file():
        raise ReadError(f"there is no file {file} (--from).", hint=nearest_file(Path(file)))


def _estimate(options: argparse.Namespace) -> None:
    parameters = _load(options)
    from workbench import classification, console

    found = classification.estimate_input(parameters, open_runs(make=True))
    if options.json:
        console.print_json(found.to_dict())
    else:
        print(found)
