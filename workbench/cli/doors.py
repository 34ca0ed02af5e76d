"""The commands that open something: lab."""

from __future__ import annotations

import argparse
import contextlib
import sys
from typing import Any

from workbench.cli.parts import command


def add(commands: Any) -> None:
    """Add the commands to the parser."""
    lab = command(commands, "lab", _lab, "open the notebooks in JupyterLab")
    lab.add_argument("--port", type=int, metavar="P", help="port to listen on")
    lab.add_argument("--no-browser", action="store_true", help="only print the address")


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
