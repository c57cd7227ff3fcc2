"""Every byte of an archive, accounted for.

Programs that unpack zips trust different parts: the directory at the end or the header before each member, names in
one field or another, bytes between, before and after members. Two programs can then unpack different content from one file,
and what was checked is not what is unpacked. An archive is therefore one row of members, each a header and a deflated stream,
followed by a directory that says the same once more and an end that says the same of the directory; nothing else is read.
"""

from __future__ import annotations

import io
import stat
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from ai_dev_tools.benchmark.archive.limits import LIMITS, ArchiveError, ArchiveLimits
from ai_dev_tools.benchmark.records.archive_names import name_problem, path_key

TAG = b"sha256:"
COMMENT_BYTES = len(TAG) + 64
PIECE = 1 << 20
_END = struct.Struct("<4s4H2LH")
_END64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR = struct.Struct("<4sLQL")
_LOCAL = struct.Struct("<4s5H3L2H")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_ZIP64 = 1
_SHORT, _LONG = 0xFFFF, 0xFFFFFFFF
_PLAIN, _LARGE = 20, 45
"""Versions of the format that a reader needs: without and with 64-bit sizes."""
_UNIX = 3
_UTF8 = 0x800
_DEFLATED = 8
_DATE_1980 = 0x21
_MODE = (stat.S_IFREG | 0o644) << 16


@dataclass(frozen=True)
class ZipEntry:
    """A member as the directory has it; offsets and sizes in bytes."""

    filename: str
    file_size: int
    compress_size: int
    crc: int
    header_offset: int
    version: int = _PLAIN
    flags: int = 0
    raw: bytes = b""

    @property
    def data(self) -> int:
        """Where its content starts, if its header has no 64-bit sizes."""
        return self.header_offset + _LOCAL.size + len(self.raw)


def read_entries(
    file: IO[bytes], path: Path, size: int, limits: ArchiveLimits = LIMITS
) -> dict[str, tuple[ZipEntry, int]]:
    """The members of a file by name, each with the place of its content.

    Raises:
        ArchiveError: a byte belongs to nothing, or two places say different things; names the member.
        ValueError, struct.error: there is no directory, or part of it is cut off.
    """
    count, start, length = _end(file, path, size, limits)
    file.seek(start)
    entries = list(_directory(file.read(length), count))
    check_members(entries, size, limits)
    found: dict[str, tuple[ZipEntry, int]] = {}
    place = 0
    for entry in entries:
        if entry.header_offset != place:
            raise ArchiveError(f"refused: member {entry.filename!r} does not follow the one before it: they overlap, or bytes "
                               "between them belong to nothing")  # fmt: skip
        data = _check_header(file, entry)
        found[entry.filename] = (entry, data)
        place = data + entry.compress_size
    if place != start:
        raise ArchiveError("refused: bytes between the last member and the directory belong to nothing")
    return found


def _end(file: IO[bytes], path: Path, size: int, limits: ArchiveLimits) -> tuple[int, int, int]:
    """How many members there are, and where their directory starts and how long it is."""
    end = size - COMMENT_BYTES - _END.size
    if end < 0:
        raise ValueError("it is too short")
    file.seek(end)
    mark, *disks, here, members, length, start, comment = _END.unpack(file.read(_END.size))
    if mark != b"PK\x05\x06" or comment != COMMENT_BYTES:
        raise ValueError("its end is damaged")
    said = (here, members, length, start)
    if end >= _LOCATOR.size + _END64.size:
        file.seek(end - _LOCATOR.size - _END64.size)
        large = file.read(_END64.size)
        mark, *locator = _LOCATOR.unpack(file.read(_LOCATOR.size))
        if mark == b"PK\x06\x07":
            end -= _LOCATOR.size + _END64.size
            mark, record, made, needed, *more, here, members, length, start = _END64.unpack(large)
            if mark != b"PK\x06\x06" or locator != [0, end, 1] or (record, made, needed) != (44, _LARGE, _LARGE):
                raise ValueError("its end is damaged")
            disks += more
    if any(disks) or here != members:
        raise ArchiveError("refused: it claims to be one of several disks, or counts its members in two ways")
    if said != (min(here, _SHORT), min(members, _SHORT), min(length, _LONG), min(start, _LONG)):
        raise ArchiveError("refused: its two end records disagree")
    if members > limits.members or length > limits.directory:
        raise ArchiveError(f"{path} lists {members} members: more than {limits.members} are refused")
    if start + length != end:
        raise ValueError("its directory is not where it says")
    return members, start, length


def _directory(data: bytes, count: int) -> Iterator[ZipEntry]:
    place = 0
    for _ in range(count):
        if len(data) - place < _CENTRAL.size:
            raise ArchiveError(f"refused: it counts {count} members, but its directory is shorter")
        (mark, made, needed, flags, method, time, date, crc, packed, unpacked, name_length, extra_length, comment, disk,
         internal, attributes, offset) = _CENTRAL.unpack_from(data, place)  # fmt: skip
        place += _CENTRAL.size
        raw, extra = data[place : place + name_length], data[place + name_length : place + name_length + extra_length]
        place += name_length + extra_length
        if mark != b"PK\x01\x02" or len(raw) != name_length or len(extra) != extra_length:
            raise ArchiveError("refused: its directory is damaged")
        name = _decoded(raw, flags)
        unpacked, packed, offset = _large(name, extra, [unpacked, packed, offset])
        versions = {_PLAIN, _LARGE} if not extra else {_LARGE}
        problem = (
            "is encrypted or compressed in another way" if flags & ~_UTF8 or method != _DEFLATED
            else "is a link or something else that is not a file" if attributes != _MODE or internal or name.endswith("/")
            else "has a comment, a date, a disk or a version that no archive of this project has"
            if (comment, disk, time, date) != (0, 0, 0, _DATE_1980) or needed not in versions or made != needed | _UNIX << 8
            else None
        )  # fmt: skip
        if problem:
            raise ArchiveError(f"refused: member {name[:80]!r} {problem}")
        yield ZipEntry(name, unpacked, packed, crc, offset, needed, flags, raw)
    if place != len(data):
        raise ArchiveError(f"refused: it counts {count} members, but its directory is longer")


