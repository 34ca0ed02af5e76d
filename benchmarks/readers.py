"""How fast files are read: 10,000 invoices in a ZIP archive, and a sheet against openpyxl into the same frame.

`python benchmarks/readers.py [--invoices N] [--rows N]` prints a markdown table. CPU seconds, best of three interleaved
repetitions; the invoices (CFDI 4.0, three concepts each) and the sheet (ten columns) are made up, with a fixed seed.
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


def sheet(folder: Path, rows: int) -> Path:
    chance = random.Random(7)
    columns = {f"texto {k}": [f"servicio {chance.randrange(rows)} {k}" for _ in range(rows)] for k in range(5)}
    columns |= {f"importe {k}": [chance.randrange(10**6) / 100 for _ in range(rows)] for k in range(5)}
    pd.DataFrame(columns).to_excel(folder / "hoja.xlsx", index=False, engine="xlsxwriter")
    return folder / "hoja.xlsx"


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
        archive, book = pack(Path(place), options.invoices), sheet(Path(place), options.rows)
        pd.testing.assert_frame_equal(read(book), by_openpyxl(book), check_dtype=False)
        ways: dict[str, Callable[[], object]] = {
            "invoices": lambda: sum(len(b.frame) for b in read_sources(find_sources([str(archive)]).sources)),
            "openpyxl": lambda: by_openpyxl(book),
            "read": lambda: read(book),
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


if __name__ == "__main__":
    main()
