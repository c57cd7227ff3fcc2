"""Podman as the sandbox of a third-party agent, where bubblewrap does not work or is not wanted.

No image is needed: an agent is installed on this machine, so the container shows this machine's system, as bubblewrap does.
"""

from __future__ import annotations

import functools
import os
import secrets
import shutil
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ai_dev_tools.benchmark.errors import ConfigurationError
from ai_dev_tools.benchmark.prompts.containment import SandboxStarter, trial_problem
from ai_dev_tools.benchmark.prompts.run_folder import RunFolder, fresh_run_folder

STREAMS = ("/run/stdout", "/run/stderr")
"""Where a container shows the files for what its program prints: it passes on no open files by default."""
OWN_VARIABLES = ("PATH", "HOME", "USER", "LOGNAME", "TMPDIR", "LANG")
OWN_PREFIXES = ("XDG_", "CONTAINERS_", "STORAGE_", "DBUS_")
"""Variables that podman itself needs. It gets no others, so that nothing secret can find its way into a container."""
TRIAL_BYTES = 1 << 20


@dataclass(frozen=True)
class VisiblePaths:
    """What a container shows of this machine.

    Attributes:
        read: files and folders, read-only, each at its own place.
        links: links of the system, and what they lead to.
        hidden: folders that are shown empty.
        more: further files, by their place in the container.
    """

    read: Iterable[Path]
    links: Mapping[str, str]
    hidden: Iterable[Path] = ()
    more: Mapping[str, Path] | None = None


def container(run_folder: RunFolder, shown: VisiblePaths, shared_memory_bytes: int) -> SandboxStarter:
    """What starts a container for one run.

    It has no network, and nothing in it can be written to but the run's folders.

    Raises:
        ConfigurationError: a place cannot be shown.
    """
    name, places = f"ai-dev-tools-agent-{secrets.token_hex(6)}", run_folder.places("podman")
    root, keeper = run_folder.scratch / "root", run_folder.scratch / "keeper"
    root.mkdir()
    for link, target in shown.links.items():
        (root / link.lstrip("/")).symlink_to(target)
    written = {places.case: run_folder.case, places.home: run_folder.home, places.tmp: run_folder.tmp}
    streams = {Path(place): run_folder.scratch / Path(place).name for place in STREAMS}
    further = {Path(place): path for place, path in (shown.more or {}).items()}
    words = [
        podman() or "podman", "run", "--rm", "--interactive", "--name", name, "--conmon-pidfile", str(keeper),
        "--log-driver", "none", "--network", "none", "--no-hosts", "--http-proxy=false",
        "--userns", "host", "--cap-drop", "all", "--hostname", "sandbox",
        "--security-opt", "no-new-privileges", "--security-opt", "label=disable", "--shm-size", str(shared_memory_bytes),
        "--read-only", "--read-only-tmpfs=false", "--workdir", str(places.case),
        *(word for path in sorted(set(shown.read)) for word in _volume(path, path, "ro")),
        *(word for path in shown.hidden for word in ("--tmpfs", f"{path}:ro")),
        *(word for place, path in {**written, **streams, **further}.items() for word in _volume(path, place, "rw")),
        "--rootfs", str(root),
    ]  # fmt: skip
    removal = [words[0], "rm", "--force", "--ignore", "--time", "0", name]
    return SandboxStarter(words, _environment(), STREAMS, removal, keeper)


def _volume(path: Path, place: Path, access: str) -> list[str]:
    if ":" in f"{path}{place}":
        raise ConfigurationError(f"podman cannot show {path}, because there is a ':' in its name", remedy="Rename it")
    return ["--volume", f"{path}:{place}:{access}"]


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name in OWN_VARIABLES or name.startswith(OWN_PREFIXES)}


@functools.cache
def podman() -> str | None:
    """The program podman; None if it is not installed."""
    return shutil.which("podman")


def podman_problem(shown: VisiblePaths) -> str:
    """Why podman cannot be used here; empty if a trial has shown that it works.

    Args:
        shown: what every container shows.
    """
    if sys.platform != "linux" or podman() is None:
        return "podman is not installed"
    with fresh_run_folder(same_paths=True) as run_folder:
        for place in STREAMS:
            (run_folder.scratch / Path(place).name).touch()
        return trial_problem(run_folder, "podman", container(run_folder, shown, TRIAL_BYTES))
