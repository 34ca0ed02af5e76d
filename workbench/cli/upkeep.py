"""The commands that look after the machine: health."""

from __future__ import annotations

import argparse
from typing import Any

from workbench.cli.parts import command
from workbench.errors import StageFailed


def add(commands: Any) -> None:
    """Add the commands to the parser."""
    health = command(commands, "health", _health, "say whether everything that a run needs is there and well")
    health.add_argument("parameters", nargs="?", metavar="PARAMETERS.yaml", help="also look at what this file names")
    health.add_argument("--set", action="append", default=[], metavar="section.key=value", help="change a parameter")
    health.add_argument("--json", action="store_true", help="print as JSON")


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
