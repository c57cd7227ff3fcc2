"""Staff of the museum: passwords, rosters, the export for the accountant."""

from __future__ import annotations

import base64
import csv
import hashlib
import hmac
import io
import json
import logging
import os
import secrets
import subprocess
from collections import defaultdict
from dataclasses import asdict, dataclass, field
from datetime import date, timedelta
from pathlib import Path

log = logging.getLogger(__name__)

FILE = Path(os.environ.get("STAFF_FILE", "staff.json"))
ROUNDS = 600_000
ROLES = ("guide", "desk", "office")


@dataclass
class Member:
    name: str
    role: str
    salt: str
    digest: str
    days: list[int] = field(default_factory=list)

    def matches(self, password: str) -> bool:
        given = hash_password(password, base64.b64decode(self.salt))
        return hmac.compare_digest(given, base64.b64decode(self.digest))


def hash_password(password: str, salt: bytes) -> bytes:
    return hashlib.pbkdf2_hmac("sha256", password.encode(), salt, ROUNDS)


def load() -> dict[str, Member]:
    if not FILE.exists():
        return {}
    entries = json.loads(FILE.read_text(encoding="utf-8"))
    return {entry["name"]: Member(**entry) for entry in entries}


def save(members: dict[str, Member]) -> None:
    text = json.dumps([asdict(member) for member in members.values()], indent=1)
    handle = os.open(FILE.with_suffix(".tmp"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as out:
        out.write(text)
    os.replace(FILE.with_suffix(".tmp"), FILE)


def enrol(name: str, role: str) -> str:
    """Adds somebody and gives back the first password, which is told in person."""
    if role not in ROLES:
        raise ValueError(f"role: one of {', '.join(ROLES)}")
    members = load()
    password, salt = secrets.token_urlsafe(9), os.urandom(16)
    digest = hash_password(password, salt)
    members[name] = Member(name, role, base64.b64encode(salt).decode(), base64.b64encode(digest).decode())
    save(members)
    log.info("%s joins as %s", name, role)
    return password


def is_staff(name: str, password: str) -> bool:
    """For the basic authentication of the staff pages."""
    member = load().get(name)
    if member is None:
        hash_password(password, b"\0" * 16)
        return False
    return member.matches(password)


def roster(first: date, weeks: int = 4) -> dict[date, list[str]]:
    members = load()
    plan: dict[date, list[str]] = defaultdict(list)
    for offset in range(7 * weeks):
        day = first + timedelta(days=offset)
        plan[day] = sorted(member.name for member in members.values() if day.weekday() in member.days)
    return dict(plan)


def roster_csv(first: date, weeks: int = 4) -> str:
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["day", "staff"])
    for day, names in roster(first, weeks).items():
        writer.writerow([day.isoformat(), ", ".join(names)])
    return out.getvalue()


def print_roster(first: date, printer: str = "office") -> None:
    subprocess.run(["lp", "-d", printer, "-t", f"roster {first}", "-"], input=roster_csv(first).encode(), check=True)


def gaps(first: date, least: int = 2, weeks: int = 4) -> list[date]:
    """Days with too few people."""
    return [day for day, names in roster(first, weeks).items() if len(names) < least]
