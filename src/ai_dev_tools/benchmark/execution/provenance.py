"""Record who answered, for each block: server, model as it was loaded, settings, and the machine.

One file per (profile, model, task); each block job that asks anything appends its session, so that what changed between
sessions stays visible. Light to import: block jobs use this module.
"""

from __future__ import annotations

import functools
import json
import os
import platform
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from urllib.parse import urlsplit

import psutil

from ai_dev_tools.benchmark._util.clock import utc_stamp
from ai_dev_tools.benchmark._util.credentials import without_passwords
from ai_dev_tools.benchmark._util.files import write_atomically
from ai_dev_tools.benchmark._util.json_values import JsonObject, JsonValue, table_in
from ai_dev_tools.benchmark._util.text import percent
from ai_dev_tools.benchmark.endpoints import ReadyEndpoint
from ai_dev_tools.benchmark.endpoints.chat import Accepted
from ai_dev_tools.benchmark.endpoints.dialects import dialect
from ai_dev_tools.benchmark.errors import BenchmarkError
from ai_dev_tools.benchmark.records import paths
from ai_dev_tools.benchmark.records.block import Block
from ai_dev_tools.benchmark.records.sessions import read_sessions

CONTEXT_CUT = "context_cut"
"""Flag: the server loaded the model with a smaller context than requested."""
OFFLOAD_CHANGED = "offload_changed"
"""Flag: the share of the model in GPU memory has changed since the start of the block."""
OFFLOAD_TOLERANCE = 0.01
MODEL_CHANGED = "model_changed"
"""Flag: the answer names another model or fingerprint than the first one of the block."""
ASKED_DIFFERENTLY = "asked_differently"
"""Flag: the server takes other fields of a request than in an earlier session of the block."""
CHECK_INTERVAL_S = 10.0
_SECRET = re.compile(r"token|secret|password|passwd|credential|api_?key", re.IGNORECASE)


