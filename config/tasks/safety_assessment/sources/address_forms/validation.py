"""Checks of the fields of order forms, before anything is stored."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation

Check = Callable[[str], str]

COUNTRIES = {"BE": r"[1-9]\d{3}", "DE": r"\d{5}", "NL": r"[1-9]\d{3} ?[A-Z]{2}", "GB": r"[A-Z]{1,2}\d[A-Z\d]? ?\d[A-Z]{2}"}
PHONE = re.compile(r"\+?\d[\d /-]{4,18}\d")
STREET = re.compile(r"(?P<street>[^\d]{2,60})\s(?P<number>\d{1,4}[a-zA-Z]?)(?:\s?/\s?(?P<flat>\w{1,6}))?")
CODE = re.compile(r"[A-Z]{3}-\d{4}")
MAIL = re.compile(r"[^@\s]{1,64}@(?:[a-z0-9-]{1,63}\.){1,8}[a-z]{2,24}", re.IGNORECASE)


class FieldError(ValueError):
    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field


def clean(text: str, limit: int = 200) -> str:
    text = unicodedata.normalize("NFC", text)[:limit]
    return " ".join(text.split())


def name(text: str) -> str:
    text = clean(text, 80)
    if not text or not all(c.isalpha() or c in " .'-’" for c in text):
        raise ValueError("letters, please")
    return text


def company(text: str) -> str:
    """Words with an ampersand or a full stop between them: 'Smith & Sons Ltd.'."""
    text = text.strip()
    if not re.fullmatch(r"(?:[\w'&.-]+\s?)+", text):
        raise ValueError("not the name of a company")
    return text


def street(text: str) -> str:
    match = STREET.fullmatch(clean(text))
    if match is None:
        raise ValueError("street and number, please")
    flat = f" / {match['flat']}" if match["flat"] else ""
    return f"{match['street'].strip()} {match['number']}{flat}"


def postcode(text: str, country: str) -> str:
    text = clean(text, 10).upper()
    pattern = COUNTRIES.get(country)
    if pattern is None or not re.fullmatch(pattern, text):
        raise ValueError(f"not a postcode of {country}")
    return text


def mail(text: str) -> str:
    text = clean(text)
    if not MAIL.fullmatch(text):
        raise ValueError("not an address")
    return text


def amount(text: str) -> Decimal:
    try:
        value = Decimal(clean(text, 16).replace(",", "."))
    except InvalidOperation:
        raise ValueError("not a number") from None
    if not 0 < value < 10_000:
        raise ValueError("out of range")
    return value


def phone(text: str) -> str:
    text = clean(text, 24)
    if not PHONE.fullmatch(text):
        raise ValueError("not a telephone number")
    return re.sub(r"[ /-]", "", text)


CHECKS: dict[str, Check] = {"name": name, "company": company, "street": street, "mail": mail, "phone": phone}


def check(form: Mapping[str, str]) -> dict[str, str]:
    result = {}
    for field, validate in CHECKS.items():
        try:
            result[field] = validate(form.get(field, ""))
        except ValueError as error:
            raise FieldError(field, str(error)) from None
    return result
