"""Check names that become parts of paths, in one place for all inputs.

A name that some system reads differently (`..`, `aux`, `A` next to `a`) would put files in unexpected places, or
make a finished run impossible to archive. Settings, tasks, tools, imports and archives all use this module.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from ai_dev_tools.benchmark.records.archive_names import name_problem, path_key

LONGEST_PATH = 240
"""Maximum size of a path below a results folder or in an archive; some systems cannot unpack longer ones."""
LONGEST = 100
"""Maximum size of one name, so that paths made of several names stay below `LONGEST_PATH`."""

_CLUTTER = re.compile(r"\..*|__pycache__|__MACOSX|Thumbs\.db|desktop\.ini|.*~|#.*#|.*\.(swp|bak|orig)", re.DOTALL)


def checked(name: str) -> str:
    """Return a name that may become part of a path unchanged; raise ValueError if it is not allowed."""
    size = len(name.encode("utf-8", "surrogatepass"))
    if size > LONGEST:
        raise ValueError(f"'{name[:20]}…' has {size} bytes: it names files, so use {LONGEST} at most")
    if "/" in name or name_problem(name, LONGEST_PATH):
        raise ValueError(f"'{name}' cannot name a file or folder on every system: choose another name")
    return name


def safe_segment(text: str) -> str:
    """Any text as one part of a path: `llama3.2:1b` -> `llama3.2-1b`.

    Raises ValueError if nothing is left.
    """
    return checked(re.sub(r"[^A-Za-z0-9._-]", "-", text))


def figure_id(kind: str, name: str) -> str:
    """Id of a figure, and name of its files, about something whose name may come from an untrusted table."""
    return f"{kind}-{re.sub(r'[^A-Za-z0-9_-]', '-', name)[:LONGEST]}"


def path_problems(members: Iterable[tuple[str, str]]) -> Iterator[str]:
    """What prevents files from being archived together, one line for each problem.

    Args:
        members: (path in the archive, name for people) of every file; the same pair may occur twice.
    """
    taken: dict[str, tuple[str, str]] = {}
    for member, known_as in members:
        if problem := name_problem(member, LONGEST_PATH):
            yield f"{known_as} {problem}: a run with it could not be archived; rename it"
            continue
        other = taken.setdefault(path_key(member), (member, known_as))
        if other != (member, known_as):
            yield f"{other[1]} and {known_as} would be one file on some systems, and in an archive: rename one of them"


def is_clutter(path: PurePosixPath | Path, asked: str = "") -> bool:
    """Whether a file is hidden, or a backup that systems and editors leave behind.

    For example `.DS_Store`, `._x`, `.#x` or `x~`.

    Args:
        path: relative to the folder that is searched.
        asked: the glob that found it; files that it names itself (`.github/**`) are not clutter.
    """
    if not (clutter := [part for part in path.parts if _CLUTTER.fullmatch(part)]):
        return False
    words = PurePosixPath(asked).parts
    named = [word for word in words if word.startswith(".") or not re.search(r"[*?\[]", word)]
    return any(not any(fnmatchcase(part, word) for word in named) for part in clutter)


def clean_files(folder: Path, pattern: str) -> list[Path]:
    """Files below a folder that match a glob, without clutter, sorted.

    Raises ValueError for an invalid glob.
    """
    found = (path for path in folder.glob(pattern) if path.is_file())
    return sorted(path for path in found if not is_clutter(path.relative_to(folder), pattern))