class ModelMonitor:
    """Watches, for one block job, as what the model is loaded.

    Writes it down and says which flags samples get.

    Args:
        session: id of the block job.
        log: called with each line for people.
    """

    def __init__(self, block: Block, endpoint: ReadyEndpoint, session: str, log: Callable[[str], None]) -> None:
        self._block, self._endpoint, self._session, self._log = block, endpoint, session, log
        self._file = paths.identity_file(Path(block.results), block.model, block.task)
        self._earlier = [entry for entry in read_sessions(self._file) if entry.get("session") != session]
        self._share = next((share for entry in self._earlier if (share := _offload(entry)) is not None), None)
        self.flags: tuple[str, ...] = ()
        self.slots: list[JsonObject] = []
        """What is known of the requests that each replica serves at once; recorded as it stands."""
        self.accepted: Accepted | None = None
        """What the server takes of a request, once that is found out."""
        self._served = next((served for entry in self._earlier if (served := _served_before(entry))), None)
        self._said: set[str] = set()
        self._lock = threading.Lock()
        self._checked_at = -CHECK_INTERVAL_S
        self._loads: list[JsonObject] = []

    def loaded(self) -> list[JsonObject]:
        """As what each replica has the model loaded just now.

        It is not an error if a server does not say: unknown values are null.
        """
        return [self._loaded(url) for url in self._endpoint.replicas]

    def check(self, loaded: list[JsonObject] | None = None) -> None:
        """Take in as what the model is loaded (default: it is asked), after a warm-up; updates `flags` and the file.

        Raises:
            ConfigurationError: the file cannot be written.
        """
        with self._lock:
            self._check(self.loaded() if loaded is None else loaded)

    def check_again(self) -> None:
        """Check again, unless that was done a moment ago; called for each answer that waited for a model load."""
        if time.monotonic() - self._checked_at >= CHECK_INTERVAL_S and self._lock.acquire(blocking=False):
            try:
                self._check(self.loaded())
            finally:
                self._lock.release()

    def served_flags(self, served: str | None) -> tuple[str, ...]:
        """Flags of an answer by the model that it names, where it names one.

        The first of the block is written down.

        Raises:
            ConfigurationError: the file cannot be written.
        """
        if not served or served == self._served or self._endpoint.model_digest:  # which says more
            return ()
        with self._lock:
            if self._served is None:
                self._served = served
                self._write()
        if served == self._served:
            return ()
        self._say(
            f"warning: {self._block.instance}: answers come from {served}, not from {self._served} as before: the model or "
            "its server changed in between, and these samples are flagged"
        )
        return (MODEL_CHANGED,)

    def _check(self, loaded: list[JsonObject]) -> None:
        self._checked_at = time.monotonic()
        self._loads = loaded
        self.flags = tuple(
            flag for flag in (self._context_flag(loaded), self._offload_flag(loaded), self._accepted_flag()) if flag
        )
        self._write()

    def _write(self) -> None:
        entry = session_entry(self._block, self._endpoint, self._session, self._loads, list(self.flags), self.slots)
        if self.accepted is not None and dialect(self._endpoint.api).negotiates:
            entry["asked"] = {**table_in(entry["asked"]), "accepted": asdict(self.accepted)}
        entry["model"] = {**table_in(entry["model"]), "served": self._served}
        about = {"profile": self._block.profile, "model": self._block.model, "task": self._block.task}
        text = json.dumps({**about, "sessions": [*self._earlier, entry]}, indent=1, ensure_ascii=False)
        write_atomically(self._file, f"{text}\n".encode())

    def _loaded(self, url: str) -> JsonObject:
        try:
            return dialect(self._endpoint.told_by).loaded(url, self._endpoint.model, self._endpoint.headers)
        except BenchmarkError:
            return {}

    def _context_flag(self, loaded: list[JsonObject]) -> str | None:
        asked = self._block.num_ctx
        found = [length for entry in loaded if isinstance(length := entry.get("context_length"), int) and length > 0]
        if not asked or not found or min(found) >= asked:
            return None
        self._say(
            f"warning: {self._block.instance}: {self._block.model} is loaded with a context of {min(found)} tokens, "
            f"not {asked}: longer prompts fail as context_overflow. Set options.num_ctx to {min(found)} to match"
        )
        return CONTEXT_CUT

    def _offload_flag(self, loaded: list[JsonObject]) -> str | None:
        share = _share(loaded)
        self._share = share if self._share is None else self._share
        if share is None or self._share is None or abs(share - self._share) <= OFFLOAD_TOLERANCE:
            return None
        self._say(
            f"warning: {self._block.instance}: {percent(share, 0)} of {self._block.model} is in GPU memory, but was "
            f"{percent(self._share, 0)} earlier in this block: times of the two are not comparable"
        )
        return OFFLOAD_CHANGED

    def _accepted_flag(self) -> str | None:
        """Arms of earlier sessions were asked with fields that are left out now, or the other way round."""
        before = next((found for entry in self._earlier if (found := accepted_before(entry))), None)
        now = asdict(self.accepted) if self.accepted is not None and dialect(self._endpoint.api).negotiates else before
        if before is None or before == now:
            return None
        self._say(
            f"warning: {self._block.instance}: its server does not accept the same request fields as in an earlier session "
            f"({_differences(before, now or {})}): the samples of this one are flagged"
        )
        return ASKED_DIFFERENTLY

    def _say(self, line: str) -> None:
        if line not in self._said:
            self._said.add(line)
            self._log(line)


def session_entry(
    block: Block,
    endpoint: ReadyEndpoint,
    session: str,
    loaded: list[JsonObject],
    flags: list[str],
    slots: Sequence[JsonObject] = (),
) -> JsonObject:
    """The record of one session; plain data without tokens and passwords.

    Args:
        loaded: per replica what `/api/ps` says: `context_length` (tokens), `offload_share` (0..1).
        slots: per replica what is known of how many requests it serves at once.
    """
    details = dict(endpoint.details)
    settings = details.pop("settings", None)
    first = loaded[0] if loaded else {}
    return {
        "session": session,
        "recorded_at": utc_stamp(),
        "endpoint": {
            "kind": endpoint.kind,
            "api": endpoint.api,
            "version": endpoint.version,
            "urls": [without_passwords(url) for url in endpoint.replicas],
            "restarts": endpoint.restarts,
            "settings": without_secrets(settings) if isinstance(settings, Mapping) else {},
        },
        "model": {
            "tag": endpoint.model,
            "digest": endpoint.model_digest,
            **details,
            "context_length": first.get("context_length"),
            "offload_share": first.get("offload_share"),
        },
        "asked": {
            "options": block.options,
            "think": block.think,
            "max_concurrent": block.endpoint.max_concurrent,
        },
        "slots": list(slots),
        "flags": flags,
        "server_on_this_machine": is_here(endpoint),
        "hardware": hardware(),
    }


