"""`batch_pipelines`: how far the files of each run are, in one row that any process can follow.

The store writes it as a run is made (`initialized`), its files are looked at (`schema_validated`) and read
(`processing`, then `completed` or `failed`). The fields are those of the service that came before. A batch is a run:
`batch_id` is the run's id. `upload_id` is the SHA-256 of the input where that is one file.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from workbench.records import RunState
from workbench.runs.catalogue import get_artifact, place
from workbench.runs.database import Transaction
from workbench.runs.values import now
from workbench.settings import tenant

INITIALIZED, VALIDATED, PROCESSING = "initialized", "schema_validated", "processing"
COMPLETED, FAILED = "completed", "failed"
_TABLE = "batch_pipelines"
_EMPTY = ("total_files", "files_processed", "total_rows", "processing_total", "processing_completed")


def created(transaction: Transaction, run: Mapping[str, Any]) -> None:
    """Note a run whose files nobody has looked at yet."""
    row: dict[str, Any] = {
        "id": str(uuid.uuid5(uuid.NAMESPACE_OID, run["run_id"])),
        "batch_id": run["run_id"],
        "upload_id": None,
        "tenant": tenant(),
        "status": INITIALIZED,
        "current_phase": "",
        "overall_progress": 0,
    }
    row |= {"config": run["parameters"].get("ingest") or {}, "created_at": run["created_at"], "started_at": None}
    row |= dict.fromkeys(_EMPTY) | {"session_id": run["facts"].get("session_id")}
    row |= {"consolidated_file": None, "llm_input_file": None, "completed_at": None, "last_updated": now()}
    transaction.upsert(_TABLE, [row | {"run_id": run["run_id"], "state_snapshot": {}}])


def validated(transaction: Transaction, run_id: str, files: int, snapshot: Mapping[str, Any]) -> None:
    """Note that the first rows of so many files were looked at, and what was found; not where all is read already."""
    values: dict[str, Any] = {"status": VALIDATED, "current_phase": "inspect", "total_files": files}
    values |= {"state_snapshot": dict(snapshot), "last_updated": now()}
    for status in (INITIALIZED, VALIDATED, FAILED):
        transaction.update(_TABLE, values, run_id=run_id, status=status)


def started(transaction: Transaction, run: Mapping[str, Any]) -> None:
    """Note that a run's ingest begins (again)."""
    created(transaction, run)
    values = {"status": PROCESSING, "current_phase": "ingest", "started_at": now()}
    transaction.update(_TABLE, values, run_id=run["run_id"])


def progressed(transaction: Transaction, progress: Mapping[str, Any], files: tuple[int, int] | None) -> None:
    """Note how far the ingest is, as the table `progress` has it; `files` are those that are done, and of how many."""
    done, total = progress["done"], progress["total"]
    values: dict[str, Any] = {
        "processing_completed": done,
        "processing_total": total,
        "last_updated": progress["updated_at"],
    }
    values |= {"overall_progress": min(99, 100 * done // total) if total else 0, "current_phase": progress["detail"]}
    values |= {"files_processed": files[0], "total_files": files[1]} if files else {}
    transaction.update(_TABLE, values, run_id=progress["run_id"], status=PROCESSING)


def finished(transaction: Transaction, run: Mapping[str, Any], facts: Mapping[str, Any]) -> None:
    """Note that all files are read; `facts` are those of the ingest stage."""
    counted = facts.get("files") or {}
    files = sum(counted.get(state, 0) for state in ("read", "kept", "failed"))
    inputs, rows, time = run["facts"].get("inputs") or [], facts.get("rows"), now()
    values: dict[str, Any] = {
        "status": COMPLETED,
        "current_phase": "consolidated",
        "overall_progress": 100,
        "state_snapshot": facts,
    }
    values |= {"total_files": files, "files_processed": files, "total_rows": rows}
    values |= {"processing_total": rows, "processing_completed": rows, "completed_at": time, "last_updated": time}
    values |= {"upload_id": inputs[0]["sha256"] if len(inputs) == 1 else None}
    values |= {"consolidated_file": _file("rows"), "llm_input_file": _file("llm_input")}
    transaction.update(_TABLE, values, run_id=run["run_id"])


def stopped(transaction: Transaction, run_id: str, state: RunState) -> None:
    """Note that a run did not go on before its files were all read."""
    if state in (RunState.FAILED, RunState.INTERRUPTED):
        values = {"status": FAILED, "completed_at": now(), "last_updated": now()}
        for status in (INITIALIZED, VALIDATED, PROCESSING):
            transaction.update(_TABLE, values, run_id=run_id, status=status)


def _file(artifact: str) -> str:
    return place(get_artifact(artifact), 0).as_posix()
