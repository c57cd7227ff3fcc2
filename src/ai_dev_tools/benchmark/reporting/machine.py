"""The machines that a run was measured on, and the software that made its numbers, in words."""

from __future__ import annotations

import importlib.metadata
import os
import sys
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from ai_dev_tools.benchmark._util.json_values import JsonFields
from ai_dev_tools.benchmark._util.text import listing, percent, plural
from ai_dev_tools.benchmark.endpoints.chat import Accepted
from ai_dev_tools.benchmark.execution.provenance import accepted_before, hardware
from ai_dev_tools.benchmark.records.sessions import read_sessions

PACKAGES = ("ai-dev-tools-benchmark", "snakemake", "pandas", "scipy", "statsmodels", "matplotlib", "xllamacpp")
Session = JsonFields
GENERATED = "%Y-%m-%d %H:%M:%S UTC"


@dataclass(frozen=True)
class ReportOrigin:
    """How a report came about: all that it says and that does not follow from the run's files.

    Attributes:
        generated: when, as the report prints it.
        software: Python and the packages that made the numbers, by name.
        machine: what it was made on, in words.
    """

    generated: str
    software: Mapping[str, str]
    machine: str

    @classmethod
    def here(cls) -> ReportOrigin:
        """Now, on this machine, with what is installed."""
        return cls(generated_at(), software(), hardware_in_words(hardware()))


def generated_at() -> str:
    """Now, or the moment that SOURCE_DATE_EPOCH names, for reproducible builds."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH", "")
    moment = datetime.fromtimestamp(int(epoch), UTC) if epoch.isdigit() else datetime.now(UTC)
    return f"{moment:{GENERATED}}"


def sessions_of(folder: Path, known: Container[tuple[str, str]] | None = None) -> list[Session]:
    """What the block jobs of a run recorded of their sessions, in the order of their files.

    Args:
        known: model (as in file names) and task of the blocks that are wanted; all by default.
    """
    files = [
        file for file in sorted(folder.glob("*/*.json")) if known is None or (file.parent.name, file.stem) in known
    ]
    return [entry for file in files for entry in read_sessions(file)]


def machine_facts(sessions: Sequence[Session], here: str | None = None) -> dict[str, str]:
    """Hardware and system that the requests were measured on, and where the server was.

    Args:
        here: the machine that the report is made on, if it is another one.
    """
    machines = list(dict.fromkeys(hardware_in_words(entry["hardware"]) for entry in sessions if entry.get("hardware")))
    if not machines:
        return {"Report made on": here or hardware_in_words(hardware()), "Measured on": "not recorded"}
    elsewhere = sum(entry.get("server_on_this_machine") is False for entry in sessions)
    facts = {"Measured on": "; ".join(machines)}
    if elsewhere:
        facts["Server"] = "on another machine: CPU, memory and contention of the server were not seen"
    elif any(entry.get("server_on_this_machine", True) is None for entry in sessions):
        facts["Server"] = "its process was not seen: CPU, memory and contention of the server are unknown"
    if fewer := _fewer_at_once(sessions):
        facts["Requests at once"] = fewer
    return facts | _dialect_facts(sessions) | _model_facts(sessions)


def _dialect_facts(sessions: Sequence[Session]) -> dict[str, str]:
    """In what API servers were asked, where that is not Ollama's, and what they did not tell or take."""
    others = [entry for entry in sessions if (entry.get("endpoint") or {}).get("api") not in (None, "ollama")]
    if not others:
        return {}
    untold = dict.fromkeys(name for entry in others for name in (entry.get("model") or {}).get("not_told") or {})
    facts = {"Asked in": f"OpenAI's API, which does not tell {listing(list(untold))}" if untold else "OpenAI's API"}
    taken = [accepted for entry in others if (accepted := accepted_before(entry))]
    flags = dict.fromkeys(flag for accepted in taken for flag in msgspec.convert(accepted, Accepted).flags)
    return facts | ({"Not taken by the server": f"in no arm: {listing(list(flags))}"} if flags else {})


def _fewer_at_once(sessions: Sequence[Session]) -> str:
    """Servers that serve fewer requests at once than the settings would send; empty if there are none."""
    found = [slots for entry in sessions for slots in entry.get("slots") or [] if isinstance(slots, dict)]
    few = {
        (str(slots.get("url")), have, wanted)
        for slots in found
        if isinstance(have := slots.get("at_once"), int)
        and isinstance(wanted := slots.get("wanted"), int)
        and have < wanted
    }
    return "; ".join(f"{have} instead of {wanted}, as many as {url} serves" for url, have, wanted in sorted(few))


def machine_in_short(sessions: Sequence[Session]) -> str:
    """One line for the head of a report; empty if nothing is recorded."""
    machines = list(dict.fromkeys(hardware_in_words(entry["hardware"]) for entry in sessions if entry.get("hardware")))
    return machines[0] + (f" and {len(machines) - 1} more" if len(machines) > 1 else "") if machines else ""


def hardware_in_words(found: Session) -> str:
    """`AMD EPYC, 2 cores, 23.5 GiB, no GPU, Linux 6.18`."""
    memory = found.get("ram_bytes")
    gpus = [str(gpu.get("name")) for gpu in found.get("gpus") or []]
    parts = [
        str(found.get("cpu") or "unknown processor"),
        plural(found["cores"], "core") if found.get("cores") else "",
        f"{memory / 2**30:.1f} GiB" if memory else "",
        listing(gpus) if gpus else "no GPU",
        str(found.get("distribution") or found.get("os") or ""),
    ]
    return ", ".join(part for part in parts if part)


def _model_facts(sessions: Iterable[Session]) -> dict[str, str]:
    facts: dict[str, str] = {}
    for entry in sessions:
        model = entry.get("model") or {}
        share = model.get("offload_share")
        known = {
            "parameters": model.get("parameter_size"),
            "quantisation": model.get("quantization"),
            "family": model.get("family"),
            "context": model.get("context_length"),
            "on an accelerator": None if share is None else percent(share, 0),
        }
        facts[f"Model {model.get('tag')}"] = ", ".join(f"{name} {value}" for name, value in known.items() if value)
    return {name: text for name, text in facts.items() if text}


def software() -> dict[str, str]:
    """Python and the packages that made the numbers."""
    found = {"Python": sys.version.split()[0]}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
