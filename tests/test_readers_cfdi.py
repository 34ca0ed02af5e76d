"""CFDI: one row per concept in columns of one meaning, and a hostile or broken invoice is a fault of its own."""

import resource
import zipfile
from pathlib import Path

import pandas as pd
import pytest
from lxml import etree

from workbench.errors import ReadError
from workbench.readers import find_sources, inspect_files, read, read_sources

DATA = Path(__file__).parents[2] / "shared" / "data" / "cfdi_xml"
SPACES = (
    'xmlns:cfdi="http://www.sat.gob.mx/cfd/4" xmlns:tfd="http://www.sat.gob.mx/TimbreFiscalDigital" '
    'xmlns:pago20="http://www.sat.gob.mx/Pagos20" xmlns:nomina12="http://www.sat.gob.mx/nomina12"'
)
CONCEPT = '<cfdi:Concepto ClaveProdServ="80131500" Cantidad="1" Descripcion="Renta" ValorUnitario="10" Importe="10"/>'


def invoice(concepts: str = CONCEPT, complement: str = "", more: str = "", head: str = "") -> str:
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<cfdi:Comprobante {SPACES} Version="4.0" Serie="A" Folio="17" '
        'Fecha="2024-03-01T10:20:30" Moneda="USD" TipoCambio="17.05" SubTotal="100" Descuento="5" Total="110.20" '
        f'TipoDeComprobante="I" MetodoPago="PPD" FormaPago="99" LugarExpedicion="01000" Exportacion="01"{head}>'
        '<cfdi:Emisor Rfc="EKU9003173C9" Nombre="ESCUELA KEMPER &amp; CÍA" RegimenFiscal="601"/>'
        '<cfdi:Receptor Rfc="XAXX010101000" Nombre="PÚBLICO EN GENERAL" UsoCFDI="G03"/>'
        f"<cfdi:Conceptos>{concepts}</cfdi:Conceptos>"
        '<cfdi:Impuestos TotalImpuestosTrasladados="15.20" TotalImpuestosRetenidos="2.50"/>'
        f"<cfdi:Complemento>{complement}</cfdi:Complemento>{more}</cfdi:Comprobante>"
    )


def write(folder: Path, text: str | bytes, name: str = "factura.xml") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def fields(path: Path, row: int = 0) -> dict[str, object]:
    return read(path).iloc[row].dropna().to_dict()


def refusal(path: Path) -> str:
    with pytest.raises(ReadError) as caught:
        read(path)
    assert caught.value.hint
    assert "\n" not in caught.value.message
    return caught.value.message


TAXED = """
<cfdi:Concepto ClaveProdServ="01010101" NoIdentificacion="007" Cantidad="2.5" ClaveUnidad="H87" Unidad="Pieza"
  Descripcion="Café &quot;molido&quot; ½ kg" ValorUnitario="40" Importe="100" Descuento="5" ObjetoImp="02">
  <cfdi:Impuestos><cfdi:Traslados>
    <cfdi:Traslado Base="95" Impuesto="002" TipoFactor="Tasa" TasaOCuota="0.160000" Importe="15.20"/>
    <cfdi:Traslado Base="95" Impuesto="003" TipoFactor="Tasa" TasaOCuota="0.080000" Importe="7.60"/>
    <cfdi:Traslado Base="95" Impuesto="002" TipoFactor="Exento"/>
  </cfdi:Traslados><cfdi:Retenciones>
    <cfdi:Retencion Base="95" Impuesto="001" TipoFactor="Tasa" TasaOCuota="0.0125" Importe="1.1875"/>
    <cfdi:Retencion Base="95" Impuesto="002" TipoFactor="Tasa" TasaOCuota="0.106667" Importe="1.3125"/>
  </cfdi:Retenciones></cfdi:Impuestos>
  <cfdi:ACuentaTerceros RfcACuentaTerceros="AAA010101AAA" NombreACuentaTerceros="TERCERO SA"
    RegimenFiscalACuentaTerceros="601" DomicilioFiscalACuentaTerceros="01000"/>
  <cfdi:InformacionAduanera NumeroPedimento="15  48  4567  6001234"/><cfdi:CuentaPredial Numero="51888"/>
  <cfdi:Parte ClaveProdServ="25201513" Cantidad="1.0" Descripcion="PARTE"/>
</cfdi:Concepto>"""
STAMP = '<tfd:TimbreFiscalDigital UUID="{}-6A57-4625-ADB4-BB436B00789F" FechaTimbrado="2024-03-01T10:21:00"/>'


