"""The command line of bubblewrap for one run.

A tool in it has separate processes and /proc, no network, and a system that is read-only. The case's folder, home and /tmp are
writable.
"""

from __future__ import annotations

import functools
import os
import shutil
import sys
from pathlib import Path

from ai_dev_tools.benchmark.prompts import supervisor
from ai_dev_tools.benchmark.prompts.run_folder import RunFolder

HIDDEN = ("/tmp", "/var/tmp", "/run")
"""Folders that are private in a sandbox, because sockets of other programs are there."""


@functools.cache
def bwrap() -> str | None:
    """The program bubblewrap; None if it is not installed."""
    return shutil.which("bwrap") or shutil.which("bwrap", path=os.defpath)


def command(
    run_folder: RunFolder, argv: list[str], needed: tuple[Path, ...], written_bytes: int, *, network: bool
) -> list[str]:
    """What stands in front of a command so that it runs in the sandbox.

    Args:
        needed: what the program reads in addition to the system.
        written_bytes: how much fits into the folders in memory.
    """
    size = str(written_bytes)
    words = [
        str(bwrap()), "--die-with-parent", "--unshare-all", "--as-pid-1", "--cap-drop", "ALL",
        *(["--share-net"] if network else []),
        "--ro-bind", "/", "/", "--dev", "/dev", "--size", size, "--tmpfs", "/dev/shm", "--proc", "/proc",
        "--bind", str(run_folder.tmp), "/tmp", "--bind", str(run_folder.tmp), "/var/tmp", "--size", size, "--tmpfs", "/run",
    ]  # fmt: skip
    for path in _hidden_needs(argv, needed):
        words += ["--ro-bind", str(path), str(path)]
    places = run_folder.places("bubblewrap")
    for folder, seen in ((run_folder.case, places.case), (run_folder.home, places.home)):
        words += ["--bind", str(folder), str(seen)]
    return [*words, "--remount-ro", "/run", "--chdir", str(places.case), "--"]


def _hidden_needs(argv: list[str], needed: tuple[Path, ...]) -> list[Path]:
    """Folders that a program consists of and that a sandbox would hide, outer ones first."""
    wanted = {Path(sys.prefix), Path(sys.base_prefix), Path(supervisor.__file__).parent, *needed}
    for word in argv:
        if word.startswith("/") and len(word) < 4096 and os.path.exists(word):
            path = Path(word)
            for place in (path, path.resolve()):
                folder = place if place.is_dir() else place.parent
                wanted.add(folder.parent if folder.name in ("bin", ".bin") else folder)
    if os.path.exists("/run/current-system"):
        wanted |= {Path("/run/current-system"), Path("/run/wrappers")}
    places = {str(path) for path in wanted} | {str(path.resolve()) for path in wanted}
    inside = [Path(place) for place in places if place.startswith(tuple(f"{folder}/" for folder in HIDDEN))]
    return sorted(path for path in inside if path.exists())
