"""Reading a member once, for its checksum and for its records."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import IO

from ai_dev_tools.benchmark.archive.container import DAMAGE, PIECE, ArchiveError, ArchiveLimits, Digest


class Hashed:
    """A member being read, in lines or as a whole.

    `finish` returns the digest and size of all of its content.
    """

    def __init__(self, file: IO[bytes], name: str, limits: ArchiveLimits) -> None:
        self._file, self.name, self._limits = file, name, limits
        self._digest, self._bytes = hashlib.sha256(), 0

    def lines(self) -> Iterator[bytes]:
        """Lines without their ends.

        Raises:
            ArchiveError: damaged, or a line longer than any that this project writes.
        """
        while line := self._take(self._file.readline, self._limits.line):
            if len(line) == self._limits.line:
                raise ArchiveError(f"{self.name} has a line of more than {self._limits.line} bytes")
            yield line.rstrip(b"\r\n")

    def read(self) -> bytes:
        """All of it.

        Raises:
            ArchiveError: damaged, or larger than such a file can be.
        """
        return b"".join(self._pieces())

    def finish(self) -> Digest:
        """Read the rest, and return digest and size of the content."""
        while self._take(self._file.read, PIECE):
            pass
        return Digest(self._digest.hexdigest(), self._bytes)

    def _pieces(self) -> Iterator[bytes]:
        while piece := self._take(self._file.read, PIECE):
            if self._bytes > self._limits.whole(self.name):
                raise ArchiveError(f"{self.name} is larger than {self._limits.whole(self.name)} bytes")
            yield piece

    def _take(self, read: object, size: int) -> bytes:
        try:
            data: bytes = read(size)  # type: ignore[operator]
        except DAMAGE as error:
            raise ArchiveError(f"{self.name} is damaged ({(str(error).splitlines() or ['unreadable'])[0]})") from None
        self._digest.update(data)
        self._bytes += len(data)
        return data