def test_every_field_of_an_invoice_of_today_stands_in_its_row(tmp_path):
    path = write(tmp_path, invoice(TAXED + CONCEPT, STAMP.format("E403F396")))
    assert fields(path) == {
        "UUID": "E403F396-6A57-4625-ADB4-BB436B00789F",
        "Version": "4.0",
        "Serie": "A",
        "Folio": "17",
        "Fecha": "2024-03-01T10:20:30",
        "FechaTimbrado": "2024-03-01T10:21:00",
        "TipoDeComprobante": "I",
        "EmisorRfc": "EKU9003173C9",
        "EmisorNombre": "ESCUELA KEMPER & CÍA",
        "EmisorRegimenFiscal": "601",
        "ReceptorRfc": "XAXX010101000",
        "ReceptorNombre": "PÚBLICO EN GENERAL",
        "UsoCFDI": "G03",
        "Moneda": "USD",
        "TipoCambio": 17.05,
        "MetodoPago": "PPD",
        "FormaPago": "99",
        "LugarExpedicion": "01000",
        "SubTotal": 100.0,
        "DescuentoTotal": 5.0,
        "TotalImpuestosTrasladados": 15.2,
        "TotalImpuestosRetenidos": 2.5,
        "Total": 110.2,
        "ClaveProdServ": "01010101",
        "NoIdentificacion": "007",
        "Descripcion": 'Café "molido" ½ kg',
        "Unidad": "Pieza",
        "ClaveUnidad": "H87",
        "ObjetoImp": "02",
        "Cantidad": 2.5,
        "ValorUnitario": 40.0,
        "Importe": 100.0,
        "Descuento": 5.0,
        "ImpuestosTrasladados": 22.8,
        "TrasladoIVA": 15.2,
        "TrasladoIEPS": 7.6,
        "ImpuestosRetenidos": 2.5,
        "RetencionISR": 1.1875,
        "RetencionIVA": 1.3125,
        "ACuentaTercerosRfc": "AAA010101AAA",
        "ACuentaTercerosNombre": "TERCERO SA",
        "CuentaPredial": "51888",
        "NumeroPedimento": "15  48  4567  6001234",
    }
    second = fields(path, 1)
    assert (second["Descripcion"], second["UUID"][:8]) == ("Renta", "E403F396")
    assert "TrasladoIVA" not in second


OLD = """<?xml version="1.0" encoding="ISO-8859-1"?>
<cfdi:Comprobante xmlns:cfdi="http://www.sat.gob.mx/cfd/3" xmlns:terceros="http://www.sat.gob.mx/terceros"
  xmlns:tfd="http://www.sat.gob.mx/TimbreFiscalDigital" version="3.2"
  serie="S" folio="68189" fecha="2015-03-21T08:17:31" formaDePago="Pago en una sola exhibición" metodoDePago="04"
  subTotal="35000.00" descuento="10.5" total="40600.00" tipoDeComprobante="ingreso" Moneda="MXN" TipoCambio="1.00"
  LugarExpedicion="TOLUCA">
  <cfdi:Emisor rfc="CTO021007DZ8" nombre="TOLUCA SA"><cfdi:RegimenFiscal Regimen="General"/></cfdi:Emisor>
  <cfdi:Receptor rfc="E&amp;Ñ831019M53" nombre="GANADO"/>
  <cfdi:Conceptos><cfdi:Concepto cantidad="1" unidad="LTE" noIdentificacion="00279" descripcion="Módulo Ñ"
    valorUnitario="35000.00" importe="35000.00"><cfdi:ComplementoConcepto>
    <terceros:PorCuentadeTerceros version="1.1" rfc="AAA010101AAA" nombre="Tercero"/></cfdi:ComplementoConcepto>
    <cfdi:CuentaPredial numero="12"/></cfdi:Concepto></cfdi:Conceptos>
  <cfdi:Impuestos totalImpuestosTrasladados="5600.00"><cfdi:Traslados>
    <cfdi:Traslado importe="5600.00" tasa="16.00" impuesto="IVA"/></cfdi:Traslados></cfdi:Impuestos>
  <cfdi:Complemento><tfd:TimbreFiscalDigital UUID="e403f396" FechaTimbrado="2015-03-21T08:18:00"/></cfdi:Complemento>
</cfdi:Comprobante>"""


