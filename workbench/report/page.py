"""report.html: one self-contained page about a run, without any request to the outside, fit to be printed."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup

from workbench import __version__
from workbench.report.answers import suspects
from workbench.report.summary import iterations, summary
from workbench.runs import RunStore

TEMPLATE = Path(__file__).with_name("report.html.j2")
DIFF_LINES = 400


def render(store: RunStore, run_id: str) -> str:
    """Write the page for a run of which at least one iteration is classified.

    Everything that comes from files, prompts or people is escaped.
    """
    return _template().render(**_facts(store, run_id))


@cache
def _template() -> Template:
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters.update(number=_number, percent=_percent, interval=_interval, duration=_duration)
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8"))


def _facts(store: RunStore, run_id: str) -> dict[str, Any]:
    from workbench import plots  # late: most stages and commands draw nothing

    newest, summed = store.newest(run_id, "predictions"), summary(store, run_id)
    metrics = store.load(run_id, "metrics", newest)
    accuracy = metrics["accuracy"]
    comparison = store.load(run_id, "comparison", newest) if store.has(run_id, "comparison", newest) else None
    return {
        "version": __version__,
        "run": store.get(run_id),
        "manifest": store.manifest(run_id),
        "summary": summed,
        "ingest": store.facts(run_id, "ingest"),
        "iterations": iterations(store, run_id),
        "metrics": metrics,
        "comparison": comparison,
        "suspects": suspects(store, run_id),
        "diffs": _diffs(store, run_id),
        "plots": {
            "deduplication": _picture(plots.deduplication(store.facts(run_id, "ingest"))),
            "categories": _picture(plots.categories(metrics)),
            "scores": _picture(plots.scores(store.load(run_id, "predictions", newest))),
            "answers": {
                each["key"]: _picture(plots.chart(each["chart"])) for each in summed["answers"] if each["chart"]
            },
            "confusion": _picture(plots.confusion(accuracy)) if accuracy and accuracy["confused_pairs"] else None,
            "reliability": _picture(plots.reliability(metrics["calibration"])) if accuracy else None,
            "moves": _picture(plots.moves(comparison)) if comparison and comparison["items_changed"] else None,
        },
    }


def _picture(figure: Any) -> Markup:
    from workbench import plots

    return Markup(plots.to_svg(figure))  # our own drawing; the texts in it were escaped by matplotlib


def _diffs(store: RunStore, run_id: str) -> list[dict[str, Any]]:
    """Give each refinement's diff as lines with their kind: added, removed, place or context."""
    found = []
    for entry in iterations(store, run_id):
        if store.has(run_id, "prompt_diff", entry["iteration"]):
            lines = store.load(run_id, "prompt_diff", entry["iteration"]).splitlines()
            facts = store.facts(run_id, "refine", entry["iteration"])
            shown = [{"kind": _kind(line), "text": line} for line in lines[:DIFF_LINES]]
            found.append(
                {"iteration": entry["iteration"], "facts": facts, "lines": shown, "cut": len(lines) > DIFF_LINES}
            )
    return found


def _kind(line: str) -> str:
    if line.startswith(("+++", "---", "@@")):
        return "place"
    return {"+": "added", "-": "removed"}.get(line[:1], "context")


def _number(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:,.0f}" if float(value).is_integer() or abs(value) >= 1000 else f"{value:,.2f}"


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f} %"


def _interval(accuracy: dict[str, Any] | None) -> str:
    if not accuracy or accuracy["estimate"] is None:
        return "–"
    return f"{100 * accuracy['low']:.1f} – {100 * accuracy['high']:.1f} %"


def _duration(seconds: float | None) -> str:
    return "–" if seconds is None else f"{seconds:,.1f} s"
