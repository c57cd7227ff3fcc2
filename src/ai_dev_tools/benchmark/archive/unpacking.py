"""Unpack an archive after checking it: all of its files, or only its data with a report made here."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from ai_dev_tools.benchmark.archive.container import LIMITS, Archive, ArchiveError, ArchiveLimits, open_archive
from ai_dev_tools.benchmark.archive.layout import BLOCK_NAME, MANIFEST, PROMPTS_NAME, Manifest
from ai_dev_tools.benchmark.archive.limits import bounded_memory, first_line
from ai_dev_tools.benchmark.archive.program import installed_notebook
from ai_dev_tools.benchmark.archive.verification import Verification, verify
from ai_dev_tools.benchmark.errors import BenchmarkError, ConfigurationError
from ai_dev_tools.benchmark.records import paths
from ai_dev_tools.benchmark.records.about import RunAbout

NO_PLUGINS = "plugins, notebooks and templates of the archive were left out"


def unpack(path: Path, folder: Path, *, limits: ArchiveLimits = LIMITS) -> Verification:
    """Check an archive and unpack it.

    Nothing is written unless it is genuine, and nothing outside `folder`.

    Args:
        folder: must not exist, or be empty.

    Raises:
        ArchiveError: the archive is damaged or does harm.
        ConfigurationError: the folder is in use or cannot be written.
    """
    refuse_in_use(folder)
    checked = verify(path, limits=limits).require()
    with all_or_nothing(folder), open_archive(path, limits) as archive:
        for name in archive.members:
            _extract(archive, name, folder / name, checked)
    return checked


def render(path: Path, folder: Path, *, limits: ArchiveLimits = LIMITS) -> Verification:
    """Check an archive, and make its tables and its report again in a separate results folder.

    The data come from the archive and all code from here, so that nothing from the sender is run.

    Args:
        folder: must not exist, or be empty.

    Raises:
        ArchiveError: the archive is damaged or does harm, or no report can be made of it.
        ConfigurationError: the folder is in use or cannot be written.
    """
    from ai_dev_tools.benchmark.reporting.render import Inputs, render_report  # takes 0.5 s

    refuse_in_use(folder)
    checked = verify(path, report=False, limits=limits).require()
    with all_or_nothing(folder), bounded_memory(path, limits), open_archive(path, limits) as archive:
        manifest = msgspec.json.decode(archive.read(MANIFEST), type=Manifest)
        run = f"{paths.RUN.format(profile=manifest.profile)}/"
        kept = ("blocks/", "identity/", "plans.jsonl", "about.json")
        for name in manifest.files:
            place = name.removeprefix(run) if name.startswith(run) else name.removeprefix("results/")
            if (name.startswith(run) and place.startswith(kept)) or PROMPTS_NAME.fullmatch(name):
                _extract(archive, name, folder / place, checked)
        about = RunAbout.read(json.loads((folder / "about.json").read_bytes()))
        blocks = [folder / name.removeprefix(run) for name in manifest.files if BLOCK_NAME.fullmatch(name)]
        prompts = sorted((folder / "prompts").glob("*.jsonl"))
        try:
            _tables(archive, folder, blocks, prompts, about.plan)
            inputs = Inputs(folder / "tables", installed_notebook(), folder / "plans.jsonl", blocks, prompts, about)
            render_report(inputs, folder / "report", folder / "figures")
        except (BenchmarkError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ArchiveError(f"{path}: no report can be made of it ({first_line(error)})") from None
    return checked


def _tables(archive: Archive, folder: Path, blocks: list[Path], prompts: list[Path], plan: str | None) -> None:
    from ai_dev_tools.benchmark.archive.recompute import derive_tables, settings_of  # takes 30 ms

    (folder / "tables").mkdir()
    outputs = {key: folder / "tables" / Path(file).name for key, file in paths.TABLE_FILES.items()}
    derive_tables(settings_of(archive), blocks, prompts, folder / "plans.jsonl", outputs, plan)


def _extract(archive: Archive, name: str, target: Path, checked: Verification) -> None:
    """Write a member after checking it again, because the file may have been replaced since."""
    target.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    with open(target, "xb") as file:
        for piece in archive.pieces(name):
            digest.update(piece)
            file.write(piece)
    if name != MANIFEST and (name not in checked.files or checked.files[name].sha256 != digest.hexdigest()):
        raise ArchiveError(f"{archive.path} was replaced while it was read: {name} is not what was checked")


@contextmanager
def all_or_nothing(folder: Path) -> Iterator[None]:
    """Leave nothing half-made behind."""
    try:
        yield
    except OSError as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise ConfigurationError(f"cannot write into {folder}: {error.strerror}") from None
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def refuse_in_use(folder: Path) -> None:
    """Raises ConfigurationError unless the folder is new, or empty."""
    if folder.is_dir() and any(folder.iterdir()):
        raise ConfigurationError(f"{folder} is not empty", remedy="Name a new folder")
    if folder.exists() and not folder.is_dir():
        raise ConfigurationError(f"{folder} is a file", remedy="Name a new folder")
