"""The commands that look at runs: runs, show, compare, search, export."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

from workbench.cli.parts import command, open_runs, print_frame, run_id_of
from workbench.errors import UsageError

if TYPE_CHECKING:
    from workbench.runs import RunStore


def add(commands: Any) -> None:
    """Add the commands to the parser."""
    runs = command(commands, "runs", _runs, "list all runs, newest first")
    runs.add_argument("--pin", metavar="RUN", help="keep this run whatever `clean` is asked to do")
    runs.add_argument("--unpin", metavar="RUN", help="take the pin away again")
    show = command(
        commands, "show", _show, "show one run: what was read, how accurate each iteration is, what to do next"
    )
    compare = command(commands, "compare", _compare, "compare two iterations of a run")
    search = command(commands, "search", _search, "find items by keyword, with everything that was said of them")
    search.add_argument("run", metavar="RUN", help="run id")
    search.add_argument("keyword", metavar="KEYWORD", help="words or parts of words; case and accents do not matter")
    search.add_argument("--field", action="append", metavar="F", help="search only this clean field; may be repeated")
    search.add_argument("--category", metavar="C", help="only items of this category")
    search.add_argument("--page", type=int, default=1, metavar="P", help="which page (default: %(default)s)")
    search.add_argument("--limit", type=int, default=50, metavar="L", help="items per page (default: %(default)s)")
    export = command(commands, "export", _export, "write the rows of a run, with their answers, to a file")
    for parser in (show, compare, export):
        parser.add_argument("run", nargs="?", metavar="RUN", help="run id (default: the newest run)")
    compare.add_argument("iterations", nargs="*", type=int, metavar="A B", help="default: the last two")
    what = export.add_mutually_exclusive_group(required=True)
    what.add_argument("--to", metavar="FILE", help="a .xlsx, .csv, .parquet, .json or .jsonl file, or a folder")
    what.add_argument(
        "--sample", metavar="FILE.xlsx", help="write the newest sample as a sheet for a reviewer to fill in"
    )
    export.add_argument("--split-by", choices=("source_file",), help="a file per source, below the folder --to")
    export.add_argument("--suffix", metavar="KIND", help="with --split-by: all as xlsx, csv, parquet, json or jsonl")
    export.add_argument(
        "--stage",
        choices=("ingest", "classify"),
        default="classify",
        help="classify: original columns and answers; ingest: rows with clean columns (default: %(default)s)",
    )
    show.add_argument("--follow", action="store_true", help="print its progress until nobody works on it any more")
    show.add_argument("--verify", action="store_true", help="check every file against what was written")
    for parser in (runs, show, compare, search):
        parser.add_argument("--json", action="store_true", help="print as JSON")


def _runs(options: argparse.Namespace) -> None:
    from workbench.cli import listed

    store = open_runs()
    if options.pin or options.unpin:
        _pin(options, store)
        return
    print_frame(store.list(), options, listed.layout)


def _pin(options: argparse.Namespace, store: RunStore) -> None:
    if options.pin == options.unpin:
        raise UsageError(f"run {options.pin!r} cannot be pinned and unpinned at once.", hint="choose one of them.")
    runs = {store.get(run).run_id: pin for run, pin in ((options.pin, True), (options.unpin, False)) if run}
    for run_id, pinned in runs.items():
        store.update_manifest(run_id, pinned=pinned)
        print(f"{run_id} is {'pinned: `clean` keeps it' if pinned else 'not pinned any more'}.", file=sys.stderr)
    if options.json:
        listed = store.list()
        print_frame(listed[listed["run_id"].isin(list(runs))], options, str)


def _show(options: argparse.Namespace) -> None:
    from workbench import console, report

    store = open_runs()
    if options.follow:
        observer = console.Observer("json" if options.json else "text")
        for progress in store.follow(run_id_of(options, store)):
            observer({"event": "progress", **progress})
    if options.verify:
        _verify(options, store)
        return
    found = report.summary(store, run_id_of(options, store))
    if options.json:
        console.print_json(found)
    else:
        print(console.summary(found))


def _verify(options: argparse.Namespace, store: RunStore) -> None:
    import pandas as pd

    from workbench import console
    from workbench.errors import StorageError

    checked = store.verify(run_id_of(options, store))
    print_frame(pd.DataFrame(checked, columns=["path", "state", "detail"]), options, console.table)
    if faulty := [file for file in checked if file.state in ("damaged", "missing")]:
        raise StorageError(
            f"{len(faulty)} of {len(checked)} files are not as they were written: {', '.join(f.path for f in faulty)}.",
            hint="put them back from a backup, or remove them and go on with --resume: their stages are done again.",
        )


def _compare(options: argparse.Namespace) -> None:
    from workbench import console, workflow

    store = open_runs()
    found = workflow.compare(store.get(run_id_of(options, store)), store, *options.iterations[:2])
    if options.json:
        console.print_json(found)
    else:
        print(console.comparison(found))


def _search(options: argparse.Namespace) -> None:
    from workbench import console
    from workbench.finding import Finder
    from workbench.search import Query

    fields = tuple(options.field) if options.field else None
    query = Query(options.keyword, fields, options.category, options.page, options.limit)
    store = open_runs()
    found = Finder(store.get(options.run), store).find(query)
    if options.json:
        console.print_json(found)
    else:
        print(console.search(found))


def _export(options: argparse.Namespace) -> None:
    from workbench import delivery, workflow

    if options.suffix and not options.split_by:
        raise UsageError(
            "--suffix says of what kind the files of --split-by source_file are.",
            hint="name the kind of a single file by --to, such as --to rows.csv.",
        )
    store = open_runs()
    run = store.get(run_id_of(options, store))
    if options.sample:
        path, rows = workflow.export_sample(run, store, options.sample)
        then = f"workbench validate PARAMETERS.yaml --run-id {run.run_id} --from {path}"
        print(f"{path}: {rows:,} items; fill it in, then {then}")
    elif options.split_by:
        files = delivery.export_by_source(run, store, options.to, stage=options.stage, suffix=options.suffix)
        files_said = "1 file" if len(files) == 1 else f"{len(files):,} files"
        print(f"{options.to}: {sum(rows for _, rows in files):,} rows in {files_said}")
    else:
        path, rows = delivery.export(run, store, options.to, stage=options.stage)
        print(f"{path}: {rows:,} rows")
