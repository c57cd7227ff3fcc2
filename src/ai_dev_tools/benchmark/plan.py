"""Plans: what a run sets out to show, appended to a ledger before its first request.

Tamper-evident, not tamper-proof: a sample stores the hash of the plan in force, and the hash covers everything that a
later choice could bend (claims, margins, arms, models, cases, n, alpha, protocol).
"""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ai_dev_tools.benchmark.errors import ConfigurationError
from ai_dev_tools.benchmark.samples import write_atomically


def plan_hash(plan: dict[str, Any]) -> str:
    """First 16 hex digits of the sha256 of the plan's canonical JSON."""
    text = json.dumps(plan, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def read_plans(path: Path) -> list[dict[str, Any]]:
    """The ledger's entries, oldest first; empty where there is none.

    Raises:
        ConfigurationError: a line is not an entry, or an entry does not match its hash.
    """
    if not path.exists():
        return []
    entries = []
    for number, line in enumerate(path.read_bytes().splitlines(), start=1):
        try:
            entry = json.loads(line)
            content = {key: value for key, value in entry.items() if key not in ("plan", "declared_at")}
            genuine = entry["plan"] == plan_hash(content)
        except (ValueError, KeyError, TypeError, AttributeError):
            genuine = False
        if not genuine:
            raise ConfigurationError(
                f"{path} line {number} is not a plan as it was declared",
                remedy="Restore the file; a plan that was changed afterwards proves nothing",
            )
        entries.append(entry)
    return entries


def declare_plan(path: Path, plan: dict[str, Any]) -> bool:
    """Append a plan to the ledger unless it is there already; returns whether it was new.

    Raises:
        ConfigurationError: the ledger is damaged or cannot be written.
    """
    entries = read_plans(path)
    digest = plan_hash(plan)
    if any(entry["plan"] == digest for entry in entries):
        path.touch()
        return False
    now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    entries.append({"plan": digest, "declared_at": now, **plan})
    write_atomically(path, "".join(json.dumps(entry, ensure_ascii=False) + "\n" for entry in entries).encode())
    return True
