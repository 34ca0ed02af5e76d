"""Render the notebooks of a finished run as pages of the documentation: `python docs/notebooks/render.py RUN`.

Take a run of `parameters/demo.yaml`, so that everybody can make the same pages.
"""

from __future__ import annotations

import re
import sys
from io import BytesIO
from pathlib import Path

import nbformat
from nbconvert import MarkdownExporter
from PIL import Image

from workbench.runs import open_store

HERE = Path(__file__).parent
PAGES = {"ingest": 0, "classify": 1, "validate": 2, "refine": 1}
"""Stage → the iteration whose notebook is shown."""


def render(run_id: str) -> None:
    """Write one page per stage, with its pictures beside it."""
    store = open_store()
    for stage, iteration in PAGES.items():
        source = store.path(run_id, f"notebook_{stage}", iteration)
        text, resources = MarkdownExporter().from_notebook_node(_shown(source))
        for name, picture in resources["outputs"].items():
            Image.open(BytesIO(picture)).quantize(64).save(HERE / f"{source.stem}_{name}", optimize=True)
            text = text.replace(f"({name})", f"({source.stem}_{name})")
        text = re.sub(r"<style.*?</style>", "", text, flags=re.DOTALL)
        text = re.sub(r"[ \t]+$", "", text, flags=re.MULTILINE)
        (HERE / f"{source.stem}.md").write_text(re.sub(r"\n{3,}", "\n\n", text).strip() + "\n", encoding="utf-8")


def _shown(path: Path) -> nbformat.NotebookNode:
    """Load an executed notebook without the cell that papermill put in."""
    notebook = nbformat.read(path, 4)
    notebook.cells = [cell for cell in notebook.cells if "injected-parameters" not in cell.metadata.get("tags", [])]
    return notebook


if __name__ == "__main__":
    render(sys.argv[1])
