"""The digest that each container image had when it was first used here: `resources/images.json`.

A tag can be moved to another image, and results before and after would not be comparable.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ai_dev_tools.benchmark._util.files import write_atomically
from ai_dev_tools.benchmark.errors import ConfigurationError


def require_pinned(file: Path, image: str, digests: Sequence[str], instance: str) -> None:
    """Return if the image was never used here or still has the recorded digest; nothing is written.

    Args:
        digests: all digests of the image; the first one is recorded.

    Raises:
        ConfigurationError: its digest has changed, or the file is damaged.
    """
    noted = _read(file).get(image)
    if noted is not None and noted not in digests:
        raise ConfigurationError(
            f"{instance}: the image {image} had the digest {noted[:19]}… at first and now has {digests[0][:19]}…",
            remedy=f"Results would not be comparable. Delete its line in {file} to accept the new one",
        )


def note(file: Path, image: str, digest: str) -> None:
    """Record the digest of a new image.

    Instances that start side by side do not lose each other's entries.

    Raises:
        ConfigurationError: the file is damaged or cannot be written.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with _locked(file.parent):
            known = _read(file)
            if image not in known:
                text = json.dumps(known | {image: digest}, indent=1, sort_keys=True)
                write_atomically(file, f"{text}\n".encode())
    except OSError as error:
        raise ConfigurationError(f"cannot record the image's digest in {file}: {error.strerror}") from None


def _read(file: Path) -> dict[str, str]:
    try:
        known = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError):
        known = None
    if not isinstance(known, dict) or not all(isinstance(value, str) for value in known.values()):
        raise ConfigurationError(f"{file} is damaged", remedy="Delete it: digests are recorded again")
    return known


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
