"""The sheet that a reviewer fills in, and every text on it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import accumulate
from pathlib import Path
from typing import IO, Any

import pandas as pd

from workbench.errors import StorageError
from workbench.records import CLEAN_PREFIX

INPUT_COLUMNS = ("is_correct", "corrected_category", "user_notes")
"""What the reviewer fills in."""

TEXTS: dict[str, dict[str, str]] = {
    "es": {
        "sheet": "Revisión",
        "categories": "Categorías",
        "yes": "sí",
        "no": "no",
        "instructions": (
            "Llene solo las columnas amarillas. is_correct: sí si la categoría es correcta, no si está mal. "
            "corrected_category: la categoría correcta, elegida de la lista, cuando está mal. "
            "user_notes: lo que quiera decir. Lo que deje vacío queda sin revisar."
        ),
        "blind": "Donde no se muestra categoría, escriba usted la correcta en corrected_category.",
        "is_correct": "¿La categoría es correcta? sí o no; vacío = sin revisar.",
        "corrected_category": "La categoría correcta, de la lista, si la propuesta está mal.",
        "not_listed": "Elija una categoría de la lista.",
    },
    "en": {
        "sheet": "Review",
        "categories": "Categories",
        "yes": "yes",
        "no": "no",
        "instructions": (
            "Fill in the yellow columns only. is_correct: yes if the category is right, no if it is wrong. "
            "corrected_category: the right category, chosen from the list, where it is wrong. "
            "user_notes: whatever you want to say. What you leave empty stays unreviewed."
        ),
        "blind": "Where no category is shown, name the right one in corrected_category.",
        "is_correct": "Is the category right? yes or no; empty = not reviewed.",
        "corrected_category": "The right category, from the list, if the proposed one is wrong.",
        "not_listed": "Choose a category from the list.",
    },
}
"""Every text of the review sheet, by language."""

CELL_LIMIT = 32_767
"""Characters that an Excel cell holds."""

SCREEN_WIDTH = 110
"""Characters that a reviewer sees without scrolling."""


def write_review_sheet(
    path_or_buffer: str | Path | IO[bytes],
    sample: pd.DataFrame,
    items: pd.DataFrame,
    categories: Sequence[str],
    *,
    language: str = "es",
) -> None:
    """Write an XLSX that a reviewer fills in: one row per drawn item, yellow input columns with drop-downs.

    Args:
        path_or_buffer: where the sheet goes.
        sample: the drawn predictions, in the order of review; where its `blind` is true, the answer is not shown.
        items: the items with their clean fields, `n_rows` and, if there is one, `amount`.
        categories: the names that `corrected_category` offers, on a second sheet.
        language: es or en.

    Text is always written as text, never as a formula or a link. Raises StorageError where the file cannot be written.
    """
    from xlsxwriter import Workbook
    from xlsxwriter.exceptions import FileCreateError

    texts = TEXTS.get(language, TEXTS["es"])
    table = _sheet_table(sample, items)
    try:
        with Workbook(path_or_buffer, {"in_memory": True}) as book:
            _write_rows(book, table, texts)
            _write_inputs(book, table, list(categories), texts)
    except (OSError, FileCreateError) as fault:
        raise StorageError(
            f"cannot write the review sheet {path_or_buffer}: {fault}.", hint="is it open in another program?"
        ) from None


def _sheet_table(sample: pd.DataFrame, items: pd.DataFrame) -> pd.DataFrame:
    """Put the columns of the sheet side by side."""
    clean = [name for name in items.columns if str(name).startswith(CLEAN_PREFIX)]
    about = [name for name in ("n_rows", "amount") if name in items.columns and items[name].notna().any()]
    table = sample[["item_id"]].merge(items[["item_id", *clean, *about]], on="item_id", how="left")
    answers = sample[["category", "reason", "score"]].reset_index(drop=True)
    if "blind" in sample:
        answers = answers.astype("object")
        answers.loc[sample["blind"].to_numpy(dtype=bool)] = None
    return pd.concat([table, answers], axis=1).assign(**dict.fromkeys(INPUT_COLUMNS))


def _width(column: str) -> int:
    if column.startswith(CLEAN_PREFIX):
        return 60
    widths = {"item_id": 14, "n_rows": 8, "amount": 14, "score": 8, "reason": 45, "user_notes": 45, "is_correct": 12}
    return widths.get(column, 28)


def _write_rows(book: Any, table: pd.DataFrame, texts: dict[str, str]) -> None:
    """Write the instructions (row 1), the header (row 2, frozen) and the items."""
    sheet = book.add_worksheet(texts["sheet"])
    top = {"valign": "top", "text_wrap": True}
    plain, decimal = book.add_format(top), book.add_format({**top, "num_format": "#,##0.00"})
    entry = book.add_format({**top, "bg_color": "#FFF8DC", "border": 1, "border_color": "#D9D2B0"})
    head = {"bold": True, "bottom": 1, "valign": "vcenter"}
    header, entry_header = book.add_format(head), book.add_format({**head, "bg_color": "#FFE38A"})
    for position, name in enumerate(table.columns):
        is_input = name in INPUT_COLUMNS
        sheet.write_string(1, position, str(name), entry_header if is_input else header)
        style = entry if is_input else decimal if name in ("amount", "score") else plain
        sheet.set_column(position, position, _width(str(name)))
        _write_column(sheet, position, table[name], style)
    told = f"{texts['instructions']} {texts['blind']}" if table["category"].isna().any() else texts["instructions"]
    _write_instructions(sheet, table, told, book.add_format({"text_wrap": True, "valign": "vcenter"}))
    sheet.freeze_panes(2, 0)
    sheet.autofilter(1, 0, len(table) + 1, len(table.columns) - 1)


def _write_instructions(sheet: Any, table: pd.DataFrame, text: str, style: Any) -> None:
    """Write one line above the header, over as many columns as a screen shows."""
    ends = list(accumulate(_width(str(name)) for name in table.columns))
    last = next((position for position, end in enumerate(ends) if end >= SCREEN_WIDTH), len(ends) - 1)
    sheet.merge_range(0, 0, 0, last, "", style)
    sheet.write_string(0, 0, text, style)
    sheet.set_row(0, 48)


def _write_column(sheet: Any, position: int, values: Iterable[Any], style: Any) -> None:
    for row, value in enumerate(values, start=2):
        if pd.isna(value):
            sheet.write_blank(row, position, None, style)
        elif isinstance(value, str):
            text = value.encode("utf-8", "replace").decode("utf-8")[:CELL_LIMIT]
            sheet.write_string(row, position, text, style)
        elif abs(value) == float("inf"):
            sheet.write_string(row, position, str(value), style)
        else:
            sheet.write_number(row, position, float(value), style)


def _write_inputs(book: Any, table: pd.DataFrame, categories: list[str], texts: dict[str, str]) -> None:
    """Add the sheet of categories and the drop-downs; what is typed by hand is checked when the file is read."""
    listed = book.add_worksheet(texts["categories"])
    listed.set_column(0, 0, 40)
    for row, name in enumerate(categories):
        listed.write_string(row, 0, name)
    sheet, last = book.get_worksheet_by_name(texts["sheet"]), max(len(table) + 1, 2)
    columns = list(table.columns)
    answer, category = columns.index("is_correct"), columns.index("corrected_category")
    yes_or_no = {"source": [texts["yes"], texts["no"]], "show_error": False, "input_message": texts["is_correct"]}
    sheet.data_validation(2, answer, last, answer, {"validate": "list", **yes_or_no})
    one_of = {"source": f"='{texts['categories']}'!$A$1:$A${max(len(categories), 1)}"}
    told = {"input_message": texts["corrected_category"], "error_message": texts["not_listed"]}
    sheet.data_validation(2, category, last, category, {"validate": "list", **one_of, **told})
