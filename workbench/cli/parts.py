"""What several commands share: a command's place in the help, the runs, a frame as a table or as JSON."""

from __future__ import annotations

import argparse
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from workbench.runs import RunStore


GRACE_SECONDS = 1.0
"""What threads may take to end after Ctrl+C."""


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


@contextmanager
def ended_at_once() -> Iterator[None]:
    """Let Ctrl+C end a command that only reads while a thread is still at work: Python would wait for it."""
    try:
        yield
    except KeyboardInterrupt:
        until = time.monotonic() + GRACE_SECONDS
        others = [each for each in threading.enumerate() if not each.daemon and each is not threading.current_thread()]
        for thread in others:
            thread.join(max(until - time.monotonic(), 0))
        if any(thread.is_alive() for thread in others):
            print("interrupted.", file=sys.stderr, flush=True)
            os._exit(130)
        raise
