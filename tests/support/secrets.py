"""Looks for a secret in everything that a run leaves."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path


def traces(folder: Path, forms: Sequence[bytes]) -> list[str]:
    """Files below the folder, and members of archives, that contain a secret in one of these forms."""
    found = []
    for path in sorted(file for file in folder.rglob("*") if file.is_file() and not file.is_symlink()):
        contents = {str(path): path.read_bytes()}
        if path.suffix == ".zip":
            with zipfile.ZipFile(path) as archive:
                contents = {f"{path}:{name}": archive.read(name) for name in archive.namelist()}
        found += [name for name, data in contents.items() if any(form in data for form in forms)]
    return found
