"""The Batch API of the test server: files, batches and what can go wrong with them.

    with OpenAIServer(batches=Batches(faults={1: ["expired"]})) as server: …

`faults` names the faults of single batches, counted from 1; what a single request of a batch gets is up to the server's
own faults, which are ordered by a `Call`, as for live calls. A batch ends at the `polls`-th look at it.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Answered = tuple[int, Any, dict[str, str]]

BATCH_FAULTS = (
    "reordered",  # the results come in another order
    "missing",  # the last result is in no file
    "doubled",  # the first result is there twice, and once for a request that nobody made
    "bad_json",  # the first line of the output is cut off
    "expired",  # the second half was not done in time
    "failed",  # the file does not pass the validation
    "cancelled",  # somebody cancels it when the first half is done
    "stuck",  # it never ends
    "lost_answer",  # it is made, but the answer to its making is a 500
    "no_answer",  # it is not made, and the answer is a 500
)


@dataclass
class Batch:
    """A batch as the server keeps it."""

    number: int
    input_file_id: str
    looks: int = 0
    status: str = "validating"
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def batch_id(self) -> str:
        return f"batch_{self.number}"


class Batches:
    """Files and batches of one server."""

    def __init__(
        self,
        faults: Mapping[int, Sequence[str]] | None = None,
        *,
        polls: int = 2,
        most_bytes: int = 10**9,
        errors: Mapping[str, int] | None = None,
    ) -> None:
        """Prepare; `errors` names paths, such as `GET /v1/files`, and how many calls there get a 500."""
        self._faults = faults or {}
        self.polls = polls
        self._most_bytes = most_bytes
        self._errors = Counter(errors or {})
        self.files: dict[str, bytes] = {}
        """Every file there ever was."""
        self.deleted: list[str] = []
        self.batches: dict[str, Batch] = {}
        self.requests: Counter[str] = Counter()
        """Method and path without ids → how often it was asked for."""

    def respond(self, asked: str, headers: Mapping[str, str], body: bytes, complete: Callable[[Any], Answered]) -> Any:
        """Answer `GET /v1/files/…` and the like; `complete` answers the body of one chat completion."""
        method, path = asked.split("?")[0].split(" ")
        _, _, kind, *rest = path.split("/")
        self.requests[f"{method} {kind}"] += 1
        if self._errors[f"{method} {kind}"] > 0:
            self._errors[f"{method} {kind}"] -= 1
            return 500, _error(None, "The server had an error."), {}
        if kind == "files":
            return self._upload(headers, body) if method == "POST" else self._file(method, rest[0])
        if method == "POST":
            return self._create(json.loads(body))
        if not rest:
            found = [self._shown(batch) for batch in reversed(self.batches.values())]
            return 200, {"object": "list", "data": found, "has_more": False}, {}
        if rest[0] not in self.batches:
            return 404, _error(None, f"No batch found with id '{rest[0]}'."), {}
        return 200, self._look(self.batches[rest[0]], complete), {}

    def _upload(self, headers: Mapping[str, str], body: bytes) -> Answered:
        if len(body) > self._most_bytes:
            return 413, _error(None, "The file is too large."), {}
        boundary = headers["content-type"].split("boundary=")[1].encode()
        parts = [part.partition(b"\r\n\r\n") for part in body.split(b"--" + boundary)]
        content = next(text[: -len(b"\r\n")] for head, _, text in parts if b'name="file"' in head)
        return 200, self._keep(content), {}

    def _file(self, method: str, file_id: str) -> Answered:
        if file_id in self.deleted:
            return 404, _error(None, f"No such File object: {file_id}"), {}
        if method == "DELETE":
            self.deleted.append(file_id)
            return 200, {"id": file_id, "object": "file", "deleted": True}, {}
        return 200, self.files[file_id].decode(), {}

    def _keep(self, content: bytes) -> dict[str, Any]:
        file_id = f"file-{len(self.files) + 1}"
        self.files[file_id] = content
        facts = {"object": "file", "bytes": len(content), "created_at": 0, "filename": "x.jsonl"}
        return {"id": file_id, "purpose": "batch", "status": "processed", **facts}

    def _create(self, wanted: dict[str, Any]) -> Answered:
        faults = self._faults.get(len(self.batches) + 1, ())
        if "no_answer" in faults:
            self._faults = {}
            return 500, _error(None, "The server had an error."), {}
        batch = Batch(len(self.batches) + 1, wanted["input_file_id"])
        self.batches[batch.batch_id] = batch
        if "lost_answer" in faults:
            return 500, _error(None, "The server had an error."), {}
        return 200, self._shown(batch), {}

    def _look(self, batch: Batch, complete: Callable[[Any], Answered]) -> dict[str, Any]:
        batch.looks += 1
        faults = self._faults.get(batch.number, ())
        if batch.status == "validating" and batch.looks >= 1:
            batch.status = "in_progress"
        if batch.status == "in_progress" and batch.looks >= self.polls and "stuck" not in faults:
            self._finish(batch, faults, complete)
        return self._shown(batch)

    def _finish(self, batch: Batch, faults: Sequence[str], complete: Callable[[Any], Answered]) -> None:
        if "failed" in faults:
            batch.status = "failed"
            error = {"code": "invalid_json_line", "line": 3, "message": "This line is not valid JSON.", "param": None}
            batch.facts["errors"] = {"object": "list", "data": [error]}
            return
        asked = [json.loads(line) for line in self.files[batch.input_file_id].splitlines()]
        cut = len(asked) // 2 if {"expired", "cancelled"} & set(faults) else len(asked)
        good, bad = [], []
        for request in asked[:cut]:
            status, body, _ = complete(request["body"])
            line = {"id": f"r{request['custom_id']}", "custom_id": request["custom_id"], "error": None}
            line["response"] = {"status_code": status, "request_id": "q", "body": body}
            (good if status == 200 else bad).append(line)
        batch.status = next((name for name in ("expired", "cancelled") if name in faults), "completed")
        error = {"code": f"batch_{batch.status}", "message": "This request could not be executed in time."}
        bad += [{"id": "r", "custom_id": late["custom_id"], "response": None, "error": error} for late in asked[cut:]]
        self._write(batch, faults, good, bad)

    def _write(self, batch: Batch, faults: Sequence[str], good: list[Any], bad: list[Any]) -> None:
        good = random.Random(batch.number).sample(good, len(good)) if "reordered" in faults else good
        good = good[:-1] if "missing" in faults else good
        good = [*good, *good[:1], {**good[0], "custom_id": "nobody"}] if "doubled" in faults else good
        for name, lines in (("output_file_id", good), ("error_file_id", bad)):
            text = "\n".join(json.dumps(line, ensure_ascii=False) for line in lines) + "\n"
            if name == "output_file_id" and "bad_json" in faults:
                text = text[len(text.split("\n")[0]) // 2 :]
            if lines:
                batch.facts[name] = self._keep(text.encode())["id"]
        counts = {"total": len(good) + len(bad), "completed": len(good), "failed": len(bad)}
        batch.facts["request_counts"] = counts

    def _shown(self, batch: Batch) -> dict[str, Any]:
        shown = {"id": batch.batch_id, "object": "batch", "endpoint": "/v1/chat/completions", "created_at": 0}
        shown |= {"completion_window": "24h", "input_file_id": batch.input_file_id, "status": batch.status}
        total = self.files[batch.input_file_id].count(b"\n")
        return shown | {"request_counts": {"total": total, "completed": 0, "failed": 0}} | batch.facts


def _error(code: str | None, message: str) -> dict[str, Any]:
    return {"error": {"message": message, "type": "error", "param": None, "code": code}}
