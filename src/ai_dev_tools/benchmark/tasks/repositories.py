"""One commit of a git repository as a folder of texts.

It is read from git's objects and never checked out, so no hook or filter runs.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ai_dev_tools.benchmark._util.text import is_text
from ai_dev_tools.benchmark.errors import ConfigurationError
from ai_dev_tools.benchmark.tasks.corpora import is_safe_path
from ai_dev_tools.benchmark.tasks.workspaces import MAX_FILE_BYTES, WorkspaceSource

MAX_REPOSITORY_BYTES = 512 * 2**20
"""Of all files of a commit that may be texts."""
FETCH_TIMEOUT_S = 600.0
_ELSEWHERE = (
    "GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_NAMESPACE",
)  # fmt: skip
_INCOMPLETE = "The repository may be a partial clone or damaged: see `git fsck`, or clone it again as a whole"
_FILE_MODES, _LINK_MODE = ("100644", "100755"), "120000"


def check_place(source: WorkspaceSource, base: Path, where: str) -> None:
    """Refuse a workspace whose folder or commit does not exist, if that can be seen without fetching.

    Args:
        base: the task's folder.

    Raises:
        ConfigurationError: says what is wrong.
    """
    if source.path is not None and not source.local(base).is_dir():
        raise ConfigurationError(f"{where}: 'workspace.path' {source.path} is not a folder")
    if source.git is not None and not source.folder(Path(), base).is_dir():
        _check_commit(source, base, where)


def _check_commit(source: WorkspaceSource, base: Path, where: str) -> None:
    """Refuse a folder that is not a git repository, or lacks the commit.

    An address is only asked when it is fetched.

    Raises:
        ConfigurationError: says what is wrong, or that git is not installed.
    """
    if source.is_remote:
        return
    repository = source.local(base)
    if not repository.is_dir():
        raise ConfigurationError(f"{where}: 'workspace.git' {source.git} is neither a folder nor an address")
    found = _git(["rev-parse", "--show-prefix"], repository)
    if found.returncode:
        raise ConfigurationError(f"{where}: 'workspace.git' {source.git} is not a git repository")
    if found.stdout.strip():
        raise ConfigurationError(
            f"{where}: 'workspace.git' {source.git} is a folder within a repository",
            remedy="Name the repository's own folder, and the files below it with `files`",
        )
    if _git(["cat-file", "-e", f"{source.commit}^{{commit}}"], repository).returncode:
        raise ConfigurationError(f"{where}: {source.commit} is not a commit of {source.git}")


def fetch_repository(source: WorkspaceSource, destination: Path, base: Path, where: str) -> None:
    """Make `destination` a folder with every text of the commit; does nothing if it is there.

    The folder appears whole or not at all. Binary files, submodules, and links to other files of the repository are left out.

    Raises:
        ConfigurationError: no such repository or commit, it is too large, a link in it leads out of it, git lacks part of it, or
            it cannot be written.
    """
    if destination.is_dir():
        return
    try:
        _fetch(source, destination, base, where)
    except OSError as error:
        raise ConfigurationError(
            f"{where}: workspace {source.label} cannot be written to {destination}: {error.strerror or error}",
            remedy="Free disk space or make the folder writable",
        ) from None


def _fetch(source: WorkspaceSource, destination: Path, base: Path, where: str) -> None:
    destination.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=destination.parent, prefix=".git.") as scratch:
        if source.is_remote:
            repository = _fetched(source, Path(scratch) / "repository", where)
        else:
            _check_commit(source, base, where)
            repository = source.local(base)
        folder = Path(scratch) / "files"
        folder.mkdir()
        for name, content in _texts(repository, source, where):
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        if not any(folder.iterdir()):
            raise ConfigurationError(f"{where}: workspace {source.label}: it contains no text files")
        os.replace(folder, destination)


def _fetched(source: WorkspaceSource, repository: Path, where: str) -> Path:
    """A bare repository with the commit alone."""
    repository.mkdir()
    begun = _git(["init", "--quiet", "--bare"], repository)
    if begun.returncode:
        raise ConfigurationError(f"{where}: git cannot make a repository in {repository}: {_reason(begun.stderr)}")
    command = ["fetch", "--quiet", "--depth", "1", "--no-tags", "--no-recurse-submodules", "--"]
    done = _git([*command, str(source.git), str(source.commit)], repository, FETCH_TIMEOUT_S)
    if done.returncode:
        raise ConfigurationError(
            f"{where}: {source.commit} cannot be fetched from {source.git}: {_reason(done.stderr)}",
            remedy="Check address, commit and network; or clone it, and name the folder as `git`",
        )
    return repository


@dataclass(frozen=True)
class _TreeEntry:
    """A file of a commit as its tree lists it."""

    mode: str
    digest: str
    size: int
    path: str


def _texts(repository: Path, source: WorkspaceSource, where: str) -> Iterator[tuple[str, bytes]]:
    about = f"{where}: workspace {source.label}"
    entries = list(_listed(repository, str(source.commit), about))
    for entry in entries:
        if not is_safe_path(entry.path):
            raise ConfigurationError(f"{about}: {entry.path!r} is a path that leads out of it")
    files = [entry for entry in entries if entry.mode in _FILE_MODES and entry.size <= MAX_FILE_BYTES]
    if sum(entry.size for entry in files) > MAX_REPOSITORY_BYTES:
        raise ConfigurationError(
            f"{about}: its files together are larger than {MAX_REPOSITORY_BYTES / 2**20:.0f} MB",
            remedy="Use a folder of a clone as `path`",
        )
    links = [entry for entry in entries if entry.mode == _LINK_MODE]
    for entry, target in _contents(repository, links, about):
        if not _stays_inside(entry.path, target.decode(errors="replace")):
            raise ConfigurationError(f"{about}: {entry.path} is a link that leads out of it")
    found = _contents(repository, files, about)
    yield from ((entry.path, content) for entry, content in found if is_text(content))


def _stays_inside(link: str, target: str) -> bool:
    """Whether a link's target is below the repository, going by the names alone."""
    place = os.path.normpath(PurePosixPath(link).parent / target)
    return not (target.startswith("/") or place.split("/")[0] == "..")


