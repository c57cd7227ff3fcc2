"""Checks that an incoming e-invoice has to pass before it is booked."""
from __future__ import annotations

import re
from datetime import date
from decimal import Decimal, InvalidOperation

VAT_ID = re.compile(r"[A-Z]{2}[0-9A-Z]{8,12}")
IBAN = re.compile(r"[A-Z]{2}\d{2}[A-Z0-9]{11,30}")
RATES = {Decimal("0.07"), Decimal("0.19"), Decimal("0")}


class Rejected(Exception):
    def __init__(self, rule, text):
        super().__init__(f"{rule}: {text}")
        self.rule = rule


def seller_vat(invoice):
    value = invoice.get("seller_vat_id", "").replace(" ", "").upper()
    if not value:
        raise Rejected("BR-01", "seller has no VAT id")
    if not VAT_ID.fullmatch(value):
        raise Rejected("BR-02", f"{value} is not a VAT id")
    return value


def payee_account(invoice):
    account = invoice.get("iban", "").replace("-", "").upper()
    if not account:
        raise Rejected("BR-31", "no account to pay to")
    if not IBAN.fullmatch(account):
        raise Rejected("BR-32", f"{account} is not an IBAN")
    return account


def buyer_vat(invoice):
    value = invoice.get("buyer_vat_id", "").replace(" ", "").upper()
    if not value:
        return None
    if not VAT_ID.fullmatch(value):
        raise Rejected("BR-03", f"{value} is not a VAT id")
    return value


def currency(order):
    code = order.get("currency", "EUR").replace(".", "").upper()
    if not code:
        raise Rejected("BR-05", "currency is empty")
    if not re.fullmatch("[A-Z]{3}", code):
        raise Rejected("BR-05", f"{code} is no currency")
    return code


def issue_date(invoice):
    try:
        issued = date.fromisoformat(invoice["issued"])
    except (KeyError, ValueError):
        raise Rejected("BR-11", "no usable date of issue") from None
    if issued > date.today():
        raise Rejected("BR-12", "issued in the future")
    return issued


def due_date(invoice):
    try:
        due = date.fromisoformat(invoice["due"])
    except (KeyError, ValueError):
        raise Rejected("BR-13", "no usable due date") from None
    if due < date.today():
        raise Rejected("BR-14", "due in the past")
    return due


def delivery_date(note):
    try:
        arrived = date.fromisoformat(note["delivered"])
    except (KeyError, TypeError):
        raise Rejected("BR-21", "no delivery date") from None
    if arrived > date.today():
        raise Rejected("BR-22", "not delivered yet")
    return arrived


def line_total(line):
    try:
        quantity, price = Decimal(line["quantity"]), Decimal(line["price"])
    except InvalidOperation:
        raise Rejected("BR-41", "quantity or price is no number") from None
    if Decimal(line["rate"]) not in RATES:
        raise Rejected("BR-42", f"unknown rate {line['rate']}")
    return quantity * price


def cost_centre(booking):
    centre = booking.get("cost_centre", "").replace("/", "").upper()
    if not centre:
        raise Rejected("HR-07", "cost centre missing")
    if not CENTRES.fullmatch(centre):
        raise Rejected("HR-08", f"{centre} is closed")
    return centre


CENTRES = re.compile(r"K\d{5}")
