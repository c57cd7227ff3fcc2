"""Files: written atomically and durably, and their digests."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from ai_dev_tools.benchmark.errors import ConfigurationError


def file_sha256(path: Path) -> str:
    """Hexadecimal sha256 of a file, read as a stream."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_atomically(path: Path, data: bytes | Iterable[bytes]) -> None:
    """Write a file atomically.

    Readers, kills and power cuts leave either the old file or the complete new one.

    Args:
        data: all of it, or its parts in turn.

    Raises:
        ConfigurationError: the folder cannot be written or the disk is full.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "wb") as file:
            file.writelines([data] if isinstance(data, bytes) else data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException as error:  # also what the parts raise, and a signal
        with suppress(OSError):
            temporary.unlink()
        if not isinstance(error, OSError):
            raise
        raise ConfigurationError(
            f"cannot write {path}: {error.strerror}", remedy="Free disk space or make the results folder writable"
        ) from None
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Have the disk know a file's new name too, where the system can tell it of folders."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def remove_unfinished(folder: Path) -> None:
    """Remove what killed writers left below a folder.

    Only what is a minute old, so that no writer is still at work.
    """
    for path in folder.glob("*/.*.tmp"):
        with suppress(OSError):
            if time.time() - path.stat().st_mtime > 60:
                path.unlink()
