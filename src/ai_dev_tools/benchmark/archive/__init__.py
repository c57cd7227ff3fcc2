"""A finished run as one file: made, checked and unpacked.

    from ai_dev_tools.benchmark.archive import build_archive, unpack, verify

The file is a zip and a Workflow Run RO-Crate; see docs/archives.md. Importing this module is cheap.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ai_dev_tools.benchmark.archive.build import build_archive
    from ai_dev_tools.benchmark.archive.container import ArchiveError
    from ai_dev_tools.benchmark.archive.unpacking import render, unpack
    from ai_dev_tools.benchmark.archive.verification import Verification, verify
    from ai_dev_tools.benchmark.records.about import Subject

__all__ = ["ArchiveError", "Subject", "Verification", "build_archive", "render", "unpack", "verify"]
_HOMES = {
    "ArchiveError": "container",
    "Subject": "build",
    "Verification": "verification",
    "build_archive": "build",
    "render": "unpacking",
    "unpack": "unpacking",
    "verify": "verification",
}


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
