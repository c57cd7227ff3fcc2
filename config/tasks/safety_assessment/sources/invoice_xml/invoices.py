"""Takes in invoices of suppliers: UBL-like XML over HTTP, and the company's own price list."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path

from lxml import etree

NS = {"i": "urn:example:invoice:2"}


class InvoiceError(ValueError):
    pass


@dataclass(frozen=True)
class Line:
    article: str
    text: str
    quantity: Decimal
    price: Decimal

    @property
    def total(self) -> Decimal:
        return (self.quantity * self.price).quantize(Decimal("0.01"))


def _text(node, path: str) -> str:
    found = node.findtext(path, namespaces=NS)
    if found is None:
        raise InvoiceError(f"{path} is missing")
    return found.strip()


def _number(node, path: str) -> Decimal:
    text = _text(node, path)
    try:
        return Decimal(text)
    except InvalidOperation:
        raise InvoiceError(f"{path}: {text!r} is not a number") from None


def parse_invoice(body: bytes) -> tuple[str, list[Line]]:
    """Number and lines of an invoice as a supplier posted it."""
    parser = etree.XMLParser(resolve_entities=True, load_dtd=True, remove_blank_text=True)
    root = etree.fromstring(body, parser)
    lines = [
        Line(
            article=_text(node, "i:Article"),
            text=_text(node, "i:Description"),
            quantity=_number(node, "i:Quantity"),
            price=_number(node, "i:Price"),
        )
        for node in root.iterfind("i:Line", NS)
    ]
    if not lines:
        raise InvoiceError("an invoice needs a line")
    return _text(root, "i:Number"), lines


def peek(body: bytes) -> str:
    """Name of the root element, to route a message to its handler."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=False)
    return etree.QName(etree.fromstring(body, parser)).localname


def price_list(path: Path) -> dict[str, Decimal]:
    tree = etree.parse(str(path), etree.XMLParser(resolve_entities=False))
    return {node.get("article"): Decimal(node.get("price")) for node in tree.iterfind("price")}


def differences(lines: list[Line], prices: dict[str, Decimal]) -> list[str]:
    notes = []
    for line in lines:
        agreed = prices.get(line.article)
        if agreed is None:
            notes.append(f"{line.article}: no agreed price")
        elif agreed != line.price:
            notes.append(f"{line.article}: {line.price} instead of {agreed}")
    return notes


def receipt(body: bytes, prices: dict[str, Decimal]) -> bytes:
    """The answer to the supplier: what was understood."""
    number, lines = parse_invoice(body)
    answer = etree.Element("receipt", number=number)
    for line in lines:
        etree.SubElement(answer, "line", article=line.article, total=str(line.total)).text = line.text
    for note in differences(lines, prices):
        etree.SubElement(answer, "note").text = note
    return etree.tostring(answer, xml_declaration=True, encoding="utf-8")
