"""Write the example data: 3,000 synthetic expense lines of an invented convenience-store chain.

`python examples/make_expenses.py [FOLDER]` reads `descriptions.csv` (written by hand, with the category that a person
of the trade would give) and `vocabulary.yaml` (suppliers, cities, abbreviations), lets `noise.py` vary the texts and
writes `expenses.xlsx` and `expenses.csv` with the same rows, always the same ones.
"""

from __future__ import annotations

import calendar
import csv
import datetime as dt
import math
import random
import re
import sys
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import asdict, astuple, dataclass, fields
from pathlib import Path

import xlsxwriter
from noise import WORLD, clean, dress, month_named, rewrite

HERE = Path(__file__).resolve().parent
SEED = 20260


@dataclass(frozen=True)
class Spending:
    """How a category looks in the books: rows, typical amount in MXN, spread, additions, units and product codes."""

    rows: int
    median: float
    sigma: float
    additions: str
    units: str
    codes: str


SPENDING = {category: Spending(**facts) for category, facts in WORLD["spending"].items()}
UNKNOWN_CODE = "01010101"  # "No existe en el catálogo": what a clerk picks who does not want to search
FUEL = re.compile(r"GASOL|MAGNA|PREMIUM|DI[EÉ]SEL|COMB(US|\b)|OCTANOS|LITROS", re.IGNORECASE)


@dataclass(frozen=True)
class Supplier:
    """Who invoices: an invented name, an invented RFC and the categories sold."""

    name: str
    rfc: str
    categories: tuple[str, ...]


@dataclass(frozen=True)
class Expense:
    """One row of the export; the field names are the column names."""

    UUID: str
    Fecha: dt.date
    RfcEmisor: str
    Emisor: str
    ClaveProdServ: str
    Cantidad: float
    Unidad: str
    LineDescription: str
    Importe: float
    Status: str
    TrueCategory: str


COLUMNS = [field.name for field in fields(Expense)]


def read_descriptions(path: Path = HERE / "descriptions.csv") -> dict[str, list[str]]:
    """The hand-written descriptions of every category, in the order of the file."""
    groups: dict[str, list[str]] = {category: [] for category in SPENDING}
    with path.open(encoding="utf-8", newline="") as lines:
        for line in csv.DictReader(lines):
            groups[line["category"]].append(line["description"])
    return groups


# Rows ----------------------------------------------------------------------------------------------------------------


def share_out(rng: random.Random, rows: int, parts: int, steepness: float) -> list[int]:
    """Split `rows` over `parts`, at least one each, some much more often than others."""
    weights = [1 / (rank + 1) ** steepness for rank in range(parts)]
    rng.shuffle(weights)
    counts = [1] * parts
    for part in rng.choices(range(parts), weights, k=rows - parts):
        counts[part] += 1
    return counts


def describe(rng: random.Random, groups: dict[str, list[str]]) -> Iterator[tuple[str, str]]:
    """Every row's text and category: each description in several wordings, each wording once or more."""
    owners = {clean(text): category for category, texts in groups.items() for text in texts}
    for category, texts in groups.items():
        for text, rows in zip(texts, share_out(rng, SPENDING[category].rows, len(texts), 0.7), strict=True):
            wordings = write_wordings(rng, (text, category), max(1, round(rows * 0.44)), owners)
            for wording, times in zip(wordings, share_out(rng, rows, len(wordings), 0.8), strict=True):
                yield from ((look, category) for look in repeat(rng, wording, times))


def write_wordings(rng: random.Random, base: tuple[str, str], wanted: int, owners: dict[str, str]) -> list[str]:
    """Up to `wanted` wordings, all different after cleaning; none that another category owns."""
    text, category = base
    wordings = {clean(text): text}
    for _ in range(wanted * 8):
        if len(wordings) == wanted:
            break
        wording = rewrite(rng, text, category)
        if owners.setdefault(clean(wording), category) == category:
            wordings.setdefault(clean(wording), wording)
    return list(wordings.values())


def repeat(rng: random.Random, wording: str, times: int) -> Iterator[str]:
    """The same wording again, mostly letter by letter, at times with another look."""
    usual = dress(rng, wording)
    for _ in range(times):
        yield usual if rng.random() < 0.65 else dress(rng, wording)


def make_suppliers(rng: random.Random) -> list[Supplier]:
    suppliers = []
    for names, initials in ((WORLD["companies"], 3), (WORLD["persons"], 4)):
        for name, categories in names.items():
            suppliers.append(Supplier(name, make_rfc(rng, name, initials), tuple(categories)))
    return suppliers


def make_rfc(rng: random.Random, name: str, initials: int) -> str:
    """A well-formed RFC that nobody has: the last place of a real one is a check digit, 0 to 9 or A, never B to Z."""
    letters = re.sub(r"[^A-Z]", "", name.replace(" DE ", " "))
    born = dt.date(1985, 1, 1) + dt.timedelta(days=rng.randrange(13500))
    unique = (
        rng.choice("0123456789ABCDEFGHIJKLMNPQRSTUVWXYZ")
        + rng.choice("0123456789")
        + rng.choice("BCDEFGHJKLMNPQRSTUVWXYZ")
    )
    return f"{letters[0]}{''.join(rng.sample(letters[1:12], initials - 1))}{born:%y%m%d}{unique}"


