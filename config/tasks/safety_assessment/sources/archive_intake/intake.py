"""Takes deliveries of archives (zip, tar) from contributors and puts their files in quarantine."""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import stat
import subprocess
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

log = logging.getLogger(__name__)

MAX_FILES = 2000
MAX_BYTES = 2_000_000_000


class Rejected(Exception):
    """The delivery is not taken; the message is for the contributor."""


@dataclass
class Delivery:
    number: int
    contributor: str
    files: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


@contextmanager
def workplace(parent: Path) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="intake-", dir=parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def unpack(archive: Path, folder: Path) -> None:
    if zipfile.is_zipfile(archive):
        unpack_zip(archive, folder)
    elif tarfile.is_tarfile(archive):
        unpack_tar(archive, folder)
    else:
        raise Rejected("neither a zip nor a tar archive")


def unpack_tar(archive: Path, folder: Path) -> None:
    with tarfile.open(archive) as tar:
        members = tar.getmembers()
        if len(members) > MAX_FILES or sum(member.size for member in members) > MAX_BYTES:
            raise Rejected("too much in one delivery")
        try:
            tar.extractall(folder, members=members, filter="data")
        except tarfile.FilterError as error:
            raise Rejected(f"not allowed in an archive: {error}") from error


def unpack_zip(archive: Path, folder: Path) -> None:
    base = folder.resolve()
    with zipfile.ZipFile(archive) as bundle:
        infos = bundle.infolist()
        if len(infos) > MAX_FILES or sum(info.file_size for info in infos) > MAX_BYTES:
            raise Rejected("too much in one delivery")
        for info in infos:
            target = (base / info.filename).resolve()
            if target == base or not target.is_relative_to(base):
                raise Rejected(f"not allowed in an archive: {info.filename}")
            if stat.S_ISLNK(info.external_attr >> 16):
                raise Rejected(f"a link in the archive: {info.filename}")
            if info.is_dir():
                target.mkdir(parents=True, exist_ok=True)
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            with bundle.open(info) as source, target.open("wb") as out:
                shutil.copyfileobj(source, out)


def kind_of(path: Path) -> str:
    answer = subprocess.run(
        ["file", "--brief", "--mime-type", "--", str(path)], capture_output=True, text=True, timeout=20, check=True
    )
    return answer.stdout.strip()


def scan(path: Path) -> list[str]:
    argv = ["clamscan", "--no-summary", "--infected", "--recursive", str(path)]
    done = subprocess.run(argv, capture_output=True, text=True)
    if done.returncode not in (0, 1):
        raise RuntimeError(f"the scanner failed: {done.stderr.strip()}")
    return [line.rsplit(":", 1)[0] for line in done.stdout.splitlines()]


def digest(path: Path) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def take_in(archive: Path, delivery: Delivery, quarantine: Path) -> Delivery:
    with workplace(quarantine) as folder:
        unpack(archive, folder)
        infected = scan(folder)
        for path in sorted(folder.rglob("*")):
            if not path.is_file() or path.is_symlink():
                continue
            name = path.relative_to(folder).as_posix()
            if str(path) in infected:
                delivery.warnings.append(f"{name}: infected, left out")
                continue
            mark = digest(path)
            target = quarantine / "objects" / mark[:2] / mark
            target.parent.mkdir(parents=True, exist_ok=True)
            os.replace(path, target)
            os.chmod(target, 0o440)
            delivery.files[name] = mark
    log.info("delivery %d: %d files", delivery.number, len(delivery.files))
    return delivery
