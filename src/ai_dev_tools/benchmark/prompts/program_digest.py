"""A digest of everything that is executed when a tool runs.

A changed tool is another tool, whatever its version.

It covers the program, the installed package behind it, and scripts and modules that the command names. If a package's files
are unchanged since installation, the checksums in its RECORD are used, so that even a large package is checked quickly.
"""

from __future__ import annotations

import ast
import base64
import csv
import hashlib
import importlib.util
import json
import os
import re
import shutil
import sys
import time
from collections.abc import Iterable, Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution, distributions
from pathlib import Path
from urllib.parse import unquote, urlsplit

from ai_dev_tools.benchmark._util import start_cache
from ai_dev_tools.benchmark.records import paths

HASHED_BYTES = 50_000_000
"""Among many files, a file larger than this counts by size and modification time."""
TOUCHED_S = 5
"""How long after a change a file's times may not yet show the next one."""
NODE_SUFFIXES = {".js", ".mjs", ".cjs"}
OWN = [Path(name).parts[0] for name in (paths.CONTEXTS, paths.CORPORA_FOLDER)]
"""What a run itself writes, in case a tool's sources surround it."""
SKIPPED = {"__pycache__", "node_modules"}
_MAPPING = re.compile(r"^MAPPING\b[^=]*= (.*)$", re.MULTILINE)
Part = tuple[str, str]


def executed_digest(argv: list[str], package: str | None) -> str:
    """sha256 of everything that a command executes, if it can be seen from outside.

    Args:
        argv: the words of the command, without those of a case.
        package: the installed distribution that the tool names.
    """
    digest = hashlib.sha256()
    for part in sorted(set(_parts(argv, package))):
        digest.update(json.dumps(part).encode())
    return digest.hexdigest()


def _parts(argv: list[str], package: str | None) -> Iterator[Part]:
    program = _program(argv[0])
    if program:
        yield "program", content_hash(program)
        for found in _behind(program, package):
            yield from _distribution_parts(found)
        if "node_modules" in program.parts or program.suffix in NODE_SUFFIXES:
            manifests = [folder for folder in list(program.parents)[:4] if (folder / "package.json").is_file()]
            yield from (part for folder in manifests[:1] for part in tree_parts(folder))
    elif package:
        yield from (part for found in _installed(package) for part in _distribution_parts(found))
    for word in argv[1:]:
        yield from _word_parts(word)
    if "-m" in argv[1:-1] and program == Path(sys.executable).resolve():
        yield from _module_parts(argv[argv.index("-m") + 1].partition(".")[0])


def _program(word: str) -> Path | None:
    found = shutil.which(word)
    return Path(found).resolve() if found else None


def _word_parts(word: str) -> Iterator[Part]:
    """Files and folders outside of the case that a word names, alone or after an equals sign."""
    for name in {word, word.partition("=")[2]}:
        if name.startswith("/") and len(name) < 4096 and "\0" not in name and os.path.exists(name):
            path = Path(name)
            if path.is_file():
                yield path.name, content_hash(path)
            elif path != Path(path.anchor):
                yield from tree_parts(path)


def _behind(program: Path, package: str | None) -> Iterator[Distribution]:
    """The distribution that a tool names, and the one that installed its program."""
    if package:
        yield from _installed(package)
    folders = _package_folders(program)
    if folders and program != Path(sys.executable).resolve():
        script = f"/{program.name},"
        yield from (found for found in distributions(path=folders) if script in (found.read_text("RECORD") or ""))


def version_beside(program: str, package: str) -> str | None:
    """The version of a package in a program's own environment, as of `pipx` or `uv tool`, if it is there."""
    path = _program(program)
    found = distributions(name=package, path=_package_folders(path)) if path else ()
    return next((str(one.version) for one in found), None)


def _package_folders(program: Path) -> list[str]:
    """Where the packages of a program's environment are."""
    prefix = program.parent.parent
    return [str(path) for path in (*prefix.glob("lib/python3*/*-packages"), *prefix.glob("Lib/site-packages"))]


def _installed(package: str) -> Iterator[Distribution]:
    try:
        yield distribution(package)
    except PackageNotFoundError:
        return


def _module_parts(name: str) -> Iterator[Part]:
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return
    if spec and spec.submodule_search_locations:
        for folder in spec.submodule_search_locations:
            yield from tree_parts(Path(folder))
    elif spec and spec.origin and Path(spec.origin).is_file():
        yield name, content_hash(Path(spec.origin))


def _distribution_parts(found: Distribution) -> Iterator[Part]:
    name = str(found.metadata["Name"])
    yield name, str(found.version)
    written = _recorded_at(found)
    for path, recorded, size in _recorded(found):
        if not path.endswith(".pyc") and ".dist-info/" not in path:
            yield f"{name}/{path}", _as_recorded(Path(str(found.locate_file(path))), recorded, size, written)
    for folder in _sources(found):
        yield from tree_parts(folder)


