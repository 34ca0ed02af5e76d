"""How fast files are read: 10,000 invoices in a ZIP archive, a sheet against openpyxl, JSON Lines against pandas.

`python benchmarks/readers.py [--invoices N] [--rows N]` prints a markdown table. CPU seconds, best of three interleaved
repetitions, always into the same frame; the invoices (CFDI 4.0, three concepts each), the sheet and the JSON Lines (ten
columns each) are made up, with a fixed seed.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import openpyxl
import pandas as pd

from workbench.readers import find_sources, read, read_sources

REPETITIONS = 3
HEAD = (
    '<?xml version="1.0" encoding="UTF-8"?><cfdi:Comprobante xmlns:cfdi="http://www.sat.gob.mx/cfd/4" Version="4.0" '
    'Serie="A" Folio="{n}" Fecha="2024-03-01T10:20:30" Moneda="MXN" SubTotal="300" Total="348" TipoDeComprobante="I" '
    'MetodoPago="PUE" FormaPago="03" LugarExpedicion="01000" Sello="{seal}" Certificado="{seal}">'
    '<cfdi:Emisor Rfc="EKU9003173C9" Nombre="ESCUELA KEMPER URGATE" RegimenFiscal="601"/>'
    '<cfdi:Receptor Rfc="XAXX010101000" Nombre="PÚBLICO EN GENERAL" UsoCFDI="G03"/><cfdi:Conceptos>'
)
CONCEPT = (
    '<cfdi:Concepto ClaveProdServ="80131500" NoIdentificacion="{n}" Cantidad="1" ClaveUnidad="E48" '
    'Descripcion="Servicio {n}" ValorUnitario="100" Importe="100" ObjetoImp="02"><cfdi:Impuestos><cfdi:Traslados>'
    '<cfdi:Traslado Base="100" Impuesto="002" TipoFactor="Tasa" TasaOCuota="0.160000" Importe="16"/>'
    "</cfdi:Traslados></cfdi:Impuestos></cfdi:Concepto>"
)
TAIL = (
    "</cfdi:Conceptos><cfdi:Complemento><tfd:TimbreFiscalDigital "
    'xmlns:tfd="http://www.sat.gob.mx/TimbreFiscalDigital" UUID="{n:08x}-6A57-4625-ADB4-BB436B00789F" '
    'FechaTimbrado="2024-03-01T10:21:00"/></cfdi:Complemento></cfdi:Comprobante>'
)


def pack(folder: Path, invoices: int) -> Path:
    chance = random.Random(7)
    with zipfile.ZipFile(folder / "facturas.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for n in range(invoices):
            lines = "".join(CONCEPT.format(n=3 * n + k) for k in range(3))
            seal = f"{chance.getrandbits(4_000):x}"
            archive.writestr(f"{n}.xml", HEAD.format(n=n, seal=seal) + lines + TAIL.format(n=n))
    return folder / "facturas.zip"


def table(rows: int) -> pd.DataFrame:
    chance = random.Random(7)
    columns = {f"texto {k}": [f"servicio {chance.randrange(rows)} {k}" for _ in range(rows)] for k in range(5)}
    columns |= {f"importe {k}": [chance.randrange(10**6) / 100 for _ in range(rows)] for k in range(5)}
    return pd.DataFrame(columns)


def by_openpyxl(path: Path) -> pd.DataFrame:
    book = openpyxl.load_workbook(path, read_only=True, data_only=True)
    header, *rows = book.active.iter_rows(values_only=True)
    book.close()
    return pd.DataFrame(rows, columns=header)


def seconds(call: Callable[[], object]) -> float:
    started = time.process_time()
    call()
    return time.process_time() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--invoices", type=int, default=10_000)
    parser.add_argument("--rows", type=int, default=100_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        archive, book, lines = (
            pack(Path(place), options.invoices),
            Path(place) / "hoja.xlsx",
            Path(place) / "lineas.jsonl",
        )
        table(options.rows).to_excel(book, index=False, engine="xlsxwriter")
        table(options.rows).to_json(lines, orient="records", lines=True, force_ascii=False)
        pd.testing.assert_frame_equal(read(lines), pd.read_json(lines, lines=True), check_dtype=False)
        pd.testing.assert_frame_equal(read(book), by_openpyxl(book), check_dtype=False)
        ways: dict[str, Callable[[], object]] = {
            "invoices": lambda: sum(len(b.frame) for b in read_sources(find_sources([str(archive)]).sources)),
            "openpyxl": lambda: by_openpyxl(book),
            "read": lambda: read(book),
            "read_json": lambda: pd.read_json(lines, lines=True),
            "read lines": lambda: read(lines),
        }
        taken = {name: [] for name in ways}
        for _ in range(REPETITIONS):
            for name, call in ways.items():
                taken[name].append(seconds(call))
    best = {name: min(values) for name, values in taken.items()}
    print("| what | CPU s | |\n|---|--:|---|")
    rate = f"{options.invoices / best['invoices']:,.0f}/s"
    print(f"| {options.invoices:,} CFDI in a ZIP | {best['invoices']:.1f} | {rate} |")
    print(f"| XLSX {options.rows:,} × 10, openpyxl read-only | {best['openpyxl']:.1f} | 1 × |")
    print(f"| the same, `read` | {best['read']:.1f} | {best['openpyxl'] / best['read']:.1f} × |")
    print(f"| JSON Lines {options.rows:,} × 10, `pandas.read_json` | {best['read_json']:.1f} | 1 × |")
    print(f"| the same, `read` | {best['read lines']:.1f} | {best['read_json'] / best['read lines']:.1f} × |")


if __name__ == "__main__":
    main()