def test_an_invoice_of_3_2_fills_the_columns_of_today_by_their_meaning(tmp_path):
    assert fields(write(tmp_path, OLD.encode("latin-1"))) == {
        "UUID": "e403f396",
        "Version": "3.2",
        "Serie": "S",
        "Folio": "68189",
        "Fecha": "2015-03-21T08:17:31",
        "FechaTimbrado": "2015-03-21T08:18:00",
        "TipoDeComprobante": "ingreso",
        "EmisorRfc": "CTO021007DZ8",
        "EmisorNombre": "TOLUCA SA",
        "EmisorRegimenFiscal": "General",
        "ReceptorRfc": "E&Ñ831019M53",
        "ReceptorNombre": "GANADO",
        "Moneda": "MXN",
        "TipoCambio": 1.0,
        "MetodoPago": "Pago en una sola exhibición",
        "FormaPago": "04",
        "LugarExpedicion": "TOLUCA",
        "SubTotal": 35000.0,
        "DescuentoTotal": 10.5,
        "TotalImpuestosTrasladados": 5600.0,
        "Total": 40600.0,
        "NoIdentificacion": "00279",
        "Descripcion": "Módulo Ñ",
        "Unidad": "LTE",
        "Cantidad": 1.0,
        "ValorUnitario": 35000.0,
        "Importe": 35000.0,
        "ACuentaTercerosRfc": "AAA010101AAA",
        "ACuentaTercerosNombre": "Tercero",
        "CuentaPredial": "12",
    }


@pytest.mark.parametrize("rate", ["No Identificado", "", "Peso mexicano", "17,05"])
def test_an_exchange_rate_that_3_2_let_be_any_text_is_null_and_refuses_no_invoice(tmp_path, rate):
    read_back = fields(write(tmp_path, OLD.replace('TipoCambio="1.00"', f'TipoCambio="{rate}"').encode("latin-1")))
    assert "TipoCambio" not in read_back and read_back["Total"] == 40600.0


def test_an_invoice_of_3_3_has_the_names_of_4_0(tmp_path):
    text = invoice(TAXED).replace("cfd/4", "cfd/3").replace('Version="4.0"', 'Version="3.3"')
    found = fields(write(tmp_path, text))
    assert (found["Version"], found["TrasladoIVA"], found["UsoCFDI"]) == ("3.3", 15.2, "G03")


def test_of_several_stamps_the_first_counts_and_the_others_are_kept(tmp_path):
    stamps = STAMP.format("AAAAAAAA") + "</cfdi:Complemento><cfdi:Complemento>" + STAMP.format("BBBBBBBB")
    found = fields(write(tmp_path, invoice(complement=stamps + STAMP.format("AAAAAAAA"))))
    assert (found["UUID"][:8], found["OtrosUUID"][:8], len(found["OtrosUUID"])) == ("AAAAAAAA", "BBBBBBBB", 36)


def test_an_addendum_adds_no_rows_and_no_stamp(tmp_path):
    inside = f"<cfdi:Comprobante><cfdi:Conceptos>{CONCEPT}</cfdi:Conceptos>{STAMP.format('X')}</cfdi:Comprobante>"
    table = read(write(tmp_path, invoice(more=f"<cfdi:Addenda>{inside}{CONCEPT}</cfdi:Addenda>")))
    assert len(table) == 1
    assert table["UUID"].isna().all()


PAID = '<pago20:Pago FechaPago="2024-03-0{0}" FormaDePagoP="03" MonedaP="{1}" Monto="{2}">{3}</pago20:Pago>'


def test_a_receipt_of_payments_is_one_row_with_what_was_paid(tmp_path):
    document = '<pago20:DoctoRelacionado IdDocumento="{}"/>'
    first = PAID.format(1, "MXN", "372.10", document.format("U1") + document.format("U2"))
    second = PAID.format(2, "MXN", "100.20", document.format("U1"))
    both = f'<pago20:Pagos Version="2.0">{first}{second}</pago20:Pagos>'
    found = fields(write(tmp_path, invoice(complement=both)))
    assert found["MontoPagos"] == 472.3
    assert (found["FechaPago"], found["FormaDePagoP"], found["MonedaP"]) == ("2024-03-01 2024-03-02", "03", "MXN")
    assert (found["DocumentosPagados"], found["Complementos"]) == ("U1 U2", "Pagos")
    mixed = invoice(complement=both.replace('MonedaP="MXN"', 'MonedaP="USD"', 1))
    assert "MontoPagos" not in fields(write(tmp_path, mixed))


