"""The command line: it reads arguments, calls the layers below and prints what they give."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
from collections.abc import Sequence

from workbench import __version__
from workbench.cli import doors, files, loop, records, upkeep
from workbench.errors import WorkbenchError, visible
from workbench.settings import load_quickly

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
    load_quickly()
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
        print(f"error: {visible(str(error))}", file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="workbench",
        description="Messy expense lines in, categories that people can trust out.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"workbench {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for group in (loop, files, records, doors, upkeep):
        group.add(commands)
    return parser
