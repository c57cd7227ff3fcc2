"""The machine and software that a report was made on, in words for people."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import sys
from pathlib import Path

PACKAGES = ("ai-dev-tools-benchmark", "snakemake", "pandas", "scipy", "matplotlib", "xllamacpp")


def machine() -> dict[str, str]:
    """Processor, cores, memory and system; what cannot be found is left out."""
    facts = {
        "Processor": _processor(),
        "Cores": str(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()),
    }
    try:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        facts["Memory"] = f"{memory / 2**30:.1f} GiB"
    except (ValueError, OSError, AttributeError):
        pass
    return facts | {"System": f"{platform.system()} {platform.release()}"}


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def software() -> dict[str, str]:
    """Python and the packages that made the numbers."""
    found = {"Python": sys.version.split()[0]}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
