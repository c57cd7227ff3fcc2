"""Letters and the journal of what was sent."""

from __future__ import annotations

import json
from datetime import date, datetime
from email.message import EmailMessage
from email.utils import format_datetime
from pathlib import Path

from .models import LOCAL, UTC, Invoice


def reference(invoice: Invoice) -> str:
    return f"{invoice.created:%Y%m}-{invoice.contract.number}"


def letter(invoice: Invoice, sender: str, receiver: str) -> EmailMessage:
    message = EmailMessage()
    message["From"] = sender
    message["To"] = receiver
    message["Date"] = format_datetime(datetime.now(UTC))
    message["Subject"] = f"Invoice {reference(invoice)}"
    lines = "\n".join(f"{text:<50}{amount:>12.2f}" for text, amount in invoice.lines)
    local = invoice.created.astimezone(LOCAL)
    message.set_content(f"Made on {local:%d %B %Y, %H:%M}\n\n{lines}\n\nTotal: {invoice.total}\n")
    return message


class Journal:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self) -> Path:
        return self.folder / f"{date.today():%Y-%m}.jsonl"

    def add(self, kind: str, invoice: Invoice) -> None:
        entry = {"at": datetime.now().isoformat(), "kind": kind, "reference": reference(invoice)}
        with self.path().open("a", encoding="utf-8") as out:
            out.write(json.dumps(entry) + "\n")

    def since(self, when: datetime) -> list[dict[str, str]]:
        found = []
        for path in sorted(self.folder.glob("*.jsonl")):
            for line in path.read_text(encoding="utf-8").splitlines():
                entry = json.loads(line)
                if datetime.fromisoformat(entry["at"]) >= when:
                    found.append(entry)
        return found


def banner(clock=datetime.now) -> str:
    hour = clock(LOCAL).hour
    return "Good morning" if hour < 12 else "Good day"
