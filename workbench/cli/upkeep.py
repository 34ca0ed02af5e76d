"""The commands that look after the machine: health, clean."""

from __future__ import annotations

import argparse
from typing import Any

from workbench.cli.parts import command, open_runs, print_frame
from workbench.errors import StageFailed


def add(commands: Any) -> None:
    """Add the commands to the parser."""
    health = command(commands, "health", _health, "say whether everything that a run needs is there and well")
    health.add_argument("parameters", nargs="?", metavar="PARAMETERS.yaml", help="also look at what this file names")
    health.add_argument("--set", action="append", default=[], metavar="section.key=value", help="change a parameter")
    health.add_argument("--json", action="store_true", help="print as JSON")
    clean = command(commands, "clean", _clean, "throw away what is old and of no use any more")
    clean.add_argument("--older-than", default="7d", metavar="AGE", help="such as 12h, 7d or 4w (default: %(default)s)")
    clean.add_argument("--runs", action="store_true", help="also whole runs that are over, not pinned and that old")
    clean.add_argument("--dry-run", action="store_true", help="only say what would be thrown away")
    clean.add_argument("--json", action="store_true", help="print as JSON")


def _health(options: argparse.Namespace) -> None:
    from workbench import console, health
    from workbench.parameters import load_parameters

    parameters = load_parameters(options.parameters, options.set) if options.parameters else None
    checks = health.check_all(parameters)
    if options.json:
        console.print_json(health.to_dict(checks))
    else:
        print(console.health(health.to_dict(checks)))
    if ill := [check.part for check in checks if check.health == "ill"]:
        raise StageFailed(f"not everything is well: {', '.join(ill)}.")


def _clean(options: argparse.Namespace) -> None:
    import pandas as pd

    from workbench import console
    from workbench.runs import maintenance

    older_than = maintenance.age(options.older_than)
    found = maintenance.clean(open_runs(), older_than, runs=options.runs, dry_run=options.dry_run)
    print_frame(pd.DataFrame(found, columns=["kind", "what", "bytes"]), options, console.table)
    if found and not options.json:
        total = sum(each.bytes for each in found)
        things = "1 thing" if len(found) == 1 else f"{len(found):,} things"
        print(f"{'would free' if options.dry_run else 'freed'} {total / 2**20:,.1f} MB in {things}.")
