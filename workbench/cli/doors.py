"""The commands that open something in a browser: review, lab."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from typing import Any

from workbench.cli.parts import command, open_runs, run_id_of

JUPYTERLAB = [
    sys.executable,
    "-c",
    "from workbench.settings import load_quickly; load_quickly(); from jupyterlab.labapp import main; main()",
]
"""The command that starts JupyterLab."""


def add(commands: Any) -> None:
    """Add the commands to the parser."""
    review = command(commands, "review", _review, "open the review dashboard and print a personal link per reviewer")
    review.add_argument("run", nargs="?", metavar="RUN", help="run id (default: the newest run)")
    review.add_argument(
        "--reviewer", action="append", metavar="NAME", help="who reviews (default: you); may be repeated"
    )
    review.add_argument("--host", default="127.0.0.1", metavar="IP", help="address to listen on (default: %(default)s)")
    review.add_argument("--port", type=int, metavar="P", help="port to listen on (default: 8866, or the next free one)")
    review.add_argument("--iteration", type=int, metavar="N", help="default: the newest with a sample")
    review.add_argument("--no-browser", action="store_true", help="only print the links")
    lab = command(commands, "lab", _lab, "open the notebooks in JupyterLab")
    lab.add_argument(
        "--page", choices=("workbench", "history"), help="only this notebook, as a page without code (served by Voila)"
    )
    lab.add_argument("--port", type=int, metavar="P", help="port to listen on")
    lab.add_argument("--no-browser", action="store_true", help="only print the address")


def _review(options: argparse.Namespace) -> None:
    from workbench import reviewing
    from workbench.widgets import launcher

    store = open_runs()
    run = store.get(run_id_of(options, store))
    iteration = options.iteration or reviewing.newest_iteration(run, store)
    doors = launcher.Doors(launcher.reviewer_names(options.reviewer), options.host, options.port)
    launcher.review(run, store, iteration, doors, browser=not options.no_browser)
    print(reviewing.take_in(run, store, iteration))


def _lab(options: argparse.Namespace) -> None:
    if options.page:
        from workbench.widgets import pages

        pages.show(options.page, options.port, browser=not options.no_browser)
    else:
        _jupyterlab(options)


def _jupyterlab(options: argparse.Namespace) -> None:
    import importlib.util
    import subprocess

    from workbench.errors import MissingExtra, StageFailed, install
    from workbench.settings import shipped_folder

    if importlib.util.find_spec("jupyterlab") is None:
        raise MissingExtra("JupyterLab is not installed.", hint=install("lab"))
    command = [*JUPYTERLAB, "--notebook-dir", str(shipped_folder())]
    command += [f"--port={options.port}"] if options.port else []
    command += ["--no-browser"] if options.no_browser else []
    command += ["--allow-root"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []  # as in most containers
    with contextlib.suppress(KeyboardInterrupt):
        ended = subprocess.run(command, check=False).returncode
        if ended > 0:  # not by a signal, which is how people end it
            raise StageFailed(f"JupyterLab ended with exit code {ended}.", hint="it has said why in the lines above.")
