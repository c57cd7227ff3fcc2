"""The file format: a plain zip with nothing in it that could differ between two archives of the same run.

Members are sorted, dated 1980 and compressed one way. The zip's comment holds the sha256 of every byte before it,
so that a flipped bit is noticed in headers too, which a zip's own checksums do not cover. Reading trusts nothing:
names, sizes, kinds and places of all members are checked before the first one is opened, and no member is ever read
whole unless the caller says how much is too much.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import re
import stat
import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from ai_dev_tools.benchmark.errors import BenchmarkError, ConfigurationError

PIECE = 1 << 20
TAG = b"sha256:"
COMMENT_BYTES = len(TAG) + 64
_COMMENT = re.compile(TAG + rb"[0-9a-f]{64}")
_END = struct.Struct("<4s4H2LH")
_END64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR = struct.Struct("<4sLQL")
_LOCAL_HEADER = 30
_FORBIDDEN = re.compile(r'[\x00-\x1f\x7f\\:*?"<>|]')
_DEVICE = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, ValueError, RuntimeError, OSError, struct.error, KeyError)
"""What reading a damaged zip raises; NotImplementedError and UnicodeDecodeError are among them."""


class ArchiveError(BenchmarkError):
    """A file that is no archive of this project, was damaged, or was made to do harm."""

    error_class = "archive"


@dataclass(frozen=True)
class Limits:
    """How much an archive may ask of the reader's machine; sizes in bytes."""

    members: int = 100_000
    directory: int = 32 << 20
    unpacked: int = 32 << 30
    ratio: int = 200
    """Unpacked size relative to the file's, beyond `free`."""
    free: int = 64 << 20
    name: int = 240
    line: int = 32 << 20
    document: int = 256 << 20
    """Of a member that is read whole: a table."""
    json: int = 32 << 20
    """The same for JSON, which takes up to twenty times as much once it is parsed."""
    settings: int = 1 << 20
    """The same for YAML, whose parser is slow."""

    def whole(self, name: str) -> int:
        """The most bytes that a member of this name may have where it is read whole."""
        return {".json": self.json, ".jsonl": self.json, ".yaml": self.settings}.get(Path(name).suffix, self.document)


LIMITS = Limits()


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
        large = isinstance(member.source, Path) and member.source.stat().st_size > 1 << 30
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
        ConfigurationError: a file cannot be read, or the archive not be written.
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
        raise ConfigurationError(f"cannot write {path}: {error}", remedy="Free disk space or mend the file") from None
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
    """Whether the file is, byte for byte, what was sealed.

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

    def __init__(self, path: Path, zip_file: zipfile.ZipFile, limits: Limits) -> None:
        self.path, self._zip, self.limits = path, zip_file, limits
        self.members = {info.filename: info for info in zip_file.infolist()}

    @contextmanager
    def open(self, name: str) -> Iterator[IO[bytes]]:
        """A member as a stream.

        Raises:
            ArchiveError: it is damaged.
        """
        try:
            with self._zip.open(self.members[name]) as file:
                yield file
        except DAMAGE as error:
            raise ArchiveError(f"{name} is damaged ({_first_line(error)})") from None

    def pieces(self, name: str) -> Iterator[bytes]:
        """A member's content, piece by piece."""
        with self.open(name) as file:
            while piece := file.read(PIECE):
                yield piece

    def lines(self, name: str) -> Iterator[bytes]:
        """Lines of a member, without their ends.

        Raises:
            ArchiveError: it is damaged, or a line is longer than any that this project writes.
        """
        with self.open(name) as file:
            while line := file.readline(self.limits.line):
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
            return file.read()

    def digest(self, name: str) -> Digest:
        """What a member's content is."""
        digest, size = hashlib.sha256(), 0
        for piece in self.pieces(name):
            digest.update(piece)
            size += len(piece)
        return Digest(digest.hexdigest(), size)


