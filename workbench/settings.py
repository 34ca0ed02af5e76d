"""Where things are: the runs folder, the database, the shipped files. From the environment, never from a file."""

from __future__ import annotations

import gc
import os
import sys
from pathlib import Path

from workbench.errors import UsageError

PACKAGE = Path(__file__).parent

EXECUTED = "WORKBENCH_EXECUTED"
"""Environment variable that is set where a notebook is executed with nobody looking on."""

FILES_URL = "WORKBENCH_FILES_URL"
"""Environment variable for the kernels of `workbench lab --page`: where the project's files are served."""


COLLECT_RARELY = (100_000, 50, 50)
"""Thresholds of the garbage collector: what libraries set up while they load is there to stay."""


def load_quickly() -> None:
    """Save a process of ours a fifth of the time that loading takes: see `skip_grammar` and `COLLECT_RARELY`."""
    skip_grammar()
    gc.set_threshold(*COLLECT_RARELY)


def skip_grammar() -> None:
    """Keep jsonschema from building some 35 parsers for IRIs, which takes a second; notebooks hold none."""
    sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]


def runs_folder() -> Path:
    """The folder of all runs: `WORKBENCH_RUNS`, or `runs` in the working directory."""
    return Path(os.environ.get("WORKBENCH_RUNS") or "runs")


def database_url(folder: Path) -> str:
    """The SQLAlchemy URL of the run database: `WORKBENCH_DATABASE_URL`, or a SQLite file in the runs folder.

    A file is named by its whole path: the kernels that get this address work in another folder.
    """
    given = os.environ.get("WORKBENCH_DATABASE_URL") or f"sqlite:///{folder.resolve() / 'workbench.sqlite'}"
    dialect, _, file = given.partition(":///")
    if not dialect.startswith("sqlite") or file.startswith((":memory:", "file:", "?")) or not file:
        return given
    return f"{dialect}:///{Path.cwd() / file}"


def language() -> str:
    """The language of texts for reviewers: `WORKBENCH_LANG`, es or en."""
    return "en" if os.environ.get("WORKBENCH_LANG", "es").lower().startswith("en") else "es"


def tenant() -> str:
    """Whose batches these are, where several teams share one database: `WORKBENCH_TENANT`, or local."""
    return os.environ.get("WORKBENCH_TENANT") or "local"


def shipped_folder() -> Path:
    """The folder that holds notebooks/, parameters/ and examples/: inside a wheel, or the checkout."""
    inside = PACKAGE / "_shipped"
    return inside if inside.is_dir() else PACKAGE.parent


def find_file(path: str | os.PathLike[str]) -> Path:
    """Resolve a path against the working directory, then against the files that travel with the distribution.

    A path that is found in neither place is given back as it is, so that the caller's error names what was typed.
    """
    here = Path(path).expanduser()
    if here.is_absolute() or here.exists():
        return here
    shipped = shipped_folder() / here
    return shipped if shipped.exists() else here


def enter_project() -> Path:
    """Work from the project folder when a notebook was opened inside its notebooks/ folder.

    JupyterLab starts a kernel in the notebook's own folder, but paths in parameters files are relative to the project.
    """
    here = Path.cwd()
    if here.name == "notebooks" and (here.parent / "parameters").is_dir():
        os.chdir(here.parent)
    return Path.cwd()


def shown(path: Path) -> str:
    """Write a path as people here would type it: relative where it lies in the working directory.

    >>> shown(Path.cwd() / "runs" / "one")
    'runs/one'
    """
    return path.relative_to(Path.cwd()).as_posix() if path.is_relative_to(Path.cwd()) else str(path)


def require_folder(folder: Path) -> Path:
    """Make a folder; raises UsageError where that is not allowed."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"cannot write to {folder}: {error.strerror}.",
            hint="choose another folder with the environment variable WORKBENCH_RUNS.",
        ) from None
    return folder
