"""Newsletters: editors of customers write templates, the service previews and sends them."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from jinja2 import Environment, FileSystemLoader, TemplateError, select_autoescape
from jinja2.sandbox import SandboxedEnvironment

LAYOUTS = Environment(loader=FileSystemLoader("layouts"), autoescape=select_autoescape(["html"]))
BODIES = SandboxedEnvironment(autoescape=True)


@dataclass(frozen=True)
class Reader:
    name: str
    mail: str
    city: str = ""


@dataclass(frozen=True)
class Mailing:
    customer: str
    subject: str
    body: str


class BadTemplate(ValueError):
    pass


def render_body(mailing: Mailing, reader: Reader) -> str:
    try:
        return BODIES.from_string(mailing.body).render(reader=reader, today=date.today())
    except TemplateError as error:
        raise BadTemplate(str(error)) from error


def render_subject(mailing: Mailing, reader: Reader) -> str:
    """Subjects may hold the same placeholders as bodies."""
    text = LAYOUTS.from_string(mailing.subject).render(reader=reader, today=date.today())
    return re.sub(r"\s+", " ", html.unescape(text)).strip()[:200]


def page(mailing: Mailing, reader: Reader) -> str:
    layout = LAYOUTS.get_template("newsletter.html")
    body = render_body(mailing, reader)
    return layout.render(subject=render_subject(mailing, reader), body=body, customer=mailing.customer)


def text_version(markup: str) -> str:
    text = re.sub(r"<(script|style)[^>]*>.*?</\1>", "", markup, flags=re.S)
    text = re.sub(r"<[^>]+>", " ", text)
    return re.sub(r"[ \t]+", " ", html.unescape(text)).strip()


def send_all(mailing: Mailing, readers: Iterable[Reader], smtp) -> int:
    sent = 0
    for reader in readers:
        markup = page(mailing, reader)
        smtp.send(to=reader.mail, subject=render_subject(mailing, reader), html=markup, text=text_version(markup))
        sent += 1
    return sent


def placeholders(mailing: Mailing) -> set[str]:
    """Fields of the reader that a mailing uses, for the check-list in the editor."""
    return set(re.findall(r"\breader\.([a-z]+)", mailing.subject + mailing.body))