@contextmanager
def open_archive(path: Path, limits: Limits = LIMITS) -> Iterator[Archive]:
    """Open an archive after checking that no member of it can do harm.

    Raises:
        ArchiveError: it is no zip, or holds what no archive of this project holds; says what.
    """
    try:
        size = path.stat().st_size
        _check_directory(path, size, limits)
        zip_file = zipfile.ZipFile(path)
    except DAMAGE as error:
        raise ArchiveError(f"{path} is not an archive that can be read ({_first_line(error)})") from None
    with zip_file:
        check_members(zip_file.infolist(), size, limits)
        yield Archive(path, zip_file, limits)


def _check_directory(path: Path, size: int, limits: Limits) -> None:
    """Refuse a directory of members that would fill the memory, before anything parses it."""
    with open(path, "rb") as file:
        end = size - COMMENT_BYTES - _END.size
        if end < 0:
            raise ValueError("it is too short")
        file.seek(end)
        signature, _, _, _, members, length, start, comment = _END.unpack(file.read(_END.size))
        if signature != b"PK\x05\x06" or comment != COMMENT_BYTES:
            raise ValueError("its end is damaged")
        if 0xFFFF in (members,) or 0xFFFFFFFF in (length, start):
            file.seek(end - _LOCATOR.size)
            mark, _, end, _ = _LOCATOR.unpack(file.read(_LOCATOR.size))
            if mark != b"PK\x06\x07" or end + _END64.size > size:
                raise ValueError("its end is damaged")
            file.seek(end)
            mark, _, _, _, _, _, _, members, length, start = _END64.unpack(file.read(_END64.size))
            if mark != b"PK\x06\x06":
                raise ValueError("its end is damaged")
    if members > limits.members or length > limits.directory:
        raise ArchiveError(f"{path} lists {members} members: more than {limits.members} are refused")
    if start + length != end:
        raise ValueError("its directory is not where it says")


def check_members(infos: Iterable[zipfile.ZipInfo], size: int, limits: Limits = LIMITS) -> None:
    """Refuse names, kinds and sizes that no archive of this project has.

    Args:
        size: of the whole file, in bytes.

    Raises:
        ArchiveError: names the member and what is wrong with it.
    """
    files: set[str] = set()
    folders: set[str] = set()
    unpacked = 0
    taken: list[tuple[int, int, str]] = []
    for info in infos:
        if problem := _problem(info, limits):
            raise ArchiveError(f"refused: member {info.orig_filename[:80]!r} {problem}")
        key = unicodedata.normalize("NFC", info.filename).casefold()
        parts = key.split("/")
        parents = {"/".join(parts[:count]) for count in range(1, len(parts))}
        if key in files or key in folders or parents & files:
            raise ArchiveError(f"refused: member {info.filename!r} collides with another one's name")
        files.add(key)
        folders |= parents
        unpacked += info.file_size
        name_bytes = len(info.filename.encode())
        taken.append(
            (info.header_offset, info.header_offset + _LOCAL_HEADER + name_bytes + info.compress_size, info.filename)
        )
    if unpacked > min(limits.unpacked, limits.free + limits.ratio * size):
        raise ArchiveError(f"refused: {size} bytes would unpack to {unpacked}, which no archive of this project does")
    taken.sort()
    for (_, end, name), (start, _, other) in itertools.pairwise(taken):
        if start < end:
            raise ArchiveError(f"refused: members {name!r} and {other!r} overlap")


def _problem(info: zipfile.ZipInfo, limits: Limits) -> str | None:
    name = info.orig_filename
    parts = name.split("/")
    kind = stat.S_IFMT(info.external_attr >> 16)
    if not name or len(name) > limits.name or name.startswith("/") or _FORBIDDEN.search(name):
        return "has a name that is absolute, too long, or holds characters that no file of this project has"
    if any(part in ("", ".", "..") or part[-1] in " ." or _DEVICE.fullmatch(part) for part in parts):
        return "leads out of the folder, or has a name that some systems read differently"
    if unicodedata.normalize("NFC", name) != name or name != info.filename:
        return "has a name that can be read in two ways"
    if kind not in (0, stat.S_IFREG) or info.is_dir():
        return "is a link or another thing that is no file"
    if info.flag_bits & 0x1 or info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return "is encrypted or compressed in another way"
    return None


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:160]
