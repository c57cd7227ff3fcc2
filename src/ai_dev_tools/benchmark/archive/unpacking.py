"""Unpacking an archive into a folder of its own, after checking it."""

from __future__ import annotations

import shutil
from pathlib import Path

from ai_dev_tools.benchmark.archive.container import LIMITS, Limits, open_archive
from ai_dev_tools.benchmark.archive.verification import Verification, verify
from ai_dev_tools.benchmark.errors import ConfigurationError


def unpack(path: Path, folder: Path, *, limits: Limits = LIMITS) -> Verification:
    """Check an archive and unpack it; nothing is written unless it is genuine, and nothing outside `folder`.

    Args:
        folder: must not exist, or be empty.

    Raises:
        ArchiveError: the archive is damaged or does harm.
        ConfigurationError: the folder is in use or cannot be written.
    """
    refuse_in_use(folder)
    checked = verify(path, limits=limits).require()
    try:
        with open_archive(path, limits) as archive:
            for name in archive.members:
                target = folder / name
                target.parent.mkdir(parents=True, exist_ok=True)
                with open(target, "xb") as file:
                    for piece in archive.pieces(name):
                        file.write(piece)
    except OSError as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise ConfigurationError(f"cannot unpack into {folder}: {error.strerror}") from None
    return checked


def refuse_in_use(folder: Path) -> None:
    """Raises ConfigurationError unless the folder is new, or empty."""
    if folder.is_dir() and any(folder.iterdir()):
        raise ConfigurationError(f"{folder} is not empty", remedy="Name a new folder")
    if folder.exists() and not folder.is_dir():
        raise ConfigurationError(f"{folder} is a file", remedy="Name a new folder")
