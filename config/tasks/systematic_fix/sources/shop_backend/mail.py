"""Mail to customers, in batches."""

from __future__ import annotations

import logging
import smtplib
import warnings
from collections.abc import Iterable
from email.message import EmailMessage
from string import Template

log = logging.getLogger(__name__)

TEMPLATES = {
    "shipped": Template("Dear $name,\n\nyour order $order is on its way.\n"),
    "paid": Template("Dear $name,\n\nthank you for paying order $order.\n"),
}


def compose(kind: str, receiver: str, **values: str) -> EmailMessage:
    message = EmailMessage()
    message["To"] = receiver
    message["Subject"] = "Your order {order}".format(**values)
    message.set_content(TEMPLATES[kind].substitute(values))
    return message


class Mailer:
    def __init__(self, host: str, sender: str) -> None:
        self.host = host
        self.sender = sender
        self.failed: list[EmailMessage] = []

    def send(self, messages: Iterable[EmailMessage]) -> int:
        count = 0
        with smtplib.SMTP(self.host, timeout=30) as smtp:
            for message in messages:
                message["From"] = self.sender
                try:
                    smtp.send_message(message)
                    count += 1
                except smtplib.SMTPRecipientsRefused as error:
                    log.warning("refused: %s", ", ".join(error.recipients))
                except smtplib.SMTPException:
                    self.failed.append(message)
                    log.exception("no mail to {to}".format(to=message["To"]))
        log.info("%d sent, %d to try again", count, len(self.failed))
        return count

    def retry(self) -> int:
        again, self.failed = self.failed, []
        for message in again:
            del message["From"]
        return self.send(again)


def check_templates() -> list[str]:
    problems = []
    for name, template in TEMPLATES.items():
        unknown = set(template.get_identifiers()) - {"name", "order"}
        if unknown:
            problems.append(f"{name}: unknown {', '.join(sorted(unknown))}")
            warnings.warn(problems[-1], stacklevel=2)
    return problems