def test_a_payroll_is_one_row_with_its_totals(tmp_path):
    payroll = (
        '<nomina12:Nomina Version="1.2" TipoNomina="O" FechaPago="2024-01-30" FechaInicialPago="2024-01-16" '
        'FechaFinalPago="2024-01-31" TotalPercepciones="1600.00" TotalDeducciones="1755.83" TotalOtrosPagos="456"/>'
    )
    found = fields(write(tmp_path, invoice(complement=payroll)))
    assert (found["TotalPercepciones"], found["TotalDeducciones"], found["TotalOtrosPagos"]) == (1600.0, 1755.83, 456)
    assert (found["TipoNomina"], found["FechaFinalPago"]) == ("O", "2024-01-31")


def test_several_complements_of_a_kind_are_put_together(tmp_path):
    wages = '<nomina12:Nomina TipoNomina="O" FechaPago="2024-01-30" TotalPercepciones="100.10" TotalDeducciones="7"/>'
    settled = '<nomina12:Nomina TipoNomina="E" FechaPago="2024-02-01" TotalPercepciones="250.20"/>'
    paid = [f"<pago20:Pagos>{PAID.format(day, 'MXN', amount, '')}</pago20:Pagos>" for day, amount in ((1, 10), (2, 5))]
    found = fields(write(tmp_path, invoice(complement=wages + settled + "".join(paid))))
    assert (found["TotalPercepciones"], found["TotalDeducciones"], found["TipoNomina"]) == (350.3, 7.0, "O E")
    assert (found["MontoPagos"], found["Complementos"]) == (15.0, "Nomina Pagos")
    assert found["FechaPago"] == "2024-03-01 2024-03-02 2024-01-30 2024-02-01"


def test_relations_to_other_invoices_are_kept(tmp_path):
    related = (
        '<cfdi:CfdiRelacionados TipoRelacion="04"><cfdi:CfdiRelacionado UUID="U1"/><cfdi:CfdiRelacionado UUID="U2"/>'
        "</cfdi:CfdiRelacionados>"
    )
    found = fields(write(tmp_path, invoice(more=related)))
    assert (found["TipoRelacion"], found["UUIDRelacionados"]) == ("04", "U1 U2")


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: b"\xef\xbb\xbf\n  " + text.encode(),
        lambda text: text.replace(' encoding="UTF-8"', "").encode(),
        lambda text: text.replace("UTF-8", "UTF-16").encode("utf-16"),
        lambda text: text.replace("<cfdi:Comprobante ", '<cfdi:Comprobante xmlns:schemaLocation="a b c" ').encode(),
        lambda text: text.replace("<cfdi:Conceptos>", "<!-- nota --><?algo?><cfdi:Conceptos>").encode(),
        lambda text: text.replace("cfdi:", "x:").replace("xmlns:cfdi", "xmlns:x").encode(),
    ],
    ids=["blanks before", "no declaration", "UTF-16", "a misplaced schemaLocation", "comments", "another prefix"],
)
def test_harmless_slips_are_forgiven(tmp_path, spoil):
    assert fields(write(tmp_path, spoil(invoice())))["Descripcion"] == "Renta"


