"""Plans: what a run sets out to show, appended to a ledger before its first request.

Tamper-evident, not tamper-proof: a sample stores the hash of the plan in force, and the hash covers everything that a
later choice could bend (claims, margins, arms, models, cases with their files and truth, tools, n, alpha, protocol).
"""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ai_dev_tools.benchmark.errors import ConfigurationError
from ai_dev_tools.benchmark.records.sample import write_atomically

_ENTRY = ("plan", "declared_at", "previous")
"""What a ledger entry says besides the plan itself."""
RULES = 2
"""Version of the rules that verdicts are made by, noted in each plan; plans of the first version do not name it."""


def plan_hash(plan: dict[str, Any]) -> str:
    """First 16 hex digits of the sha256 of the plan's canonical JSON."""
    text = json.dumps(plan, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def read_plans(path: Path) -> list[dict[str, Any]]:
    """The ledger's entries, oldest first; empty where there is none.

    Raises:
        ConfigurationError: a line is not an entry, does not match its hash, or does not follow the line before it.
    """
    return [json.loads(line) for line in _checked_lines(path)]


def up_to(ledger: list[dict[str, Any]], plan: str | None) -> list[dict[str, Any]]:
    """The ledger as it was when a plan was declared: what was planned later, about other tasks or tools, is left out.

    Args:
        plan: hash of the plan; the whole ledger where it is not known.
    """
    known = [entry["plan"] for entry in ledger]
    return ledger[: known.index(plan) + 1] if plan in known else ledger


def restates(plan: dict[str, Any], earlier: dict[str, Any]) -> bool:
    """Whether a plan is an earlier one of the ledger as a newer version of this project writes it."""
    said = {key: value for key, value in earlier.items() if key not in (*_ENTRY, "rules")}
    return earlier.get("rules", 1) < plan.get("rules", 1) and said == {key: plan.get(key) for key in said}


def declare_plan(path: Path, plan: dict[str, Any]) -> bool:
    """Append a plan to the ledger unless it is there already; returns whether it was new.

    Raises:
        ConfigurationError: the ledger is damaged or cannot be written.
    """
    lines = _checked_lines(path)
    digest = plan_hash(plan)
    if any(json.loads(line)["plan"] == digest for line in lines):
        path.touch()
        return False
    now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    entry = {"plan": digest, "declared_at": now, "previous": _link(lines), **plan}
    lines.append(json.dumps(entry, ensure_ascii=False).encode())
    write_atomically(path, b"".join(line + b"\n" for line in lines))
    return True


def _link(lines: list[bytes]) -> str | None:
    """What ties a new line to the last one, so that none can be taken out, changed or moved unnoticed."""
    return hashlib.sha256(lines[-1]).hexdigest()[:16] if lines else None


def _checked_lines(path: Path) -> list[bytes]:
    if not path.exists() or not path.stat().st_size:
        return []
    lines: list[bytes] = []
    for number, line in enumerate(path.read_bytes().removesuffix(b"\n").split(b"\n"), start=1):
        try:
            entry = json.loads(line)
            content = {key: value for key, value in entry.items() if key not in _ENTRY}
            genuine = entry["plan"] == plan_hash(content) and entry["previous"] == _link(lines)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            genuine = False
        if not genuine:
            raise ConfigurationError(
                f"{path} line {number} is not a plan as it was declared",
                remedy="Restore the file; a plan that was changed afterwards proves nothing",
            )
        lines.append(line)
    return lines
