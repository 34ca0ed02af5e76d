"""How things look on a terminal: tables, progress, the summary of a run."""

from __future__ import annotations

import json
import shutil
import sys
import textwrap
import time
from typing import Any, TextIO

import pandas as pd

from workbench.errors import few, one_line, visible
from workbench.values import amount_text

STAGE_WORDS = {
    "ingest": "read and clean",
    "classify": "classify",
    "validate": "validate",
    "refine": "refine the prompt",
}
ITEMS_SHOWN = 10
FILES_SHOWN = 20
CHART = 34
"""Characters of a chart on a terminal."""
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
        elif event["state"] == "unchanged":
            self._line(f"  {_step(event)} has nothing to do: it is done already, and stays as it is")
        elif event["state"] == "started":
            self._write(f"  {_step(event)} …", end="" if self._rewrites else "\n")
        else:
            text = f"  {_step(event)} done, {event['seconds']:.1f} s" + (
                f": {event['detail']}" if event["detail"] else ""
            )
            self._write(f"\r\033[K{text}" if self._rewrites else text)

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
    if value is None or value is pd.NA or value != value:
        return "–"
    if isinstance(value, list | tuple):
        return ", ".join(one_line(str(part)) for part in value)
    if isinstance(value, float):
        return amount_text(value) if abs(value) < 1e15 else f"{value:g}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return one_line(str(value))


def _share_room(wanted: list[int], room: int) -> list[int]:
    """Cut the widest columns until the line fits; the first one names the line and stays whole."""
    widths = list(wanted)
    while sum(widths) > room and max(widths[1:], default=0) > 8:
        widths[widths.index(max(widths[1:]), 1)] -= 1
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


def _files(files: dict[str, Any]) -> list[str]:
    """Tell of many files, and of any that are missing from the rows or twice there."""
    told = [f"{count:,} {state}" for state in ("read", "kept", "failed") if (count := files.get(state, 0))]
    told += [f"{len(files['excluded']):,} excluded"] if files.get("excluded") else []
    lines = (
        _pairs([("files".ljust(len("distinct items")), ", ".join(told))])
        if len(told) > 1 or files.get("read", 0) + files.get("kept", 0) > 1
        else []
    )
    failures = [f"{each['name']} failed: {each['reason']}" for each in files.get("failures", [])[:FILES_SHOWN]]
    if (more := files.get("failed", 0) - len(failures)) > 0:
        failures.append(f"{more:,} more failed; ingest/files.parquet lists them all")
    notes = [f"{name}: {note}" for name, several in files.get("notes", {}).items() for note in several]
    twice = [f"the same file twice: {few(names)}" for names in files.get("identical", [])]
    alike = [
        f"the same rows, it seems (as many, and the first are equal): {few(n)}" for n in files.get("same_rows", [])
    ]
    told = [*failures, *notes[:FILES_SHOWN], *twice[:FILES_SHOWN], *alike[:FILES_SHOWN], *files.get("columns", [])]
    return lines + [_wrapped(line) for line in told]


def summary(found: dict[str, Any], parameters: str = "PARAMETERS.yaml") -> str:
    """Lay out `report.summary`: what was read, how good each iteration is, what changed, where to look next."""
    lines = ["", f"Run {found['run_id']} · {found['state'].replace('_', ' ')}", ""]
    lines += _pairs(
        [
            ("input", ", ".join(found["inputs"])),
            ("rows", _rows_text(found)),
            ("distinct items", _items_text(found)),
            *([("cost", _cost_text(found["cost"]))] if found["cost"] else []),
        ]
    )
    lines += _files(found.get("files") or {})
    if found["iterations"]:
        lines += ["", table(pd.DataFrame([_iteration_line(entry) for entry in found["iterations"]]))]
    lines += answers(found["answers"])
    lines += _proposals(found["proposals"])
    lines += ["", "Who decided", *map(_wrapped, found["decisions"])] if found["decisions"] else []
    lines += [
        "",
        "Look next",
        *_pairs([(name, text.replace("PARAMETERS.yaml", parameters)) for name, text in found["next"]]),
    ]
    return "\n".join(lines)


def _proposals(found: list[dict[str, Any]]) -> list[str]:
    """Lay out what the last refinement proposed; nothing where there was none."""
    if not found:
        return []
    shown = [each | {"evidence": few(each["evidence"], 2)} for each in found[:ITEMS_SHOWN]]
    more = [f"… and {len(found) - ITEMS_SHOWN} more in proposals.json"] if len(found) > ITEMS_SHOWN else []
    return ["", f"Proposed by the last refinement ({len(found)})", table(pd.DataFrame(shown)), *more]