def make_expense(rng: random.Random, text: str, category: str, suppliers: Sequence[Supplier]) -> Expense:
    supplier = choose_supplier(rng, text, category, suppliers)
    unit = "LTR" if FUEL.search(text) and rng.random() < 0.8 else rng.choice(SPENDING[category].units.split())
    amount = make_amount(rng, category)
    return Expense(
        UUID=str(uuid.UUID(int=rng.getrandbits(128), version=4)).upper(),
        Fecha=make_date(rng, text),
        RfcEmisor=supplier.rfc,
        Emisor=supplier.name,
        ClaveProdServ=make_code(rng, category),
        Cantidad=make_quantity(rng, unit) if amount > 0 else 1.0,
        Unidad=unit,
        LineDescription=text,
        Importe=amount,
        Status="Cancelled" if rng.random() < 0.05 else "Active",
        TrueCategory=category,
    )


def choose_supplier(rng: random.Random, text: str, category: str, suppliers: Sequence[Supplier]) -> Supplier:
    """One that sells the category; fuel comes from those who sell fuel, and nothing else does."""
    sellers = [supplier for supplier in suppliers if category in supplier.categories]
    fuel = bool(FUEL.search(text))
    return rng.choice([seller for seller in sellers if bool(FUEL.search(seller.name)) == fuel] or sellers)


def make_date(rng: random.Random, text: str) -> dt.date:
    """A day of 2026, in the month that the text names."""
    month = month_named(text) or rng.randrange(1, 13)
    return dt.date(2026, month, rng.randint(1, calendar.monthrange(2026, month)[1]))


def make_code(rng: random.Random, category: str) -> str:
    """The product code: one of the category, often the catch-all, sometimes one of somebody else."""
    chance = rng.random()
    if chance < 0.25:
        return UNKNOWN_CODE
    spending = rng.choice(list(SPENDING.values())) if chance < 0.37 else SPENDING[category]
    return rng.choice(spending.codes.split())


def make_quantity(rng: random.Random, unit: str) -> float:
    if unit in ("KGM", "LTR", "MTK"):
        return round(rng.uniform(0.5, 48), 3)
    if unit in ("H87", "PR"):
        return float(math.ceil(rng.lognormvariate(1.2, 1.5)))
    return float(rng.choice([1, 1, 1, 1, 1, 1, 2, 3])) if unit in ("DAY", "HUR", "E48") else 1.0


def make_amount(rng: random.Random, category: str) -> float:
    """An amount in MXN: log-normal, so that few lines hold most of the money; one in eighty is a credit note."""
    spending = SPENDING[category]
    amount = max(9.5, round(rng.lognormvariate(math.log(spending.median), spending.sigma), 2))
    return -amount if rng.random() < 1 / 80 else amount


def make_expenses(seed: int = SEED) -> list[Expense]:
    """All rows, by date; the same seed gives the same rows on every machine."""
    rng = random.Random(seed)
    suppliers = make_suppliers(rng)
    expenses = [make_expense(rng, text, category, suppliers) for text, category in describe(rng, read_descriptions())]
    return sorted(expenses, key=lambda expense: (expense.Fecha, expense.UUID))


# Files ---------------------------------------------------------------------------------------------------------------


def write_csv(expenses: Sequence[Expense], path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for expense in expenses:
            values = {**asdict(expense), "Cantidad": f"{expense.Cantidad:g}", "Importe": f"{expense.Importe:.2f}"}
            writer.writerow(values.values())


def write_xlsx(expenses: Sequence[Expense], path: Path) -> None:
    """One sheet, `Gastos`; the fixed creation date keeps the bytes the same from run to run."""
    with xlsxwriter.Workbook(str(path)) as book:
        book.set_properties({"title": "Synthetic expenses", "created": dt.datetime(2026, 1, 1)})
        formats = {"Fecha": "yyyy-mm-dd", "Importe": "#,##0.00", "Cantidad": "0.###", "ClaveProdServ": "@"}
        sheet = book.add_worksheet("Gastos")
        widths = (38, 11, 15, 44, 14, 10, 8, 62, 14, 11, 22)
        for place, (column, width) in enumerate(zip(COLUMNS, widths, strict=True)):
            sheet.set_column(place, place, width, book.add_format({"num_format": formats.get(column, "General")}))
        sheet.write_row(0, 0, COLUMNS, book.add_format({"bold": True, "bottom": 1, "bg_color": "#DDEBF7"}))
        sheet.freeze_panes(1, 0)
        sheet.autofilter(0, 0, len(expenses), len(COLUMNS) - 1)
        sheet.ignore_errors({"number_stored_as_text": f"E2:H{len(expenses) + 1}"})
        for row, expense in enumerate(expenses, start=1):
            write_row(sheet, row, expense)


def write_row(sheet: xlsxwriter.worksheet.Worksheet, row: int, expense: Expense) -> None:
    for place, value in enumerate(astuple(expense)):
        if isinstance(value, str):
            sheet.write_string(row, place, value)  # never a formula, a link or a number
        elif isinstance(value, dt.date):
            sheet.write_datetime(row, place, value)
        else:
            sheet.write_number(row, place, value)


def main(folder: Path = HERE) -> None:
    """Write both files into a folder (by default beside this script)."""
    expenses = make_expenses()
    folder.mkdir(parents=True, exist_ok=True)
    write_csv(expenses, folder / "expenses.csv")
    write_xlsx(expenses, folder / "expenses.xlsx")
    print(
        f"{len(expenses)} rows, {len({clean(expense.LineDescription) for expense in expenses})} distinct descriptions"
    )


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:2]))