BOMB = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10 if n else "ja"}">' for n in range(12))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (f"<!DOCTYPE x [{BOMB}]>{invoice().partition('?>')[2]}".replace("Renta", "&a11;"), "declares a DOCTYPE"),
        (
            '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>' + invoice().partition("?>")[2],
            "declares a DOCTYPE",
        ),
        (invoice()[:-200], "is not well-formed XML"),
        (invoice().replace("Renta", "Ca&ntilde;a"), "is not well-formed XML: Entity 'ntilde' not defined in line"),
        (invoice(more="<a>" * 300 + "</a>" * 300), "is not well-formed XML: Excessive depth"),
        (invoice("x" * 11_000_000 + CONCEPT), "is not well-formed XML"),
        (invoice(""), "has no cfdi:Concepto"),
        (invoice().replace('Version="4.0"', 'Version="5.0"'), "version 5.0; 3.2, 3.3, 4.0 can be read"),
        (invoice(CONCEPT.replace('Importe="10"', 'Importe="1,0"')), "concept 1: Importe '1,0' is not a number"),
        ("<html><body>Sesión terminada</body></html>", "XML with the root html, not a CFDI"),
        ("Sesión terminada", "is not well-formed XML: Start tag expected"),
        ("  \n", "is empty"),
    ],
    ids=lambda value: value if len(value) < 60 else "",
)
def test_a_hostile_or_broken_invoice_is_refused_in_one_line(tmp_path, text, reason):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    told = refusal(write(tmp_path, text))
    assert reason in told and "XML_PARSE_HUGE" not in told
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300_000  # kB


def test_a_doctype_behind_another_encoding_is_refused_too(tmp_path):
    text = invoice().replace("UTF-8", "UTF-16").replace("?>", '?><!DOCTYPE x [<!ENTITY a "b">]>', 1)
    assert "DOCTYPE" in refusal(write(tmp_path, text.encode("utf-16")))


def test_several_customs_documents_and_properties_of_a_line_are_all_kept(tmp_path):
    more = "".join(
        f'<cfdi:InformacionAduanera NumeroPedimento="{n}5  48  4567  6001234"/><cfdi:CuentaPredial Numero="5188{n}"/>'
        for n in (1, 2)
    )
    found = fields(write(tmp_path, invoice(CONCEPT.replace("/>", f">{more}</cfdi:Concepto>"))))
    assert found["NumeroPedimento"] == "15  48  4567  6001234 25  48  4567  6001234"
    assert found["CuentaPredial"] == "51881 51882"


def test_an_invoice_of_many_lines_is_read_whole(tmp_path):
    table = read(write(tmp_path, invoice("".join(CONCEPT.replace("Renta", f"R{n}") for n in range(20_000)))))
    assert table["Descripcion"].tolist()[::19_999] == ["R0", "R19999"]


def test_thousands_of_invoices_in_an_archive_share_batches_and_a_bad_one_stops_none(tmp_path):
    with zipfile.ZipFile(tmp_path / "enero.zip", "w") as archive:
        for number in range(1_000):
            text = invoice(CONCEPT.replace("Renta", f"R{number}")) if number != 500 else "<roto"
            archive.writestr(f"{number}.xml", text)
            archive.writestr(f"{number}.pdf", "%PDF")
    found, faults = find_sources([str(tmp_path)]), []
    batches = list(read_sources(found.sources, rows=600, on_fault=faults.append))
    assert [len(batch.frame) for batch in batches] == [600, 399]
    assert [fault.name for fault in faults] == ["enero.zip/500.xml"]
    assert batches[1].source_file.iloc[-1] == "enero.zip/999.xml"
    assert batches[1].frame["Descripcion"].iloc[-1] == "R999"
    assert set(batches[1].source_row) == {1}
    assert len(found.passed_over) == 1_000


def test_an_invoice_is_inspected_like_any_table(tmp_path):
    schema = inspect_files(write(tmp_path, invoice(TAXED))).files[0]
    types = {column.name: column.type for column in schema.columns}
    assert (schema.format, schema.rows, types["Importe"], types["Fecha"]) == ("cfdi", 1, "number", "date")


METADATA = """Uuid~RfcEmisor~NombreEmisor~RfcReceptor~NombreReceptor~RfcPac~FechaEmision~FechaCertificacionSat~Monto~\
EfectoComprobante~Estatus~FechaCancelacion
E403F396-6A57-4625-ADB4-BB436B00789F~EKU9003173C9~"LA 15", S.A. DE C.V.~XAXX010101000~PÚBLICO~SAT970701NN3~\
2024-03-01 10:20:30~2024-03-01 10:21:00~1160.00~I~1~
A403F396-6A57-4625-ADB4-BB436B00789F~EKU9003173C9~TACOS "EL GÜERO~XAXX010101000~PÚBLICO~SAT970701NN3~\
2024-03-02 10:20:30~2024-03-02 10:21:00~58.50~E~0~2024-03-05 09:00:00
"""


