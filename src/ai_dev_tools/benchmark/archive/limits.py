"""How much an archive may ask of the reader's machine, and the error of one that asks for more or is damaged."""

from __future__ import annotations

import struct
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

from ai_dev_tools.benchmark.errors import BenchmarkError

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


def first_line(error: BaseException) -> str:
    """What an error says, in one line of a bearable length."""
    return (str(error).splitlines() or [type(error).__name__])[0][:160]
