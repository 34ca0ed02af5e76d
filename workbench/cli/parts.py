"""What several commands share: a command's place in the help, the runs, a frame as a table or as JSON."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from workbench.runs import RunStore


def command(commands: Any, name: str, call: Callable[[argparse.Namespace], None], text: str) -> argparse.ArgumentParser:
    """Add a command, its one line in the list of commands and its description; `call` runs it."""
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=text,
        description=text[0].upper() + text[1:] + ".",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(command=call)
    return parser


def open_runs(*, make: bool = False) -> RunStore:
    """Open the runs of this folder; where there are none, raises RunNotFound, unless their folder may be made."""
    from workbench.errors import RunNotFound
    from workbench.runs import open_store
    from workbench.settings import runs_folder

    if not make and not runs_folder().is_dir():
        raise RunNotFound(
            f"there are no runs here: no folder {runs_folder().absolute()}.",
            hint="`workbench run PARAMETERS.yaml` makes it; WORKBENCH_RUNS names another one.",
        )
    return open_store()


def run_id_of(options: argparse.Namespace, store: RunStore) -> str:
    """Give the run that was asked for, or the newest."""
    return store.get(options.run).run_id if options.run else store.latest().run_id


def print_frame(frame: pd.DataFrame, options: argparse.Namespace, layout: Callable[[pd.DataFrame], str]) -> None:
    """Print a frame as JSON or as a table."""
    from workbench import console

    if options.json:
        console.print_json(json.loads(frame.to_json(orient="records", date_format="iso", force_ascii=False)))
    else:
        print(layout(frame) if len(frame) else "none.")