def answers(found: list[dict[str, Any]]) -> list[str]:
    """Lay out `report.answers`: each question, its sentences, and its chart as text."""
    return [
        line
        for each in found
        for line in ("", each["question"], *map(_wrapped, each["sentences"]), *chart(each["chart"]))
    ]


def chart(found: dict[str, Any] | None) -> list[str]:
    """Write the chart of an answer as lines of text; none where there is nothing to draw.

    >>> row = {"name": "Pop", "estimate": 0.8, "low": 0.7, "high": 0.9, "n": 50, "thin": False}
    >>> chart({"kind": "intervals", "rows": [row]})
    ['    Pop  ·······················├──●───┤···  80.0 % (70.0–90.0 %, n = 50)']
    """
    if not found:
        return []
    rows = found["rows"][:ITEMS_SHOWN] if found["kind"] != "curve" else found["rows"][:: -(-len(found["rows"]) // 8)]
    if found["kind"] == "intervals":
        lines = [(row["name"], _line_of(row), interval(row) + " n too small" * row["thin"]) for row in rows]
    elif found["kind"] == "bars":
        most = max(row["value"] for row in found["rows"]) or 1
        lines = [(row["name"], "█" * round(CHART * row["value"] / most), row["text"]) for row in rows]
    else:
        lines = [
            (f"score ≥ {row['score']:.2f}", _line_of({**row, "high": row["estimate"]}), _bound(row)) for row in rows
        ]
    wide = min(max(len(name) for name, _, _ in lines), 40)
    return [f"    {name[:wide].ljust(wide)}  {drawn.ljust(CHART)}  {text}".rstrip() for name, drawn, text in lines]


def _line_of(row: dict[str, Any]) -> str:
    """Draw an interval on a line from 0 to 100 %."""
    low, middle, high = (round((CHART - 1) * row[name]) for name in ("low", "estimate", "high"))
    line = ["·"] * low + ["─"] * (high - low + 1) + ["·"] * (CHART - high - 1)
    line[low], line[high], line[middle] = "├", "┤", "●"
    return "".join(line)


def _bound(row: dict[str, Any]) -> str:
    return f"{_percent(row['estimate'])} right, surely above {_percent(row['low'])} (n = {row['n']:,})"


def _rows_text(found: dict[str, Any]) -> str:
    if found["rows"] is None:
        return "not read yet"
    left_out = f" ({found['rows_left_out']:,} left out by the filters)" if found["rows_left_out"] else ""
    return f"{found['rows']:,}{left_out}"


def _items_text(found: dict[str, Any]) -> str:
    if found["items"] is None:
        return "–"
    return f"{found['items']:,} ({found['efficiency_gain_pct']:.1f} % fewer than rows)"


def _cost_text(cost: dict[str, Any]) -> str:
    if not cost["tokens"] and not cost["usd"]:
        return "free"
    price = "unknown, its price is not listed" if cost["usd"] is None else f"{amount_text(cost['usd'])} USD"
    calls = "1 call" if cost["calls"] == 1 else f"{cost['calls']:,} calls"
    return f"{price} ({calls}, {cost['tokens']:,} tokens)"


def _iteration_line(entry: dict[str, Any]) -> dict[str, Any]:
    """Fit one iteration into 80 columns."""
    measured: dict[str, Any] = entry["accuracy"] or {}
    return {
        "iteration": entry["iteration"],
        "accuracy": _percent(measured.get("estimate")),
        "95 % interval": _range(measured.get("low"), measured.get("high")),
        "reviewed": measured.get("n", 0),
        "score ≥ 0.7": _percent(entry["confident_share"]),
        "ambiguous": _percent(entry["ambiguous_rate"]),
        "examples": entry["examples"],
    }


def _range(low: float | None, high: float | None) -> str:
    return "not reviewed" if low is None or high is None else f"{100 * low:.1f}–{100 * high:.1f} %"


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f} %"


def _pairs(pairs: list[tuple[str, str]]) -> list[str]:
    wide = max(len(name) for name, _ in pairs)
    return [f"  {name.ljust(wide)}  {text}" for name, text in pairs]


def health(found: dict[str, Any]) -> str:
    """Lay out `health.to_dict`: a line per part, and what to do about those that are ill."""
    lines = [{name: check[name] for name in ("part", "health", "detail")} for check in found["checks"]]
    hints = [f"{check['part']}: {check['hint']}" for check in found["checks"] if check["hint"]]
    return "\n".join([table(pd.DataFrame(lines)), *(["", "What to do", *map(_wrapped, hints)] if hints else [])])


def facts(title: str, found: dict[str, Any]) -> str:
    """Lay out the facts of a stage, one a line, and of an ingest what became of its files."""
    flat = [(name, _cell(value)) for name, value in found.items() if not isinstance(value, dict)]
    return "\n".join([title, *(_pairs(flat) if flat else []), *_files(found.get("files", {}))])


def comparison(found: dict[str, Any]) -> str:
    """Lay out comparison.json: the two iterations, what moved, what is recommended."""
    quality = found["quality_comparison"]
    lines = [
        f"Iteration {found['baseline_iteration']} against {found['iteration_number']}"
        f" · overall improvement score {found['overall_improvement_score']:+.1f}"
        f" (from {found['accuracy_basis'].replace('_', ' ')})",
        *_pairs([("accuracy before", interval(quality["baseline"])), ("accuracy now", interval(quality["refined"]))]),
    ]
    paired = found["paired"]
    lines += ["", f"On the same items: {paired['verdict']}", _wrapped(paired["sentence"])]
    lines += [*_changed_items("Fixed", paired["fixed_items"]), *_changed_items("Broken", paired["broken_items"])]
    moves = found["distribution_comparison"]["moves"][:10]
    if moves:
        lines += ["", "What moved", table(pd.DataFrame(moves))]
    return "\n".join([*lines, "", "Recommendations", *map(_wrapped, found["recommendations"])])


def _changed_items(title: str, items: list[dict[str, Any]]) -> list[str]:
    """Lay out items that were fixed or broken; nothing where there are none."""
    if not items:
        return []
    shown = pd.DataFrame(items[:ITEMS_SHOWN])[["text", "true", "before", "after"]]
    more = [f"… and {len(items) - ITEMS_SHOWN} more"] if len(items) > ITEMS_SHOWN else []
    return ["", f"{title} ({len(items)})", table(shown), *more]


def _wrapped(sentence: str) -> str:
    width = min(max(shutil.get_terminal_size((100, 24)).columns, 60), 110)
    return textwrap.fill(visible(sentence), width, initial_indent="  · ", subsequent_indent="    ")


def search(found: dict[str, Any]) -> str:
    """Lay out a page of what was found."""
    if found["total_count"] and not found["results"]:
        items = f"{found['total_count']:,} items"
        return f"there is no page {found['page']}: {items} were found, and page {found['total_pages']} is the last."
    if not found["results"]:
        return f"nothing found for {found['keyword']!r} in {', '.join(found['searched_fields'])}."
    lines = [
        {
            "item": result["item_id"][:8],
            "rows": result["n_rows"],
            "text": " | ".join(text for text in result["all_clean_fields"].values() if text),
            "category": result["current_classification"]["category"],
            "score": result["current_classification"]["score"],
            "by": result["current_classification"]["decided_by"],
        }
        for result in found["results"]
    ]
    shown = f"page {found['page']} of {found['total_pages']}, {found['total_count']:,} items"
    return f"{table(pd.DataFrame(lines))}\n{shown}"


def schema(found: dict[str, Any]) -> str:
    """Lay out what `inspect` found, file by file."""
    return "\n\n".join(_file_schema(file) for file in found["files"])


def _file_schema(file: dict[str, Any]) -> str:
    if file.get("fault"):
        return f"{file['path']}: {file['fault']}"
    found = [f"{file['files']:,} files"] if file["files"] > 1 else []
    found += [
        f"{name} {value!r}" if name == "delimiter" else f"{name} {value}"
        for name, value in file["options"].items()
        if value is not None
    ]
    rows = f"{file['rows']:,}" if file["rows"] is not None else f"about {file['rows_estimated']:,}"
    how = f" ({', '.join(found)})" if found else ""
    title = f"{file['path']}: {rows} rows, {len(file['columns'])} columns{how}"
    columns = pd.DataFrame(file["columns"])
    columns["samples"] = columns["samples"].map(lambda values: " | ".join(str(value) for value in values))
    notes = "".join(f"\nnote: {note}" for note in file["notes"])
    return f"{title}{notes}\n\n{table(columns)}"
