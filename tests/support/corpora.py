"""Corpora in miniature: archives with good and bad members, and what describes them."""

from __future__ import annotations

import hashlib
import io
import stat
import tarfile
import zipfile
from pathlib import Path

from ai_dev_tools.benchmark.tasks.corpora import Corpus

MODULE = b"ANSWER = 42\n"
LISTED = "demo-1.0/demo/core.py"


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def regular(name: str, content: bytes = MODULE) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    return info, content


def special(name: str, kind: bytes, target: str = "") -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info, b""


def sdist(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for info, content in members:
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def wheel(*members: tuple[str, bytes], mode: int = stat.S_IFREG | 0o644) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            archive.writestr(info, content)
    return buffer.getvalue()


GOOD_SDIST = sdist(
    regular("demo-1.0/demo/core.py"),
    regular("demo-1.0/setup.py", b"raise SystemExit('build code must never run')\n"),
)
GOOD_WHEEL = wheel(("demo/core.py", MODULE), ("demo/huge.bin", bytes(200_000)))


def corpus(archive: bytes = GOOD_SDIST, *, kind: str = "sdist", **changes: object) -> Corpus:
    fields = {
        "id": "demo",
        "package": "demo",
        "version": "1.0",
        "filename": "demo-1.0.tar.gz" if kind == "sdist" else "demo-1.0-py3-none-any.whl",
        "kind": kind,
        "sha256": sha256(archive),
        "license": "MIT",
        "homepage": "https://example.org",
        "members": {"demo/core.py": sha256(MODULE)},
    }
    return Corpus.model_validate(fields | changes)


def files_below(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if not p.is_dir())


FULL_SDIST = sdist(
    regular("demo-1.0/demo/core.py"),
    regular("demo-1.0/README.md", "# Demo ∀\n".encode()),
    regular("demo-1.0/logo.png", b"\x89PNG\0\0"),
    regular("demo-1.0/setup.py", b"raise SystemExit('build code must never run')\n"),
    special("demo-1.0/docs", tarfile.SYMTYPE, "/etc"),
    special("demo-1.0/device", tarfile.CHRTYPE),
)


def whole(archive: bytes = FULL_SDIST, **changes: object) -> Corpus:
    return corpus(archive, **({"members": "all"} | changes))