def test_the_metadata_of_the_sats_bulk_download_is_read(tmp_path):
    table = read(write(tmp_path, METADATA.replace("\n", "\r\n"), "metadata.txt"))
    assert table["NombreEmisor"].tolist() == ['"LA 15", S.A. DE C.V.', 'TACOS "EL GÜERO']
    assert table["Monto"].tolist() == [1160.0, 58.5]
    assert table["Estatus"].tolist() == [1, 0]
    assert table["FechaCancelacion"].isna().tolist() == [True, False]
    assert len(table.columns) == 12


@pytest.mark.skipif(not DATA.is_dir(), reason="the shared data is not here")
def test_every_real_invoice_is_read_or_refused_in_one_line():
    faults = []
    sources = find_sources([str(DATA / "*.xml")]).sources
    rows = sum(len(batch.frame) for batch in read_sources(sources, on_fault=faults.append))
    assert len(sources) == 112
    assert rows == 157
    assert [fault.name for fault in faults] == [
        "cfdiutils__cleaner_v32-dirty-errors.xml",
        "cfdiutils__cleaner_v32-no-addenda.xml",
        "cfdiutils__cleaner_v32-no-nonsat-schemalocations.xml",
        "cfdiutils__cleaner_v32-schemalocations-replacements.xml",
    ]
    assert all("has no cfdi:Concepto" in fault.reason for fault in faults)


HEAD = "Version Serie Folio Fecha TipoDeComprobante Moneda TipoCambio LugarExpedicion SubTotal Total CondicionesDePago"
LINE = """
    ClaveProdServ NoIdentificacion Descripcion Unidad ClaveUnidad ObjetoImp Cantidad ValorUnitario Importe Descuento
    """


def plainly(node, names, old):
    """Give attributes as they stand; those of 3.2 begin with a small letter, but for some."""
    kept = ("Moneda", "TipoCambio", "LugarExpedicion")
    return {name: node.get(name[0].lower() + name[1:] if old and name not in kept else name) for name in names.split()}


def as_it_stands(path):
    """Read an invoice anew, without our reader: a dict per concept."""
    root = etree.parse(path, etree.XMLParser(recover=True)).getroot()
    old, inside = root.get("version") == "3.2", {"c": root.nsmap["cfdi"]}
    head = plainly(root, HEAD, old) | {"DescuentoTotal": root.get("descuento" if old else "Descuento")}
    head |= {"MetodoPago": root.get("formaDePago" if old else "MetodoPago")}
    head |= {"FormaPago": root.get("metodoDePago" if old else "FormaPago")}
    for who in ("Emisor", "Receptor"):
        found = plainly(root.find(f"c:{who}", inside), "Rfc Nombre UsoCFDI", old)
        head |= {f"{who}Rfc": found["Rfc"], f"{who}Nombre": found["Nombre"]}
    head["UsoCFDI"] = None if old else found["UsoCFDI"]
    stamps = root.findall("c:Complemento/{http://www.sat.gob.mx/TimbreFiscalDigital}TimbreFiscalDigital", inside)
    head["UUID"] = stamps[0].get("UUID") if stamps else None
    for concept in root.findall("c:Conceptos/c:Concepto", inside):
        taxes = {}
        for column, where in {"ImpuestosTrasladados": "Traslado", "ImpuestosRetenidos": "Retencion"}.items():
            paid = [tax.get("Importe") for tax in concept.iterfind(f"c:Impuestos/*/c:{where}", inside)]
            amounts = [float(amount) for amount in paid if amount is not None]
            taxes[column] = round(sum(amounts), 6) if amounts and not old else None
        yield head | plainly(concept, LINE, old) | taxes


@pytest.mark.skipif(not DATA.is_dir(), reason="the shared data is not here")
def test_every_field_of_every_real_invoice_is_what_stands_in_it():
    rows = 0
    for path in sorted(DATA.glob("*.xml")):
        try:
            table = read(path)
        except ReadError:
            continue
        expected = list(as_it_stands(path))
        assert len(table) == len(expected)
        rows += len(table)
        for row, fields_there in zip(table.to_dict("records"), expected, strict=True):
            for column, value in fields_there.items():
                found = None if pd.isna(row[column]) else row[column]
                value = None if value == "" else value
                assert found == (float(value) if isinstance(found, float) else value), (path.name, column)
    assert rows > 150