def _served_before(entry: Mapping[str, JsonValue]) -> str | None:
    model = entry.get("model")
    served = model.get("served") if isinstance(model, dict) else None
    return served if isinstance(served, str) else None


def accepted_before(entry: Mapping[str, JsonValue]) -> JsonObject | None:
    """What the server of a recorded session took of a request; None if that was not found out."""
    accepted = table_in(entry.get("asked")).get("accepted")
    return dict(accepted) if isinstance(accepted, Mapping) else None


def _differences(before: Mapping[str, JsonValue], now: Mapping[str, JsonValue]) -> str:
    names = [name for name in now if now[name] != before.get(name)]
    return ", ".join(f"{name}: {now[name]}, not {before.get(name)}" for name in names)


def _offload(entry: Mapping[str, JsonValue]) -> float | None:
    model = entry.get("model")
    share = model.get("offload_share") if isinstance(model, dict) else None
    return float(share) if isinstance(share, int | float) else None


def _share(loaded: list[JsonObject]) -> float | None:
    return next((float(s) for entry in loaded if isinstance(s := entry.get("offload_share"), int | float)), None)


def is_here(endpoint: ReadyEndpoint) -> bool | None:
    """Whether the server runs on this machine, so that `hardware` is the server's too.

    None if its process is not seen at an address of this machine: a tunnel or proxy may lead anywhere.
    """
    if endpoint.pid is not None or endpoint.can_restart:
        return True
    return None if urlsplit(endpoint.base_url).hostname in ("localhost", "127.0.0.1", "::1") else False


def without_secrets(settings: Mapping[str, JsonValue]) -> JsonObject:
    """Settings without values whose names suggest a secret, and without passwords of proxies."""
    return {
        name: "(hidden)" if _SECRET.search(name) else without_passwords(value) if isinstance(value, str) else value
        for name, value in settings.items()
    }


@functools.cache
def hardware() -> JsonObject:
    """The machine of this process: processor, usable cores, RAM in bytes, GPUs, system.

    Null where unknown.
    """
    return {
        "cpu": _cpu_model(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "cores_physical": psutil.cpu_count(logical=False),
        "ram_bytes": psutil.virtual_memory().total,
        "gpus": _gpus(),
        "os": f"{platform.system()} {platform.release()}",
        "distribution": _distribution(),
        "architecture": platform.machine(),
    }


def _cpu_model() -> str | None:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or None


def _distribution() -> str | None:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME")
    except OSError:
        return f"macOS {version}" if (version := platform.mac_ver()[0]) else None


def _gpus() -> list[JsonObject]:
    return _nvidia_gpus() or [
        {"name": f"PCI {vendor}:{_first_line(card.parent / 'device')}", "memory_bytes": int(memory), "driver": "amdgpu"}
        for card in sorted(Path("/sys/class/drm").glob("card*/device/vendor"))
        if (vendor := _first_line(card))
        and (memory := _first_line(card.parent / "mem_info_vram_total") or "").isdigit()
    ]


def _nvidia_gpus() -> list[JsonObject]:
    if not (program := shutil.which("nvidia-smi")):
        return []
    command = [program, "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader,nounits"]
    try:
        listing = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    rows = [[part.strip() for part in line.split(",")] for line in listing.splitlines()]
    return [
        {"name": row[0], "memory_bytes": int(row[1]) * 2**20 if row[1].isdigit() else None, "driver": row[2]}
        for row in rows
        if len(row) == 3
    ]


def _first_line(file: Path) -> str | None:
    try:
        return file.read_text(encoding="utf-8").strip()
    except OSError:
        return None
