"""How things look on a terminal: tables, progress, the summary of a run."""

from __future__ import annotations

import json
import shutil
import sys
import textwrap
import time
from typing import Any, TextIO

import pandas as pd

STAGE_WORDS = {
    "ingest": "read and clean",
    "classify": "classify",
    "validate": "validate",
    "refine": "refine the prompt",
}
QUIET_SECONDS = 5
"""How often progress is printed where a line cannot be rewritten."""


class Observer:
    """Prints the events of a run to standard error: rewritten lines on a terminal, sparse lines or JSON elsewhere."""

    def __init__(self, log_format: str = "text", stream: TextIO | None = None) -> None:
        self._json = log_format == "json"
        self._stream = stream or sys.stderr
        self._rewrites = self._stream.isatty()
        self._printed = 0.0

    def __call__(self, event: dict[str, Any]) -> None:
        """Print one event."""
        if self._json:
            self._line(json.dumps({"time": time.strftime("%Y-%m-%dT%H:%M:%S%z"), **event}, ensure_ascii=False))
        elif event["event"] == "run":
            self._line(f"run {event['run_id']} · {event['folder']}")
        elif event["event"] == "progress":
            self._progress(event)
        elif event["state"] == "started":
            self._write(f"  {_step(event)} …", end="" if self._rewrites else "\n")
        else:
            self._write(
                f"\r\033[K  {_step(event)} done, {event['seconds']:.1f} s"
                if self._rewrites
                else f"  {_step(event)} done, {event['seconds']:.1f} s"
            )

    def _progress(self, event: dict[str, Any]) -> None:
        text = f"  {_step(event)}: {event['detail']}"
        if self._rewrites:
            self._write(f"\r\033[K{text[: shutil.get_terminal_size().columns - 1]}", end="")
        elif time.monotonic() - self._printed > QUIET_SECONDS:
            self._line(text)

    def _line(self, text: str) -> None:
        self._write(text)
        self._printed = time.monotonic()

    def _write(self, text: str, end: str = "\n") -> None:
        self._stream.write(text + end)
        self._stream.flush()


def _step(event: dict[str, Any]) -> str:
    of = f"iteration {event['iteration']}: " if event["iteration"] else ""
    return of + STAGE_WORDS[event["stage"]]


def print_json(data: Any) -> None:
    """Print data as JSON to standard output."""
    print(json.dumps(data, ensure_ascii=False, indent=2, allow_nan=False, default=str))


def table(frame: pd.DataFrame, width: int | None = None) -> str:
    """Lay a frame out as text that fits the terminal; long texts are cut, numbers stand right.

    >>> print(table(pd.DataFrame({"item": ["vinil", "lona"], "rows": [12, 3]}), width=40))
    item   rows
    ─────  ────
    vinil    12
    lona      3
    """
    cells = [[_cell(value) for value in row] for row in frame.itertuples(index=False)]
    names = [str(name) for name in frame.columns]
    room = (width or max(shutil.get_terminal_size((120, 24)).columns, 60)) - 2 * (len(names) - 1)
    widths = _share_room([max(len(line[i]) for line in [names, *cells]) for i in range(len(names))], room)
    right = [pd.api.types.is_numeric_dtype(dtype) for dtype in frame.dtypes]
    rule = ["─" * each for each in widths]
    return "\n".join(_lay(line, widths, right) for line in [names, rule, *cells])


def _cell(value: object) -> str:
    if value is None or value != value:
        return "–"
    if isinstance(value, list | tuple):
        return ", ".join(str(part) for part in value)
    if isinstance(value, float):
        return f"{value:,.2f}" if abs(value) < 1e15 else f"{value:g}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return " ".join(str(value).split())


def _share_room(wanted: list[int], room: int) -> list[int]:
    """Cut the widest columns until the line fits."""
    widths = list(wanted)
    while sum(widths) > room and max(widths) > 8:
        widths[widths.index(max(widths))] -= 1
    return widths


def _lay(line: list[str], widths: list[int], right: list[bool]) -> str:
    cut = [text if len(text) <= width else text[: width - 1] + "…" for text, width in zip(line, widths, strict=True)]
    placed = [
        text.rjust(width) if numeric else text.ljust(width)
        for text, width, numeric in zip(cut, widths, right, strict=True)
    ]
    return "  ".join(placed).rstrip()


def interval(accuracy: dict[str, Any] | None) -> str:
    """Write an accuracy with its 95 % interval.

    >>> interval({"estimate": 0.68, "low": 0.583, "high": 0.763, "n": 100})
    '68.0 % (58.3–76.3 %, n = 100)'
    >>> interval(None)
    'not reviewed'
    """
    if not accuracy or accuracy["estimate"] is None:
        return "not reviewed"
    low, high = 100 * accuracy["low"], 100 * accuracy["high"]
    return f"{100 * accuracy['estimate']:.1f} % ({low:.1f}–{high:.1f} %, n = {accuracy['n']})"