def _decoded(raw: bytes, flags: int) -> str:
    """A member's name; refused if two programs could read two different names."""
    try:
        name = raw.decode("utf-8" if flags & _UTF8 else "ascii")
    except UnicodeDecodeError:
        raise ArchiveError(f"refused: member {raw[:80]!r} has a name that can be read in two ways") from None
    if flags & _UTF8 and name.isascii():
        raise ArchiveError(f"refused: member {name[:80]!r} has a name that can be read in two ways")
    return name


def _large(name: str, extra: bytes, said: list[int]) -> list[int]:
    """Values of a header with those that only fit into its zip64 field; no other field may be there."""
    wanted = [place for place, value in enumerate(said) if value == _LONG]
    if not extra and not wanted:
        return said
    if extra[:4] != struct.pack("<2H", _ZIP64, 8 * len(wanted)) or len(extra) != 4 + 8 * len(wanted) or not wanted:
        raise ArchiveError(f"refused: member {name[:80]!r} has an extra field that some programs read and some do not")
    values = struct.unpack(f"<{len(wanted)}Q", extra[4:])
    for place, value in zip(wanted, values, strict=True):
        said[place] = value
    return said


def _check_header(file: IO[bytes], entry: ZipEntry) -> int:
    """Where the content of a member starts, after checking that its own header agrees with the directory."""
    file.seek(entry.header_offset)
    mark, needed, flags, method, time, date, crc, packed, unpacked, name_length, extra_length = _LOCAL.unpack(
        file.read(_LOCAL.size)
    )
    raw = file.read(name_length)
    extra = file.read(extra_length)
    sizes = [unpacked, packed]
    if extra != struct.pack("<2H2Q", _ZIP64, 16, *sizes):  # older Pythons say sizes that fit in both places
        sizes = _large(entry.filename, extra, sizes)
    versions = {_LARGE} if extra else {_PLAIN, entry.version}
    if (mark, flags, method, time, date, raw) != (b"PK\x03\x04", entry.flags, _DEFLATED, 0, _DATE_1980, entry.raw) or (
        (crc, *sizes) != (entry.crc, entry.file_size, entry.compress_size) or needed not in versions
    ):
        raise ArchiveError(f"refused: the two headers of member {entry.filename!r} disagree")
    place: int = entry.data + extra_length
    return place


def check_members(entries: Iterable[ZipEntry], size: int, limits: ArchiveLimits = LIMITS) -> None:
    """Refuse names and sizes that no archive of this project has.

    Args:
        size: of the whole file, in bytes.

    Raises:
        ArchiveError: names the member and what is wrong with it.
    """
    files: set[str] = set()
    folders: set[str] = set()
    unpacked = 0
    for entry in entries:
        if problem := name_problem(entry.filename, limits.name):
            raise ArchiveError(f"refused: member {entry.filename[:80]!r} {problem}")
        key = path_key(entry.filename)
        parts = key.split("/")
        if len(parts) > limits.depth:
            raise ArchiveError(f"refused: member {entry.filename[:80]!r} lies more than {limits.depth} folders deep")
        parents = {"/".join(parts[:count]) for count in range(1, len(parts))}
        if key in files or key in folders or parents & files:
            raise ArchiveError(f"refused: member {entry.filename!r} collides with another one's name")
        files.add(key)
        folders |= parents
        unpacked += entry.file_size
    if unpacked > min(limits.unpacked, limits.free + limits.ratio * size):
        raise ArchiveError(f"refused: {size} bytes would unpack to {unpacked}, which no archive of this project does")


class Inflated(io.RawIOBase):
    """The content of one member. Its stream must end where the member does, and be what its header says."""

    def __init__(self, file: IO[bytes], entry: ZipEntry, place: int) -> None:
        self._file, self._entry = file, entry
        self._place, self._end = place, place + entry.compress_size
        self._inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        self._crc = self._size = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer with the content that is left; ValueError or zlib.error if it is damaged."""
        while not self._inflater.eof:
            waiting = self._inflater.unconsumed_tail or self._next()
            content = self._inflater.decompress(waiting, len(buffer))
            if content:
                self._crc, self._size = zlib.crc32(content, self._crc), self._size + len(content)
                if self._size > self._entry.file_size:
                    break
                buffer[: len(content)] = content
                return len(content)
            if not waiting and not self._inflater.eof:
                raise EOFError("it is cut short")
        if self._inflater.unused_data or self._place != self._end or self._size != self._entry.file_size:
            raise ValueError("its stream does not end where it says")
        if self._crc != self._entry.crc:
            raise ValueError("Bad CRC-32")
        return 0

    def _next(self) -> bytes:
        self._file.seek(self._place)
        data = self._file.read(min(PIECE, self._end - self._place))
        self._place += len(data)
        return data


def open_member(file: IO[bytes], entry: ZipEntry, place: int) -> IO[bytes]:
    """A member as a stream of bytes and lines."""
    make: Callable[..., Any] = io.BufferedReader
    stream: IO[bytes] = make(Inflated(file, entry, place), 1 << 16)
    return stream
