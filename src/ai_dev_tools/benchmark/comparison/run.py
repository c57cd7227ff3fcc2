"""Stored runs: samples, plans, verdicts and identity.

Read from a results folder, a table, or an archive that was checked.
"""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, TypeVar

from ai_dev_tools.benchmark.analysis.rows import Row, records
from ai_dev_tools.benchmark.archive.container import DAMAGE, LIMITS, PIECE, TAG, open_archive
from ai_dev_tools.benchmark.archive.layout import MANIFEST
from ai_dev_tools.benchmark.archive.limits import bounded_memory
from ai_dev_tools.benchmark.errors import ConfigurationError
from ai_dev_tools.benchmark.records.plan import DeclaredPlan, parse_plans
from ai_dev_tools.benchmark.records.table_files import read_table

if TYPE_CHECKING:
    import pandas as pd

    from ai_dev_tools.benchmark.reporting.machine import Session

CRATE_SUFFIX = ".crate.zip"
IDENTIFYING = (
    "profile", "model", "task", "case", "cluster", "approach", "repeat", "status",
    "score", "input_tokens", "output_tokens", "done_reason",
)  # fmt: skip
"""Columns that a samples table must have to be compared."""
Reader = Callable[[str], bytes]
T = TypeVar("T")


@dataclass(frozen=True)
class StoredRun:
    """What was measured in one run.

    Attributes:
        name: how it is called in tables.
        samples: the samples table.
        plans: the plan ledger, oldest first.
        verdicts: rows of its verdicts table; empty if there is none.
        sessions: what its block jobs recorded of server, model and machine; empty if nothing is.
    """

    name: str
    samples: pd.DataFrame
    plans: list[DeclaredPlan] = field(default_factory=list)
    verdicts: list[Row] = field(default_factory=list)
    sessions: list[Session] = field(default_factory=list)


def open_run(where: str | Path, root: Path = Path(), name: str | None = None) -> StoredRun:
    """A stored run.

    Args:
        where: a profile's name, a results folder, a samples table (.parquet, .csv), an archive of a run (which is
            verified first), or another .zip or .tar file that holds a samples table.

    Raises:
        ConfigurationError: the run does not exist, cannot be read, or has no samples table.
        ArchiveError: it is an archive, and not as it was sealed, or takes more memory than its size explains.
    """
    path = locate(where, root)
    label = name or _label(path)

    try:
        with bounded_memory(path) if path.is_file() else nullcontext():
            return _read(path, label)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror or error}") from None


def _read(path: Path, label: str) -> StoredRun:
    if path.suffix in (".parquet", ".csv"):
        return StoredRun(label, _samples(path.name, path.read_bytes(), str(path)))
    with _opened(path) as (members, read):
        samples = _first(members, "samples.parquet") or _first(members, "samples.csv")
        if samples:
            plans, verdicts = _first(members, "plans.jsonl"), str(PurePosixPath(samples).with_name("verdicts.csv"))
            identity = sorted(m for m in members if "identity" in PurePosixPath(m).parts and m.endswith(".json"))
            return StoredRun(
                label,
                _samples(samples, read(samples), f"{path}: {samples}"),
                _plans(read(plans), path) if plans else [],
                records(_table(verdicts, read(verdicts), f"{path}: {verdicts}")) if verdicts in members else [],
                [session for member in identity for session in _sessions(read(member))],
            )
    raise ConfigurationError(
        f"{path} holds no samples table", remedy=f"Make it: snakemake tables --config profile={label}"
    )


def locate(where: str | Path, root: Path) -> Path:
    """The file or folder that a user means: a path, else the results of a profile.

    Raises:
        ConfigurationError: neither exists; names the runs there are.
    """
    for path in (Path(where), root / where, root / "results" / where):
        if path.exists():
            return path
    stored = sorted(p.parents[1].name for p in (root / "results").glob("*/tables/samples.parquet"))
    raise ConfigurationError(f"no run '{where}': neither a file, a folder nor a profile with results; stored runs: "
                             f"{', '.join(stored) or 'none'}")  # fmt: skip


def _label(path: Path) -> str:
    if not path.is_file():
        return path.name
    return path.name.removesuffix(CRATE_SUFFIX).removesuffix(path.suffix).removesuffix(".tar")


def _first(members: list[str], name: str) -> str | None:
    """The member with this file name that is highest in the tree."""
    return min((m for m in members if PurePosixPath(m).name == name), key=lambda m: (m.count("/"), m), default=None)


