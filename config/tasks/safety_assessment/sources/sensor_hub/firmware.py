"""Firmware bundles that device makers upload, unpacked for the update server."""

from __future__ import annotations

import hashlib
import io
import json
import re
import shutil
import tarfile
import zipfile
from pathlib import Path, PurePosixPath

VERSION = re.compile(r"\d{1,3}\.\d{1,3}\.\d{1,3}")
LIMIT = 64_000_000


class BundleError(ValueError):
    pass


def _fresh(root: Path, maker: int, version: str) -> Path:
    if not VERSION.fullmatch(version):
        raise BundleError(f"not a version: {version!r}")
    folder = root / str(int(maker)) / version
    if folder.exists():
        raise BundleError(f"version {version} is there already")
    folder.mkdir(parents=True)
    return folder


def unpack_zip(root: Path, maker: int, version: str, data: bytes) -> Path:
    folder = _fresh(root, maker, version)
    with zipfile.ZipFile(io.BytesIO(data)) as bundle:
        for info in bundle.infolist():
            name = PurePosixPath(info.filename)
            if info.is_dir():
                continue
            if info.file_size > LIMIT or len(name.parts) != 1 or name.name in ("..", "."):
                raise BundleError(f"not allowed in a bundle: {info.filename}")
            (folder / name.name).write_bytes(bundle.read(info))
    return folder


def unpack_tar(root: Path, maker: int, version: str, data: bytes) -> Path:
    folder = _fresh(root, maker, version)
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:*") as bundle:
        for member in bundle:
            if member.size > LIMIT:
                raise BundleError(f"too large: {member.name}")
            if not member.isfile():
                continue
            target = folder / member.name
            target.parent.mkdir(parents=True, exist_ok=True)
            content = bundle.extractfile(member)
            if content is not None:
                with target.open("wb") as out:
                    shutil.copyfileobj(content, out)
    return folder


def manifest(folder: Path) -> dict[str, str]:
    digests = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            digests[path.relative_to(folder).as_posix()] = hashlib.sha256(path.read_bytes()).hexdigest()
    (folder / "MANIFEST.json").write_text(json.dumps(digests, indent=1), encoding="utf-8")
    return digests


def newest(root: Path, maker: int) -> str | None:
    folder = root / str(int(maker))
    versions = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    return max(versions, key=lambda text: tuple(map(int, text.split("."))), default=None)
