"""Whether everything that a run needs is there and well: a list of parts, each ok, ill or not used."""

from __future__ import annotations

import platform
import shutil
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Any

from workbench import __version__, llm, settings, tracking
from workbench.errors import DISTRIBUTION, MissingExtra, StorageError, WorkbenchError, install
from workbench.llm import Check, Health
from workbench.parameters import Parameters
from workbench.runs import open_store

PATIENCE = 20.0
"""Seconds that a service may take to answer."""

LOW_SPACE_MB = 500
"""Less is ill: a run of a million rows leaves about this much."""


def check_all(parameters: Parameters | None = None) -> list[Check]:
    """Look at every part: the file system, the database, the provider, the tracker, Dask and the versions.

    Provider, tracker and Dask are those that the parameters name; without parameters they are not used. Costs one call
    of one item to the provider. Raises only what concerns the parameters themselves, such as a missing prompt.
    """
    return [
        *check_folder("runs folder", settings.runs_folder()),
        *check_folder("temporary folder", Path(tempfile.gettempdir())),
        *_guarded("database", check_database),
        *_provider(parameters),
        *_guarded("tracker", lambda: check_tracker(parameters.run.tracker if parameters else "none")),
        *_guarded("dask", lambda: check_dask(parameters.ingest.model_dump() if parameters else {})),
        *check_versions(),
    ]


def to_dict(checks: Iterable[Check]) -> dict[str, Any]:
    """Give plain data: `status` (ok, or ill if any part is), `timestamp` (UTC) and the `checks`."""
    found = [asdict(check) for check in checks]
    status = Health.ILL if any(check["health"] == Health.ILL for check in found) else Health.OK
    return {"status": status, "timestamp": datetime.now(UTC).isoformat(timespec="seconds"), "checks": found}


def _guarded(part: str, look: Callable[[], list[Check]]) -> list[Check]:
    try:
        return look()
    except WorkbenchError as error:
        return [Check.ill(part, error)]
    except Exception as error:  # a foreign library may raise anything; the other parts are looked at all the same
        return [Check(part, Health.ILL, f"{type(error).__name__}: {' '.join(str(error).split())[:300]}")]


def check_folder(part: str, folder: Path) -> list[Check]:
    """Write a file into a folder, and see how much space is left."""
    try:
        with tempfile.TemporaryFile(dir=settings.require_folder(folder)) as file:
            file.write(b"healthy")
        free_mb = shutil.disk_usage(folder).free // 2**20
    except WorkbenchError as error:
        return [Check.ill(part, error)]
    except OSError as error:
        return [Check(part, Health.ILL, f"cannot write to {folder}: {error.strerror}", "check its permissions.")]
    said = f"{folder.resolve()} may be written, {free_mb:,} MB free"
    if free_mb < LOW_SPACE_MB:
        return [Check(part, Health.ILL, said, "free some space: `workbench clean --older-than 30d` may help.")]
    return [Check(part, Health.OK, said)]


def check_database() -> list[Check]:
    """Open the database and take its write lock."""
    store = open_store()
    try:
        return [Check("database", Health.OK, f"{store.ping()} may be written")]
    finally:
        store.close()


def _provider(parameters: Parameters | None) -> list[Check]:
    if parameters is None:
        return [Check("provider", Health.NOT_USED, "name a parameters file to have it looked at")]
    options = parameters.classify.provider_options()
    if parameters.classify.provider == "openai":
        options["timeout"] = PATIENCE
    prompt = llm.load_prompt(settings.find_file(parameters.classify.prompt))
    return _guarded("provider", lambda: llm.check_provider(parameters.classify.provider, prompt, **options))


def check_tracker(name: str) -> list[Check]:
    """See whether the tracker is installed and can be reached."""
    if name == "none":
        return [Check("tracker", Health.NOT_USED, "run.tracker is none")]
    tracking.check(name)
    return [Check("tracker", Health.OK, tracking.look(name, settings.runs_folder().resolve()))]


def check_dask(options: dict[str, Any]) -> list[Check]:
    """See whether the scheduler answers and has workers; `options` are those of ingest."""
    if options.get("engine") != "dask":
        return [Check("dask", Health.NOT_USED, "ingest.engine is not dask")]
    try:
        from distributed import Client
    except ImportError:
        raise MissingExtra("Dask is not installed.", hint=install("dask")) from None
    if not options.get("scheduler"):
        return [Check("dask", Health.OK, f"{version('distributed')}, workers are started on this machine")]
    start = "`dask scheduler` and `dask worker` start them: docs/scale.md."
    try:
        with Client(options["scheduler"], timeout=PATIENCE, set_as_default=False) as client:  # type: ignore[no-untyped-call]
            workers = client.scheduler_info(n_workers=-1)["workers"]
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise StorageError(f"no scheduler answers at {options['scheduler']}: {reason}.", hint=start) from None
    if not workers:
        raise StorageError(f"the scheduler {options['scheduler']} has no worker.", hint=start)
    return [Check("dask", Health.OK, f"{options['scheduler']} answers, workers: {len(workers)}")]


def check_versions() -> list[Check]:
    """See whether what is installed is new enough for this workbench."""
    from packaging.requirements import Requirement

    wrong = []
    for requirement in map(Requirement, requires(DISTRIBUTION) or []):
        if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
            continue
        try:
            found = version(requirement.name)
        except PackageNotFoundError:
            wrong.append(f"{requirement.name} is missing")
            continue
        if not requirement.specifier.contains(found, prereleases=True):
            wrong.append(f"{requirement.name} is {found}, not {requirement.specifier}")
    said = f"workbench {__version__}, Python {platform.python_version()}"
    if wrong:
        return [Check("versions", Health.ILL, f"{said}: {', '.join(wrong)}", f"pip install --upgrade {DISTRIBUTION}")]
    return [Check("versions", Health.OK, f"{said}, all that it needs is installed")]
