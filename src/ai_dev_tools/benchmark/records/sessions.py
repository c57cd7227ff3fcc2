"""What sessions of block jobs recorded about servers and models; written by `execution.provenance`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from ai_dev_tools.benchmark._util.json_values import JsonObject, table_in
from ai_dev_tools.benchmark.records import paths


def read_sessions(file: Path) -> list[JsonObject]:
    """Sessions recorded so far; none if there is no readable file."""
    try:
        sessions = json.loads(file.read_bytes())["sessions"]
    except (OSError, ValueError, KeyError, TypeError):
        return []
    return [entry for entry in sessions if isinstance(entry, dict)] if isinstance(sessions, list) else []


def recorded_for_model(results: Path, model: str) -> list[JsonObject]:
    """What the sessions of all tasks recorded about a model, in no particular order."""
    folder = paths.identity_file(results, model, "any").parent
    return [entry for file in sorted(folder.glob("*.json")) for entry in read_sessions(file)]


def as_shown(sessions: Sequence[JsonObject]) -> JsonObject:
    """What the newest session recorded about the model, in the format of Ollama's `/api/show`."""
    newest = max(sessions, key=lambda entry: str(entry.get("recorded_at")), default={})
    known = {name: value for name, value in table_in(newest.get("model")).items() if value is not None}
    family = str(known.get("family") or "unknown")
    told = {"template": "template", "model_parameters": "parameters", "capabilities": "capabilities"}
    details = {"family": "family", "parameter_size": "parameter_size", "quantization": "quantization_level"}
    lengths = {"model_context_length": f"{family}.context_length"}
    return {
        "details": {name: known[own] for own, name in details.items() if own in known},
        "model_info": {
            "general.architecture": family,
            **{name: known[own] for own, name in lengths.items() if own in known},
        },
        **{name: known[own] for own, name in told.items() if own in known},
    }


def last_session(results: Path, model: str) -> JsonObject:
    """The latest recorded session with a model, of any profile; empty if there is none."""
    folder = paths.identity_file(results, model, "any").parent.relative_to(results)
    files = results.parent.glob(f"*/{folder}/*.json")
    latest = max(files, key=_written_at, default=None)
    return (read_sessions(latest) or [{}])[-1] if latest else {}


def _written_at(file: Path) -> int:
    try:
        return file.stat().st_mtime_ns
    except OSError:  # the results of another profile may be removed just now
        return 0