def summary(found: dict[str, Any], parameters: str = "PARAMETERS.yaml") -> str:
    """Lay out `report.summary`: what was read, how good each iteration is, what changed, where to look next."""
    lines = ["", f"Run {found['run_id']} · {found['state'].replace('_', ' ')}", ""]
    lines += _pairs(
        [
            ("input", ", ".join(found["inputs"])),
            ("rows", _rows_text(found)),
            ("distinct items", _items_text(found)),
        ]
    )
    if found["iterations"]:
        lines += ["", table(pd.DataFrame([_iteration_line(entry) for entry in found["iterations"]]))]
    if found["changes"]:
        lines += ["", "What changed", *(_wrapped(line) for line in found["changes"])]
    lines += [
        "",
        "Look next",
        *_pairs([(name, text.replace("PARAMETERS.yaml", parameters)) for name, text in found["next"]]),
    ]
    return "\n".join(lines)


def _rows_text(found: dict[str, Any]) -> str:
    if found["rows"] is None:
        return "not read yet"
    left_out = f" ({found['rows_left_out']:,} left out by the filters)" if found["rows_left_out"] else ""
    return f"{found['rows']:,}{left_out}"


def _items_text(found: dict[str, Any]) -> str:
    if found["items"] is None:
        return "–"
    return f"{found['items']:,} ({found['efficiency_gain_pct']:.1f} % fewer than rows)"


def _iteration_line(entry: dict[str, Any]) -> dict[str, Any]:
    """Fit one iteration into 80 columns."""
    measured = entry["accuracy"] or {}
    low, high = measured.get("low"), measured.get("high")
    return {
        "iteration": entry["iteration"],
        "accuracy": _percent(measured.get("estimate")),
        "95 % interval": f"{100 * low:.1f}–{100 * high:.1f} %"
        if low is not None and high is not None
        else "not reviewed",
        "reviewed": measured.get("n", 0),
        "score ≥ 0.7": _percent(entry["confident_share"]),
        "ambiguous": _percent(entry["ambiguous_rate"]),
        "examples": entry["examples"],
    }


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f} %"


def _pairs(pairs: list[tuple[str, str]]) -> list[str]:
    wide = max(len(name) for name, _ in pairs)
    return [f"  {name.ljust(wide)}  {text}" for name, text in pairs]


def facts(title: str, found: dict[str, Any]) -> str:
    """Lay out the facts of a stage, one a line."""
    flat = [(name, _cell(value)) for name, value in found.items() if not isinstance(value, dict)]
    return "\n".join([title, *(_pairs(flat) if flat else [])])


def comparison(found: dict[str, Any]) -> str:
    """Lay out comparison.json: the two iterations, what moved, what is recommended."""
    quality = found["quality_comparison"]
    lines = [
        f"Iteration {found['baseline_iteration']} against {found['iteration_number']}"
        f" · overall improvement score {found['overall_improvement_score']:+.1f}"
        f" (from {found['accuracy_basis'].replace('_', ' ')})",
        *_pairs([("accuracy before", interval(quality["baseline"])), ("accuracy now", interval(quality["refined"]))]),
    ]
    moves = found["distribution_comparison"]["moves"][:10]
    if moves:
        lines += ["", table(pd.DataFrame(moves))]
    return "\n".join([*lines, "", "Recommendations", *map(_wrapped, found["recommendations"])])


def _wrapped(sentence: str) -> str:
    width = min(max(shutil.get_terminal_size((100, 24)).columns, 60), 110)
    return textwrap.fill(sentence, width, initial_indent="  · ", subsequent_indent="    ")


def schema(found: dict[str, Any]) -> str:
    """Lay out what `inspect` found, file by file."""
    return "\n\n".join(_file_schema(file) for file in found["files"])


def _file_schema(file: dict[str, Any]) -> str:
    if file.get("fault"):
        return f"{file['path']}: {file['fault']}"
    found = ", ".join(
        f"{name} {value!r}" if name == "delimiter" else f"{name} {value}"
        for name, value in file["options"].items()
        if value is not None
    )
    title = f"{file['path']}: {file['rows']:,} rows, {len(file['columns'])} columns ({found})"
    columns = pd.DataFrame(file["columns"])
    columns["samples"] = columns["samples"].map(lambda values: " | ".join(str(value) for value in values))
    notes = "".join(f"\nnote: {note}" for note in file["notes"])
    return f"{title}{notes}\n\n{table(columns)}"
