"""Rows of a job's output that are stored as they are made, so that a killed job loses none.

Snakemake undoes what a job that fails has written: the output is again what earlier runs had made of it, or is not there. So a
hidden file next to it holds the rows until all of them are written, and the next run goes on from there.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

import msgspec

from ai_dev_tools.benchmark._util.files import write_atomically
from ai_dev_tools.benchmark.errors import ConfigurationError

Row = TypeVar("Row", bound=msgspec.Struct)


def read_rows(path: Path, decoder: msgspec.json.Decoder[Row]) -> list[Row]:
    """The rows of a file and, later ones, those that an unfinished job kept next to it.

    None of a file that cannot be read: it is derived data and made again.
    """
    try:
        finished = [decoder.decode(line) for line in path.read_bytes().splitlines()]
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        finished = []
    kept: list[Row] = []
    with suppress(OSError, msgspec.MsgspecError, UnicodeDecodeError):  # its last line may be cut short
        kept.extend(map(decoder.decode, _beside(path).read_bytes().splitlines()))
    return finished + kept


@contextmanager
def keeping(path: Path, known: Iterable[msgspec.Struct]) -> Iterator[Callable[[msgspec.Struct], None]]:
    """Yield a function that keeps a row; if all goes well, `path` has them all at the end.

    Args:
        known: rows of earlier runs, which are kept, too.

    Raises:
        ConfigurationError: the rows cannot be written.
    """
    beside = _beside(path)
    write_atomically(beside, b"".join(_line(row) for row in known))

    def keep(row: msgspec.Struct) -> None:
        try:
            with beside.open("ab") as file:
                file.write(_line(row))
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise ConfigurationError(f"cannot write {beside}: {error.strerror}", remedy="Free disk space") from None

    yield keep
    with suppress(OSError):
        beside.unlink()


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.unfinished")


def _line(row: msgspec.Struct) -> bytes:
    return msgspec.json.encode(row) + b"\n"
