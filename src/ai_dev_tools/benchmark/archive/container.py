"""The file format: a plain zip, in which nothing differs between two archives of the same run.

Members are sorted, dated 1980 and compressed one way. The zip's comment holds the sha256 of every byte before it,
so that a flipped bit is noticed in headers too, which a zip's own checksums do not cover. Reading trusts nothing:
names, sizes, kinds and positions of all members are checked before the first one is opened, and no member is ever read
as a whole unless the caller sets a limit.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from ai_dev_tools.benchmark.archive.limits import DAMAGE, LIMITS, ArchiveError, ArchiveLimits, first_line
from ai_dev_tools.benchmark.archive.structure import COMMENT_BYTES, PIECE, TAG, ZipEntry, open_member, read_entries
from ai_dev_tools.benchmark.errors import ConfigurationError

__all__ = ["COMMENT_BYTES", "DAMAGE", "LIMITS", "PIECE", "TAG", "Archive", "ArchiveError", "ArchiveLimits", "Digest", "Member",
           "Writer", "is_intact", "new_archive", "open_archive"]  # fmt: skip
LARGE = 1 << 30
"""Files larger than this get 64-bit sizes, in case they grow while they are read."""
_COMMENT = re.compile(TAG + rb"[0-9a-f]{64}")


@dataclass(frozen=True)
class Member:
    """Something to archive: a file, or bytes."""

    name: str
    source: Path | bytes


@dataclass(frozen=True)
class Digest:
    """sha256 (hex) and size of a member."""

    sha256: str
    bytes: int


class Writer:
    """Writes members in the order given; `digests` has what was written."""

    def __init__(self, file: IO[bytes]) -> None:
        self._zip = zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=6)
        self._zip.comment = TAG + b"0" * 64
        self.digests: dict[str, Digest] = {}

    def add(self, member: Member) -> None:
        """Write one member, piece by piece."""
        info = zipfile.ZipInfo(member.name)
        info.compress_type = zipfile.ZIP_DEFLATED
        info.create_system = 3
        info.external_attr = (stat.S_IFREG | 0o644) << 16
        digest, size = hashlib.sha256(), 0
        large = isinstance(member.source, Path) and member.source.stat().st_size > LARGE
        with self._zip.open(info, "w", force_zip64=large) as target:
            for piece in _pieces(member.source):
                digest.update(piece)
                size += len(piece)
                target.write(piece)
        self.digests[member.name] = Digest(digest.hexdigest(), size)

    def close(self) -> None:
        self._zip.close()


@contextmanager
def new_archive(path: Path) -> Iterator[Writer]:
    """A writer whose file appears at `path`, sealed with its digest, once everything is written.

    Raises:
        ConfigurationError: a file cannot be read, or the archive cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "w+b") as file:
            writer = Writer(file)
            try:
                yield writer
            finally:
                writer.close()
            _seal(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise ConfigurationError(f"cannot write {path}: {error}", remedy="Free disk space or fix the file") from None
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def _seal(file: IO[bytes]) -> None:
    size = file.seek(0, os.SEEK_END)
    digest = _digest_of(file, size - COMMENT_BYTES)
    file.seek(size - COMMENT_BYTES)
    file.write(TAG + digest.encode())


def _digest_of(file: IO[bytes], size: int) -> str:
    digest, left = hashlib.sha256(), size
    file.seek(0)
    while left and (piece := file.read(min(PIECE, left))):
        digest.update(piece)
        left -= len(piece)
    return digest.hexdigest()


def _pieces(source: Path | bytes) -> Iterator[bytes]:
    if isinstance(source, bytes):
        yield source
        return
    with open(source, "rb") as file:
        while piece := file.read(PIECE):
            yield piece


def is_intact(path: Path) -> bool:
    """Check that the file is, byte for byte, what was sealed.

    Raises:
        ArchiveError: it was not sealed by this project, or cannot be read.
    """
    try:
        with open(path, "rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - COMMENT_BYTES))
            comment = file.read(COMMENT_BYTES)
            if not _COMMENT.fullmatch(comment):
                raise ArchiveError(
                    f"{path} does not end with the digest of an archive: it is cut short, changed, or another file"
                )
            return TAG + _digest_of(file, size - COMMENT_BYTES).encode() == comment
    except OSError as error:
        raise ArchiveError(f"{path} cannot be read ({error.strerror})") from None


class Archive:
    """An archive whose members have been checked for harm (not for being unchanged: that is `verify`)."""

    def __init__(
        self, path: Path, file: IO[bytes], entries: dict[str, tuple[ZipEntry, int]], limits: ArchiveLimits
    ) -> None:
        self.path, self._file, self._entries, self.limits = path, file, entries, limits
        self.members = {name: entry for name, (entry, _) in entries.items()}

    @contextmanager
    def open(self, name: str) -> Iterator[IO[bytes]]:
        """A member as a stream; see `Hashed` for one whose damage is told in one line.

        Raises:
            ArchiveError: it cannot be opened.
        """
        with _damage_of(name):
            stream = open_member(self._file, *self._entries[name])
        with stream:
            yield stream

    def pieces(self, name: str) -> Iterator[bytes]:
        """A member's content, piece by piece."""
        with self.open(name) as file:
            while piece := self._read(name, file.read, PIECE):
                yield piece

    def lines(self, name: str) -> Iterator[bytes]:
        """Lines of a member, without their ends.

        Raises:
            ArchiveError: it is damaged, or a line is longer than any that this project writes.
        """
        with self.open(name) as file:
            while line := self._read(name, file.readline, self.limits.line):
                if len(line) == self.limits.line:
                    raise ArchiveError(f"{name} has a line of more than {self.limits.line} bytes")
                yield line.rstrip(b"\r\n")

    def read(self, name: str) -> bytes:
        """A whole member.

        Raises:
            ArchiveError: it is missing, damaged, or larger than such a file can be.
        """
        if name not in self.members:
            raise ArchiveError(f"{name} is missing in {self.path}")
        if self.members[name].file_size > self.limits.whole(name):
            raise ArchiveError(f"{name} is larger than {self.limits.whole(name)} bytes")
        with self.open(name) as file:
            return self._read(name, file.read, -1)

    def _read(self, name: str, read: Callable[[int], bytes], size: int) -> bytes:
        with _damage_of(name):
            return read(size)

    def digest(self, name: str) -> Digest:
        """Digest and size of a member's content."""
        digest, size = hashlib.sha256(), 0
        for piece in self.pieces(name):
            digest.update(piece)
            size += len(piece)
        return Digest(digest.hexdigest(), size)


@contextmanager
def _damage_of(name: str) -> Iterator[None]:
    """What opening or reading a member raises, and nothing that its reader does, is damage."""
    try:
        yield
    except DAMAGE as error:
        raise ArchiveError(f"{name} is damaged ({first_line(error)})") from None


@contextmanager
def open_archive(path: Path, limits: ArchiveLimits = LIMITS) -> Iterator[Archive]:
    """Open an archive after checking that none of its members can do harm.

    Raises:
        ArchiveError: it is not a zip, or contains what no archive of this project contains; says what.
    """
    with ExitStack() as stack:
        try:
            file = stack.enter_context(open(path, "rb"))
            entries = read_entries(file, path, file.seek(0, os.SEEK_END), limits)
        except DAMAGE as error:
            raise ArchiveError(f"{path} is not an archive that can be read ({first_line(error)})") from None
        yield Archive(path, file, entries, limits)
