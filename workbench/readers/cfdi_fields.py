"""What a CFDI says, as columns: the names are those of CFDI 4.0, whatever the version of the invoice.

3.2 called payment in parts `formaDePago` and the means of payment `metodoDePago`; 3.3 turned the two names round. Here
MetodoPago (PUE, PPD) and FormaPago (01, 03, 99 …) mean in every row what they mean today.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TypeAlias

from lxml import etree

from workbench.readers.columns import Column, Kind

Fields: TypeAlias = dict[str, str | float | None]
Values: TypeAlias = tuple[str | float | None, ...]

_INVOICE_TEXTS = """
    UUID Version Serie Folio Fecha FechaTimbrado TipoDeComprobante EmisorRfc EmisorNombre EmisorRegimenFiscal
    ReceptorRfc ReceptorNombre UsoCFDI Moneda MetodoPago FormaPago CondicionesDePago LugarExpedicion OtrosUUID
    TipoRelacion UUIDRelacionados Complementos FechaPago FormaDePagoP MonedaP DocumentosPagados
    TipoNomina FechaInicialPago FechaFinalPago
    """
_INVOICE_NUMBERS = """
    TipoCambio SubTotal DescuentoTotal TotalImpuestosTrasladados TotalImpuestosRetenidos Total
    MontoPagos TotalPercepciones TotalDeducciones TotalOtrosPagos
    """
_CONCEPT_TEXTS = """
    ClaveProdServ NoIdentificacion Descripcion Unidad ClaveUnidad ObjetoImp
    ACuentaTercerosRfc ACuentaTercerosNombre CuentaPredial NumeroPedimento
    """
_CONCEPT_NUMBERS = """
    Cantidad ValorUnitario Importe Descuento ImpuestosTrasladados TrasladoIVA TrasladoIEPS
    ImpuestosRetenidos RetencionISR RetencionIVA RetencionIEPS
    """


def _columns(texts: str, numbers: str) -> tuple[Column, ...]:
    kinds = [(name, Kind.TEXT) for name in texts.split()] + [(name, Kind.NUMBER) for name in numbers.split()]
    return tuple(Column(name, kind, True, name) for name, kind in kinds)


INVOICE = _columns(_INVOICE_TEXTS, _INVOICE_NUMBERS)
"""What is the same in all rows of an invoice."""
CONCEPT = _columns(_CONCEPT_TEXTS, _CONCEPT_NUMBERS)
"""What belongs to one line."""
COLUMNS = INVOICE + CONCEPT
"""The columns of every invoice, all of them nullable."""

_OLD = {
    "UUID": "UUID",
    "MetodoPago": "formaDePago",
    "FormaPago": "metodoDePago",
    "Moneda": "Moneda",
    "TipoCambio": "TipoCambio",
    "LugarExpedicion": "LugarExpedicion",
}
"""Attributes of 3.2 whose names do not simply begin with a small letter."""
_HEAD = (
    *("Version", "Serie", "Folio", "Fecha", "TipoDeComprobante", "Moneda", "TipoCambio", "MetodoPago", "FormaPago"),
    *("CondicionesDePago", "LugarExpedicion", "SubTotal", "Total"),
)
_LINE = (
    *("ClaveProdServ", "NoIdentificacion", "Descripcion", "Unidad", "ClaveUnidad", "ObjetoImp"),
    *("Cantidad", "ValorUnitario", "Importe", "Descuento"),
)
_TAXES = {"001": "ISR", "002": "IVA", "003": "IEPS"}
_DECIMAL = re.compile(r"\s*[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)\s*")


def concept_fields(concept: etree._Element, old: bool) -> Fields:
    """Read a cfdi:Concepto; `old` is 3.2, which has no taxes there."""
    fields = _attributes(concept, _LINE, old)
    for node in concept.iterchildren("{*}*"):
        name = _name(node)
        if name == "Impuestos":
            fields |= _taxes(node)
        elif name == "ACuentaTerceros":
            fields["ACuentaTercerosRfc"] = node.get("RfcACuentaTerceros")
            fields["ACuentaTercerosNombre"] = node.get("NombreACuentaTerceros")
        elif name == "ComplementoConcepto":
            for third in node.iterchildren("{*}PorCuentadeTerceros"):
                fields["ACuentaTercerosRfc"] = third.get("rfc")
                fields["ACuentaTercerosNombre"] = third.get("nombre")
        elif name == "CuentaPredial":
            fields["CuentaPredial"] = _joined([fields.get("CuentaPredial"), _attribute(node, "Numero", old)])
        elif name == "InformacionAduanera":
            number_here = node.get("numero" if old else "NumeroPedimento")
            fields["NumeroPedimento"] = _joined([fields.get("NumeroPedimento"), number_here])
    return fields


def _taxes(node: etree._Element) -> Fields:
    """Add up the taxes of a line by their kinds; an exempt one has no amount."""
    fields: Fields = {}
    for group, total, stem in (
        ("Traslado", "ImpuestosTrasladados", "Traslado"),
        ("Retencion", "ImpuestosRetenidos", "Retencion"),
    ):
        for tax in node.iter(f"{{*}}{group}"):
            amount = tax.get("Importe")
            if amount is not None:
                kind = f"{stem}{_TAXES.get(tax.get('Impuesto', ''), '')}"
                for column in (total, kind):
                    fields[column] = round(float(fields.get(column) or 0) + number(amount, column), 6)
    return fields


def invoice_fields(root: etree._Element, old: bool) -> Fields:
    """Read what stands around the lines of a cfdi:Comprobante."""
    fields = _attributes(root, _HEAD, old)
    fields["DescuentoTotal"] = _attribute(root, "Descuento", old)
    if old and not _DECIMAL.fullmatch(str(fields["TipoCambio"] or "")):  # 3.2 let any text stand there
        fields["TipoCambio"] = None
    stamps: list[etree._Element] = []
    complements: list[etree._Element] = []
    for node in root.iterchildren("{*}*"):
        name = _name(node)
        if name == "Emisor":
            fields |= _person(node, "Emisor", old)
            fields["EmisorRegimenFiscal"] = node.get("RegimenFiscal") or _old_regime(node)
        elif name == "Receptor":
            fields |= _person(node, "Receptor", old)
            fields["UsoCFDI"] = node.get("UsoCFDI")
        elif name == "Impuestos":
            for column in ("TotalImpuestosTrasladados", "TotalImpuestosRetenidos"):
                fields[column] = _attribute(node, column, old)
        elif name == "CfdiRelacionados":
            fields["TipoRelacion"] = _joined([fields.get("TipoRelacion"), node.get("TipoRelacion")])
            related = [each.get("UUID") for each in node.iterchildren("{*}CfdiRelacionado")]
            fields["UUIDRelacionados"] = _joined([fields.get("UUIDRelacionados"), *related])
        elif name == "Complemento":
            for each in node.iterchildren("{*}*"):
                (stamps if _name(each) == "TimbreFiscalDigital" else complements).append(each)
    return fields | _stamped(stamps) | _complements(complements)


def _person(node: etree._Element, who: str, old: bool) -> Fields:
    return {f"{who}{name}": _attribute(node, name, old) for name in ("Rfc", "Nombre")}


def _old_regime(issuer: etree._Element) -> str | None:
    return _joined(node.get("Regimen") for node in issuer.iterchildren("{*}RegimenFiscal"))


def _stamped(stamps: list[etree._Element]) -> Fields:
    """Take the first stamp for the invoice's own; the identifiers of further ones are kept beside it."""
    if not stamps:
        return {}
    uuid = stamps[0].get("UUID")
    others = [stamp.get("UUID") for stamp in stamps[1:]]
    return {
        "UUID": uuid,
        "FechaTimbrado": stamps[0].get("FechaTimbrado"),
        "OtrosUUID": _joined(each for each in others if each != uuid),
    }


