"""What the notebooks' widgets share: a box that is alive in JupyterLab and Voila, and a still picture elsewhere."""

from __future__ import annotations

import functools
import html
import os
import traceback
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import ipywidgets as w
import pandas as pd
from IPython.display import HTML, display

from workbench.errors import WorkbenchError
from workbench.settings import EXECUTED, FILES_URL, shown

STYLE = """<style>
.wb-panel {font-size: 14px}
.wb-panel .widget-html, .wb-panel .widget-html-content {line-height: 1.5}
.wb-panel table.wb {border-collapse: collapse; margin: 4px 0}
.wb-panel table.wb td, .wb-panel table.wb th {padding: 3px 10px 3px 0; text-align: left; vertical-align: top}
.wb-panel table.wb th {font-weight: 600; border-bottom: 1px solid var(--jp-border-color1, #bbb)}
.wb-panel table.wb td.n {text-align: right; font-variant-numeric: tabular-nums}
.wb-panel pre.wb {white-space: pre-wrap; word-break: normal; overflow-wrap: anywhere;
  max-height: 420px; overflow: auto; padding: 8px; margin: 4px 0;
  border: 1px solid var(--jp-border-color2, #ccc); background: var(--jp-layout-color1, #fff); color: inherit}
.wb-panel svg {max-width: 100%; height: auto}
.wb-panel .wb-bad {color: var(--jp-error-color0, #a4001d)}
.wb-panel .wb-add {color: var(--jp-success-color0, #1b5e20)}
.wb-panel .lm-TabBar-tab {flex: 0 0 auto !important; max-width: none !important; padding: 0 14px}
.wb-panel a {color: var(--jp-content-link-color, #1d4ed8)}
.wb-panel .wb-soft {color: var(--jp-ui-font-color2, #595959)}
</style>"""


class Panel:
    """A widget of the workbench. Subclasses fill `self.box` and say in `still` what an executed notebook shows."""

    def __init__(self) -> None:
        self.message = w.HTML()
        self.box = w.VBox()
        self.box.add_class("wb-panel")

    def fill(self, *parts: w.Widget) -> None:
        """Lay the parts out, one under the other, with the line for messages last."""
        self.box.children = (w.HTML(STYLE), *parts, self.message)

    def still(self) -> str:
        """Give the HTML that stands in for the widget where nobody can click."""
        raise NotImplementedError

    def say(self, text: str, *, bad: bool = False) -> None:
        """Show a line under the panel, or several."""
        lines = html.escape(text).replace("\n", "<br>")
        self.message.value = text and f"<span class='{'wb-bad' if bad else 'wb-soft'}'>{lines}</span>"

    def _ipython_display_(self) -> None:
        if os.environ.get(EXECUTED):
            display(HTML(f"{STYLE}<div class='wb-panel'>{self.still()}</div>"))  # type: ignore[no-untyped-call]
        else:
            display(self.box)  # type: ignore[no-untyped-call]


def guarded(handler: Callable[..., None]) -> Callable[..., None]:
    """Show what goes wrong in a callback under the panel, which Jupyter would keep to itself.

    The workbench's own errors are one line; anything else shows its traceback, since here the reader is its owner.
    """

    @functools.wraps(handler)
    def call(self: Panel, *arguments: Any) -> None:
        try:
            handler(self, *arguments)
        except WorkbenchError as error:
            self.say(str(error), bad=True)
        except Exception:
            shown = html.escape(traceback.format_exc())
            self.message.value = (
                f"<details open class='wb-bad'><summary>this went wrong</summary><pre>{shown}</pre></details>"
            )

    return call


def table(rows: Iterable[Sequence[object]], head: Sequence[str]) -> str:
    """Give a small table as HTML; numbers stand to the right, and nothing in a cell is taken for HTML."""
    lines = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
    return f"<table class='wb'><tr>{''.join(f'<th>{html.escape(name)}</th>' for name in head)}</tr>{lines}</table>"


def frame_table(frame: pd.DataFrame) -> str:
    """Give a small frame as HTML."""
    return table(frame.itertuples(index=False), [str(name) for name in frame.columns])


def _cell(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return f"<td>{html.escape('' if value is None else str(value))}</td>"
    return f"<td class='n'>{value:,}</td>" if isinstance(value, int) else f"<td class='n'>{value:,.2f}</td>"


def file_list(paths: Iterable[Path]) -> str:
    """List files as HTML, each with a link where the server of this notebook can serve it."""
    lines = (f"<li>{_link(path)}</li>" for path in paths)
    return f"<ul>{''.join(lines)}</ul>"


def _link(path: Path) -> str:
    name = shown(path)
    served = os.environ.get(FILES_URL) or f"{os.environ.get('JUPYTERHUB_SERVICE_PREFIX', '/')}files/"
    unserved = "VOILA_BASE_URL" in os.environ and FILES_URL not in os.environ  # a Voila that we did not start
    if unserved or Path(name).is_absolute():
        return html.escape(name)
    return f"<a href='{html.escape(served + quote(name))}' target='_blank'>{html.escape(name)}</a>"


def code(text: str) -> str:
    """Give text as a block of its own, as it stands."""
    return f"<pre class='wb'>{html.escape(text)}</pre>"


def button(text: str, act: Callable[[], None], *, style: str = "", tip: str = "") -> w.Button:
    """Make a button; `style` is one of Jupyter's (primary, success, warning, danger)."""
    made = w.Button(
        description=text, button_style=style, tooltip=tip, layout=w.Layout(width="auto", align_self="flex-start")
    )
    made.on_click(lambda _: act())
    return made
