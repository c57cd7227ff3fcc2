"""Stored runs: samples, plans, verdicts and identity of a results folder, of a table, or of an archive."""

from __future__ import annotations

import io
import json
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from ai_dev_tools.benchmark.errors import ConfigurationError

if TYPE_CHECKING:
    import pandas as pd

Reader = Callable[[str], bytes]


@dataclass(frozen=True)
class Run:
    """What was measured in one run.

    Attributes:
        name: how it is called in tables.
        samples: the samples table.
        plans: the plan ledger, oldest first.
        verdicts: rows of its verdicts table; empty where there is none.
        sessions: what its block jobs recorded of server, model and machine; empty where nothing is.
    """

    name: str
    samples: pd.DataFrame
    plans: list[dict[str, Any]] = field(default_factory=list)
    verdicts: list[dict[str, Any]] = field(default_factory=list)
    sessions: list[dict[str, Any]] = field(default_factory=list)


def read_run(where: str | Path, root: Path = Path(), name: str | None = None) -> Run:
    """A stored run.

    Args:
        where: a profile's name, a results folder, a samples table (.parquet, .csv), or an archive
            (.zip, .tar, .tar.gz …) that holds one.

    Raises:
        ConfigurationError: there is no such run, or it holds no samples table.
    """
    path = locate(where, root)
    label = name or (path.stem if path.is_file() else path.name)
    if path.suffix in (".parquet", ".csv"):
        return Run(label, _table(path.suffix, path.read_bytes(), str(path)))
    with _opened(path) as (members, read):
        for suffix in (".parquet", ".csv"):
            found = sorted((m for m in members if m.endswith(f"samples{suffix}")), key=len)
            if found:
                table = _table(suffix, read(found[0]), f"{path}: {found[0]}")
                plans = sorted((m for m in members if m.endswith("plans.jsonl")), key=len)
                verdicts = sorted((m for m in members if m.endswith("tables/verdicts.csv")), key=len)
                identity = sorted(m for m in members if "identity" in PurePosixPath(m).parts and m.endswith(".json"))
                return Run(
                    label,
                    table,
                    _plans(read(plans[0]), path) if plans else [],
                    _verdicts(read(verdicts[0]), path) if verdicts else [],
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


@contextmanager
def _opened(path: Path) -> Iterator[tuple[list[str], Reader]]:
    """The members of a folder or archive and a way to read one; nothing is unpacked."""
    if path.is_dir():
        places = [path / "tables", path]
        files = [file for place in places for file in place.glob("*.*") if file.is_file()]
        members = [str(file.relative_to(path)) for file in [*files, *path.glob("identity/*/*.json")]]
        yield list(dict.fromkeys(members)), lambda name: (path / name).read_bytes()
    elif zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            yield [n for n in archive.namelist() if PurePosixPath(n).name], archive.read
    elif tarfile.is_tarfile(path):
        with tarfile.open(path) as tar:
            yield [m.name for m in tar.getmembers() if m.isfile()], lambda name: _member(tar, name)
    else:
        raise ConfigurationError(f"{path} is neither a results folder, a table nor an archive")


def _member(archive: tarfile.TarFile, name: str) -> bytes:
    file = archive.extractfile(name)
    return file.read() if file else b""


def _table(suffix: str, data: bytes, where: str) -> pd.DataFrame:
    import pandas as pd

    try:
        return pd.read_parquet(io.BytesIO(data)) if suffix == ".parquet" else pd.read_csv(io.BytesIO(data))
    except (ValueError, OSError) as error:
        raise ConfigurationError(f"{where} is not a samples table ({str(error).splitlines()[0][:120]})") from None


def _verdicts(data: bytes, path: Path) -> list[dict[str, Any]]:
    import pandas as pd

    if not data.strip():
        return []
    try:
        table = pd.read_csv(io.BytesIO(data), low_memory=False)
    except ValueError as error:
        raise ConfigurationError(f"{path}: verdicts.csv is not a table ({str(error).splitlines()[0][:120]})") from None
    return [{str(k): v for k, v in row.items()} for row in table.astype(object).where(table.notna(), None).to_dict("records")]


def _sessions(data: bytes) -> list[dict[str, Any]]:
    """Sessions of an identity file; what cannot be read says nothing."""
    try:
        sessions = json.loads(data)["sessions"]
    except (ValueError, KeyError, TypeError):
        return []
    return [entry for entry in sessions if isinstance(entry, dict)] if isinstance(sessions, list) else []


def _plans(data: bytes, path: Path) -> list[dict[str, Any]]:
    try:
        return [json.loads(line) for line in data.decode().splitlines() if line.strip()]
    except ValueError:
        raise ConfigurationError(
            f"{path}: plans.jsonl is damaged", remedy="Restore it from where the run was made"
        ) from None
