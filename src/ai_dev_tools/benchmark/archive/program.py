"""Whether the program in an archive is the installed one or was changed."""

from __future__ import annotations

import hashlib
import importlib.resources
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from ai_dev_tools import __version__
from ai_dev_tools.benchmark._util.text import visible_line
from ai_dev_tools.benchmark.archive.layout import SOURCE, ManifestEntry
from ai_dev_tools.benchmark.archive.members import OWN, PROGRAM, SHIPPED
from ai_dev_tools.benchmark.config.shipped_files import CHECKOUT, PACKAGED
from ai_dev_tools.benchmark.records import paths

MOST_NAMED = 5
OTHER_PROGRAM = "made by a program that is not the installed one"


@dataclass(frozen=True)
class ProgramComparison:
    """The program in an archive, compared with the installed one.

    Attributes:
        differing: members that differ from the installed ones, are not installed, or are missing.
        own: members with code written by the person who made the run.
    """

    differing: tuple[str, ...] = ()
    own: tuple[str, ...] = ()

    @property
    def same(self) -> bool:
        return not self.differing

    @property
    def line(self) -> str:
        """Which program would run, in one line."""
        whose = f"same as version {__version__}, which is installed here"
        if self.differing:
            whose = f"NOT the installed version {__version__}: {names_in_line(self.differing)} differ"
        return f"{whose}; custom code of the sender: {names_in_line(self.own)}" if self.own else whose


def compare_program(files: Mapping[str, ManifestEntry]) -> ProgramComparison:
    """The program among an archive's members, against the installed one.

    Args:
        files: the manifest's, whose checksums were verified.
    """
    here = {name: path for name, path in _installed() if not name.startswith(SHIPPED)}
    there = {name for name in files if name.startswith(PROGRAM) and not name.startswith(SHIPPED)}
    doubled = {name: _home() / name.removeprefix(SHIPPED) for name in files if name.startswith(SHIPPED)}
    compared = here | doubled
    differing = [
        name for name in sorted(there | compared.keys())
        if name not in files or name not in compared or _sha256(compared[name]) != files[name].sha256
    ]  # fmt: skip
    return ProgramComparison(tuple(differing), tuple(sorted(name for name in files if _is_own(name, files))))


def _is_own(name: str, files: Mapping[str, ManifestEntry]) -> bool:
    """Whether a member holds code that is not part of the program.

    A tool that ships with it is part of it.
    """
    return name.startswith(OWN) and not (name.startswith(paths.TOOLS) and _sha256(_home() / name) == files[name].sha256)


def installed_notebook() -> Path:
    """The report notebook of the installed program."""
    return _home() / paths.NOTEBOOK


def _home() -> Path:
    return next((folder for folder in (CHECKOUT, PACKAGED) if (folder / "Snakefile").is_file()), PACKAGED)


def _installed() -> Iterator[tuple[str, Path]]:
    """The names of the installed program's files in an archive."""
    home = _home()
    trees = ((home / "workflow", "workflow"), (home / "profiles" / "default", "profiles/default"),
             (Path(str(importlib.resources.files("ai_dev_tools"))), SOURCE))  # fmt: skip
    for folder, name in trees:
        for path in package_files(folder):
            yield f"{name}/{path.relative_to(folder).as_posix()}", path
    for name in ("Snakefile", paths.NOTEBOOK):
        yield name, home / name


def package_files(folder: Path) -> Iterator[Path]:
    """Every file below a folder, sorted; caches and hidden files are left out."""
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(folder).parts
        if path.is_file() and path.suffix != ".pyc" and not any(p.startswith(".") or p == "__pycache__" for p in parts):
            yield path


@cache
def _sha256(path: Path) -> str | None:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None


def names_in_line(names: Iterable[str]) -> str:
    """Names of members in one line, the first few of many."""
    every = list(names)
    more = f" and {len(every) - MOST_NAMED} more" if len(every) > MOST_NAMED else ""
    return ", ".join(map(visible_line, every[:MOST_NAMED])) + more