def _complements(nodes: list[etree._Element]) -> Fields:
    """Read what complements say; there may be several of a kind."""
    fields: Fields = {"Complementos": _joined(map(_name, nodes))}
    payments = [each for node in nodes if _name(node) == "Pagos" for each in node.iterchildren("{*}Pago")]
    payrolls = [node for node in nodes if _name(node) == "Nomina"]
    if payments:
        fields |= _payments(payments)
    if payrolls:
        fields |= _payrolls(payrolls)
        fields["FechaPago"] = _joined(each.get("FechaPago") for each in (*payments, *payrolls))
    return fields


def _payrolls(payrolls: list[etree._Element]) -> Fields:
    """Put the payrolls of an invoice together: a settlement may stand beside the wages."""
    fields: Fields = {
        column: _joined(each.get(column) for each in payrolls)
        for column in ("TipoNomina", "FechaInicialPago", "FechaFinalPago")
    }
    for column in ("TotalPercepciones", "TotalDeducciones", "TotalOtrosPagos"):
        amounts = [number(each.get(column, ""), column) for each in payrolls if each.get(column)]
        fields[column] = round(sum(amounts), 6) if amounts else None
    return fields


def _payments(payments: list[etree._Element]) -> Fields:
    """Put the payments of a receipt together; amounts of several currencies have no sum."""
    fields: Fields = {
        column: _joined(payment.get(column) for payment in payments)
        for column in ("FechaPago", "FormaDePagoP", "MonedaP")
    }
    paid = [each.get("IdDocumento") for payment in payments for each in payment.iterchildren("{*}DoctoRelacionado")]
    fields["DocumentosPagados"] = _joined(paid)
    amounts = [number(payment.get("Monto", ""), "Monto") for payment in payments if payment.get("Monto")]
    if amounts and " " not in str(fields["MonedaP"]):
        fields["MontoPagos"] = round(sum(amounts), 6)
    return fields


def _name(node: etree._Element) -> str:
    return str(node.tag).rpartition("}")[2]


def _attributes(node: etree._Element, columns: Iterable[str], old: bool) -> Fields:
    return {column: _attribute(node, column, old) for column in columns}


def _attribute(node: etree._Element, column: str, old: bool) -> str | None:
    return node.get((_OLD.get(column) or column[0].lower() + column[1:]) if old else column)


def _joined(values: Iterable[object]) -> str | None:
    """Put several values into one cell, each once, with a blank between them."""
    return " ".join(dict.fromkeys(str(value) for value in values if value)) or None


def number(text: str, column: str) -> float:
    """Read an amount as the SAT has it: digits and a point; raises ValueError.

    >>> number("1500.50", "Importe")
    1500.5
    >>> number("1,500.50", "Importe")
    Traceback (most recent call last):
    ValueError: Importe '1,500.50' is not a number
    """
    if not _DECIMAL.fullmatch(text):
        raise ValueError(f"{column} {text!r} is not a number")
    return float(text)


def values(fields: Mapping[str, str | float | None], columns: Iterable[Column]) -> Values:
    """Give the values of some columns in their types; empty attributes are null; raises ValueError."""
    return tuple(_value(fields.get(column.name), column) for column in columns)


def _value(value: str | float | None, column: Column) -> str | float | None:
    if value is None or value == "":
        return None
    return number(value, column.name) if column.kind is Kind.NUMBER and isinstance(value, str) else value
