"""How much an archive may demand from the reader's machine, and the error for one that demands more."""

from __future__ import annotations

import os
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ai_dev_tools.benchmark.errors import BenchmarkError

try:
    import resource
except ImportError:  # not on Windows
    resource = None  # type: ignore[assignment]

DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, ValueError, RuntimeError, OSError, struct.error, KeyError)
"""What reading a damaged zip raises; NotImplementedError and UnicodeDecodeError are among them."""


class ArchiveError(BenchmarkError):
    """A file that is not an archive of this project, is damaged, or was made to do harm."""

    error_class = "archive"


@dataclass(frozen=True)
class ArchiveLimits:
    """How much an archive may demand from the reader's machine; sizes in bytes."""

    members: int = 100_000
    directory: int = 32 << 20
    unpacked: int = 32 << 30
    ratio: int = 200
    """Unpacked size relative to the file's, beyond `free`."""
    free: int = 64 << 20
    name: int = 240
    line: int = 32 << 20
    document: int = 256 << 20
    """For a member that is read as a whole: a table."""
    json: int = 32 << 20
    """The same for JSON, which takes up to twenty times as much once it is parsed."""
    settings: int = 1 << 20
    """The same for YAML, whose parser is slow."""
    program: int = 16 << 20
    """For a file of the program or the settings."""
    figure: int = 32 << 20
    memory: int = 2 << 30
    """Memory that checking may take, in addition to `memory_per_byte` of the file."""
    memory_per_byte: int = 40
    memory_per_core: int = 256 << 20
    """Memory that the threads of libraries reserve."""
    depth: int = 30
    """How deep folders may be nested."""

    def whole(self, name: str) -> int:
        """The maximum size of a member with this name if it is read as a whole."""
        return {".json": self.json, ".jsonl": self.json, ".yaml": self.settings}.get(Path(name).suffix, self.document)


LIMITS = ArchiveLimits()


@contextmanager
def bounded_memory(path: Path, limits: ArchiveLimits = LIMITS) -> Iterator[None]:
    """Let an allocation fail that a file of this size cannot need, before memory runs out.

    Raises:
        ArchiveError: that happened.
    """
    before = None
    # libraries start their threads before the limit applies; these take 0.4 s
    import pandas  # noqa: F401
    import pyarrow.parquet  # noqa: F401
    import scipy.linalg  # noqa: F401

    if resource and (used := _address_space()):
        size = path.stat().st_size if path.exists() else 0
        before = resource.getrlimit(resource.RLIMIT_AS)
        cores = limits.memory_per_core * (os.cpu_count() or 1)
        wanted = used + limits.memory + limits.memory_per_byte * size + cores
        soft = wanted if before[0] == resource.RLIM_INFINITY else min(wanted, before[0])
        resource.setrlimit(resource.RLIMIT_AS, (soft, before[1]))
    try:
        yield
    except MemoryError:
        raise ArchiveError(f"{path} needs more memory than any archive of its size") from None
    finally:
        if resource and before:
            resource.setrlimit(resource.RLIMIT_AS, before)


def _address_space() -> int:
    """Bytes of address space that this process uses; 0 if the system does not say."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return 0


def first_line(error: BaseException) -> str:
    """An error's message, as one line of limited length."""
    return (str(error).splitlines() or [type(error).__name__])[0][:160]