def _recorded(found: Distribution) -> Iterator[tuple[str, str, str]]:
    """Path, checksum and size of each file, as the installer wrote them down."""
    rows = csv.reader((found.read_text("RECORD") or "").splitlines())
    listed = [(row[0], row[1], row[2]) for row in rows if len(row) == 3]
    yield from listed or [(str(file), "", "") for file in found.files or ()]


def _recorded_at(found: Distribution) -> int:
    """When the installer wrote RECORD, its last file; 0 if there is none."""
    folder = getattr(found, "_path", None)
    try:
        return Path(str(folder), "RECORD").stat().st_mtime_ns if folder else 0
    except OSError:
        return 0


def _as_recorded(path: Path, recorded: str, size: str, written: int) -> str:
    """A file's checksum.

    The recorded one if the file has not been touched since, otherwise that of its content.
    """
    try:
        status = path.stat()
    except OSError:
        return ""
    untouched = max(status.st_mtime_ns, status.st_ctime_ns) <= written and str(status.st_size) == size
    return recorded if untouched and recorded.startswith("sha256=") else content_hash(path)


def _sources(found: Distribution) -> list[Path]:
    """Where the source code of an editable distribution is, because that is where its author changes it."""
    try:
        origin = json.loads(found.read_text("direct_url.json") or "{}")
        if not origin.get("dir_info", {}).get("editable"):
            return []
        project = Path(unquote(urlsplit(origin["url"]).path))
    except (ValueError, KeyError, AttributeError):
        return []
    folders: list[Path] = []
    for path, _, _ in _recorded(found):
        if path.endswith((".pth", ".py")) and "/" not in path:
            folders += _named_in(Path(str(found.locate_file(path))))
    return [folder for folder in folders if folder.exists()] or [project]


def _named_in(file: Path) -> list[Path]:
    """Folders that a .pth file or the finder of an editable installation names."""
    try:
        text = file.read_text(encoding="utf-8")
        if file.suffix == ".pth":
            lines = [line.strip() for line in text.splitlines()]
            return [Path(line) for line in lines if line.startswith("/") and Path(line).is_dir()]
        mapping = _MAPPING.search(text)
        return [Path(place) for place in ast.literal_eval(mapping[1]).values()] if mapping else []
    except (OSError, ValueError, SyntaxError, AttributeError):
        return []


def tree_parts(folder: Path) -> Iterator[Part]:
    """Every file below a folder that can be part of a tool.

    Hidden, installed and cached files are not, nor what this workflow writes.
    """
    own = {Path(name).resolve() for name in OWN}
    if folder.is_file():
        yield folder.name, content_hash(folder)
        return
    for place, folders, files in os.walk(folder):
        folders[:] = [
            name for name in folders if _counts(Path(place) / name) and (Path(place) / name).resolve() not in own
        ]
        for name in files:
            path = Path(place) / name
            if not name.startswith(".") and path.suffix != ".pyc" and path.is_file():
                yield f"{folder.name}/{path.relative_to(folder).as_posix()}", _quick_hash(path)


def _counts(folder: Path) -> bool:
    name = folder.name
    return not (
        name.startswith(".") or name in SKIPPED or name.endswith(".egg-info") or (folder / "pyvenv.cfg").exists()
    )


def _quick_hash(path: Path) -> str:
    try:
        status = path.stat()
    except OSError:
        return ""
    return content_hash(path) if status.st_size <= HASHED_BYTES else f"{status.st_size} {status.st_mtime_ns}"


def content_hash(path: Path) -> str:
    """sha256 of a file's content, written as in RECORD; empty if it cannot be read.

    A start of Snakemake remembers it for files that have not been touched since.
    """
    try:
        with path.open("rb") as file:
            key = _untouched(path, os.fstat(file.fileno()))
            if key and isinstance(known := start_cache.recall(key), str):
                return known
            found = hashlib.file_digest(file, "sha256").digest()
    except OSError:
        return ""
    text = "sha256=" + base64.urlsafe_b64encode(found).rstrip(b"=").decode()
    if key:
        start_cache.keep(key, text)
    return text


def _untouched(path: Path, status: os.stat_result) -> str:
    """A key that changes with the file, as the system knows it.

    None if the file was touched a moment ago, because another change might not show.
    """
    if time.time_ns() - max(status.st_mtime_ns, status.st_ctime_ns) < TOUCHED_S * 10**9:
        return ""
    where = status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
    return start_cache.key_of("file", str(path), *where)


def case_free(words: Iterable[str]) -> list[str]:
    """Words without placeholders of a case; what those become is not a program."""
    return [
        word for word in words if not any(f"{{{name}" in word for name in ("files", "question", "vars.", "output_file"))
    ]