@contextmanager
def _opened(path: Path) -> Iterator[tuple[list[str], Reader]]:
    """The members of a folder or archive and a way to read one; nothing is unpacked."""
    if path.is_dir():
        places = [path / "tables", path]
        files = [file for place in places for file in place.glob("*.*") if file.is_file()]
        members = [str(file.relative_to(path)) for file in [*files, *path.glob("identity/*/*.json")]]
        yield list(dict.fromkeys(members)), lambda name: (path / name).read_bytes()
    elif _is_crate(path):
        from ai_dev_tools.benchmark.archive import verify  # takes 70 ms

        verify(path, report=False).require()  # its report is not read
        with open_archive(path) as archive:
            yield list(archive.members), archive.read
    elif zipfile.is_zipfile(path):
        with _undamaged(path, lambda: zipfile.ZipFile(path)) as plain:
            yield plain.namelist(), _careful(path, plain.read, lambda name: plain.getinfo(name).file_size)
    elif _undamaged(path, lambda: tarfile.is_tarfile(path)):
        _refuse_bomb(path)
        with _undamaged(path, lambda: tarfile.open(path)) as tar:
            stored = {member.name: member for member in _undamaged(path, tar.getmembers) if member.isfile()}
            yield list(stored), _careful(path, lambda name: _member(tar, name), lambda name: stored[name].size)
    else:
        raise ConfigurationError(f"{path} is neither a results folder, a table nor an archive")


def _is_crate(path: Path) -> bool:
    """Whether a file is, or says that it is, an archive of a run.

    One that was cut short is known by its name.
    """
    if path.name.endswith(CRATE_SUFFIX):
        return True
    if not zipfile.is_zipfile(path):
        return False
    with _undamaged(path, lambda: zipfile.ZipFile(path)) as archive:
        return archive.comment.startswith(TAG) or MANIFEST in archive.namelist()


def _careful(path: Path, read: Reader, size: Callable[[str], int]) -> Reader:
    """Read a member of an untrusted zip or tar: refuse one that would fill the memory.

    Report damage in one line.
    """
    left = LIMITS.document

    def checked(name: str) -> bytes:
        nonlocal left
        where, claimed = f"{path}: {name}", _undamaged(f"{path}: {name}", lambda: size(name))
        if claimed > LIMITS.whole(name):
            raise ConfigurationError(f"{where} is larger than {LIMITS.whole(name)} bytes")
        left -= claimed
        if left < 0:
            raise ConfigurationError(f"{where} and what was read before are larger than {LIMITS.document} bytes")
        return _undamaged(where, lambda: read(name))

    return checked


def _refuse_bomb(path: Path) -> None:
    """Refuse a compressed tar that unpacks to much more than it is, before its members are looked for.

    Raises:
        ConfigurationError: it does, or is damaged.
    """
    with open(path, "rb") as file:
        start = file.read(6)
    openers: dict[bytes, Callable[[Path], Any]] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ\0": lzma.open,
                                                   b"\x5d\0\0": lzma.open}  # fmt: skip
    opener = next((opener for mark, opener in openers.items() if start.startswith(mark)), None)
    most = LIMITS.free + LIMITS.ratio * path.stat().st_size

    def measure() -> int:
        total = 0
        with opener(path) as stream:  # type: ignore[misc]
            while total <= most and (piece := stream.read(PIECE)):
                total += len(piece)
        return total

    if opener and _undamaged(path, measure) > most:
        raise ConfigurationError(f"{path} would unpack to more than {most} bytes")


def _undamaged(where: object, read: Callable[[], T]) -> T:
    """The result of `read`; damage of an untrusted zip or tar is reported in one line."""
    try:
        return read()
    except (*DAMAGE, tarfile.TarError, lzma.LZMAError) as error:
        raise ConfigurationError(f"{where} is damaged ({str(error)[:120]})") from None


def _member(archive: tarfile.TarFile, name: str) -> bytes:
    file = archive.extractfile(name)
    return file.read() if file else b""


def _samples(name: str, data: bytes, where: str) -> pd.DataFrame:
    table = _table(name, data, where)
    if missing := [column for column in IDENTIFYING if column not in table.columns]:
        raise ConfigurationError(
            f"{where} is not a samples table: it has no column {missing[0]}",
            remedy="Name a run's tables/samples.parquet or samples.csv",
        )
    return table


def _table(name: str, data: bytes, where: str) -> pd.DataFrame:
    try:
        return read_table(data, name)
    except (ValueError, OSError, TypeError, ArithmeticError, LookupError, AttributeError, RecursionError) as error:
        said = (str(error).splitlines() or [type(error).__name__])[0][:120]
        raise ConfigurationError(f"{where} is not a table that can be read ({said})") from None


def _sessions(data: bytes) -> list[Session]:
    """Sessions of an identity file; what cannot be read is ignored."""
    try:
        sessions = json.loads(data)["sessions"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return []
    return [entry for entry in sessions if isinstance(entry, dict)] if isinstance(sessions, list) else []


def _plans(data: bytes, path: Path) -> list[DeclaredPlan]:
    try:
        return parse_plans(line for line in data.splitlines() if line.strip())
    except ConfigurationError as error:
        raise ConfigurationError(
            f"{path}: plans.jsonl is damaged: {error}", remedy="Restore it from where the run was made"
        ) from None