def _listed(repository: Path, commit: str, about: str) -> Iterator[_TreeEntry]:
    done = _git(["ls-tree", "-r", "-z", "-l", "--full-tree", commit], repository)
    if done.returncode:
        raise ConfigurationError(f"{about}: git cannot list its files: {_reason(done.stderr)}", remedy=_INCOMPLETE)
    for line in done.stdout.split(b"\0"):
        entry, _, path = line.partition(b"\t")
        if path:
            mode, _, digest, size = entry.decode().split()
            yield _TreeEntry(mode, digest, int(size) if size.isdigit() else 0, path.decode(errors="surrogateescape"))


def _contents(repository: Path, entries: Sequence[_TreeEntry], about: str) -> Iterator[tuple[_TreeEntry, bytes]]:
    """What git keeps of each file, in the same order.

    Raises:
        ConfigurationError: git does not have one of them, or ends early.
    """
    if not entries:
        return
    wanted = "".join(f"{entry.digest}\n" for entry in entries).encode()
    with tempfile.TemporaryFile() as asked:
        asked.write(wanted)
        asked.seek(0)
        with subprocess.Popen(
            _command(["cat-file", "--batch"], repository),
            stdin=asked, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=_environment(),
        ) as process:  # fmt: skip
            assert process.stdout is not None
            for entry in entries:
                header = process.stdout.readline().split()  # `ID blob SIZE`, or `ID missing`
                size = int(header[2]) if header[1:2] == [b"blob"] else -1
                content = process.stdout.read(max(0, size))
                if len(content) != size or process.stdout.read(1) != b"\n":
                    raise ConfigurationError(
                        f"{about}: git cannot read {entry.path} ({entry.digest})", remedy=_INCOMPLETE
                    )
                yield entry, content


def _git(words: Sequence[str], repository: Path, timeout: float = 60.0) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(
            _command(words, repository),
            stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout, env=_environment(),
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(list(words), 1, b"", f"git did not end within {timeout:g} s".encode())


def _command(words: Sequence[str], repository: Path) -> list[str]:
    program = shutil.which("git")
    if program is None:
        raise ConfigurationError("a workspace names a git repository, but git is not installed")
    return [program, "-C", str(repository), *words]


def _environment() -> dict[str, str]:
    """The environment of this process, without what names another repository or asks questions."""
    kept = {name: value for name, value in os.environ.items() if name not in _ELSEWHERE}
    return kept | {"GIT_TERMINAL_PROMPT": "0", "GIT_ALLOW_PROTOCOL": "file:git:http:https:ssh", "LC_ALL": "C"}


def _reason(output: bytes) -> str:
    """Git's own reason for a failure: the last line that it marks as one."""
    lines = output.decode(errors="replace").strip().splitlines()
    marked = [line for line in lines if line.startswith(("fatal: ", "error: "))]
    found = (marked or lines or ["no reason given"])[-1]
    return found.removeprefix("fatal: ").removeprefix("error: ").rstrip(".")
