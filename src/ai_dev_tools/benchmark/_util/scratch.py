"""Temporary folders. Those that a killed program left behind are removed when the next one is made.

A file in each folder is locked for as long as its owner lives. The kernel releases the lock however the owner ends, so it shows
who is alive even where process ids are reused, or hidden, as in containers that share a temporary folder.
"""

from __future__ import annotations

import fcntl
import functools
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PREFIX = "aidt-"
"""Short, because there are sockets in some of these folders, and the path of a socket has a limit."""
OWNER = ".owner"
"""The file in each folder that its owner has locked."""


@contextmanager
def scratch_folder(purpose: str) -> Iterator[Path]:
    """A temporary folder that is removed afterwards.

    Args:
        purpose: a word in its name, for people.
    """
    _sweep_once()
    with _owned_folder(purpose) as folder:
        yield folder


@contextmanager
def _owned_folder(purpose: str) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix=f"{PREFIX}{purpose}-", ignore_cleanup_errors=True) as made:
        folder = Path(made).resolve()
        with open(folder / f"{OWNER}.new", "wb") as owner:
            fcntl.flock(owner, fcntl.LOCK_EX)
            os.replace(owner.name, folder / OWNER)  # the file is locked before anybody can find it
            yield folder


@functools.cache
def _sweep_once() -> None:
    sweep()


def sweep() -> None:
    """Remove this user's temporary folders whose owners have ended."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with suppress(OSError):
            _remove_if_left(folder)


def _remove_if_left(folder: Path) -> None:
    """Remove a folder; an OSError if its owner is alive, or it has none."""
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
        return
    with open(os.open(folder / OWNER, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as owner:
        fcntl.flock(owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with _owned_folder("left") as taken:  # which removes what a tool has locked, too
            folder.rename(taken / folder.name)
