"""Workspaces: the files of a whole repository, which only an agent can read, piece by piece.

They are all texts of a pinned package, your own folder, or one commit of a git repository. Nothing in them is executed.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Literal

from pydantic import Field, model_validator

from ai_dev_tools.benchmark._util.text import is_storable, is_text, listing, number
from ai_dev_tools.benchmark.config.parsing import PLACE, StrictModel
from ai_dev_tools.benchmark.errors import ConfigurationError
from ai_dev_tools.benchmark.records import paths
from ai_dev_tools.benchmark.records.episode import Workspace
from ai_dev_tools.benchmark.records.names import is_clutter
from ai_dev_tools.benchmark.tasks.case_files import content_digest
from ai_dev_tools.benchmark.tasks.corpora import CorpusUnavailable, whole_id
from ai_dev_tools.benchmark.tasks.size_classes import CHARS_PER_TOKEN, LARGEST_WORKSPACE

if TYPE_CHECKING:
    from ai_dev_tools.benchmark.tasks.loading import Case, Task

MAX_FILES = 10_000
MAX_BYTES = 64 * 2**20
MAX_FILE_BYTES = 4 * 2**20
_FULL_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_ADDRESS = re.compile(r"(https?|ssh|git|file)://|[\w.-]+@[\w.-]+:", re.IGNORECASE)
_SECRET = re.compile(r"https?://[^/]*@|\w+://[^/]*:[^/]*@", re.IGNORECASE)
Kind = Literal["corpus", "path", "git"]


class WorkspaceSource(StrictModel):
    """Where the files of a workspace come from.

    Attributes:
        corpus: a package of `corpora.yaml`, all of whose texts count, not only the listed members.
        path: a folder, seen from the task's.
        git: folder, seen from the task's, or address of a git repository, of which `commit` is read.
    """

    corpus: str | None = Field(None, min_length=1)
    path: str | None = Field(None, min_length=1, pattern=PLACE)
    git: str | None = Field(None, min_length=1, pattern=PLACE)
    commit: str | None = None

    @model_validator(mode="after")
    def _one_place(self) -> WorkspaceSource:
        if sum(given is not None for given in (self.corpus, self.path, self.git)) != 1:
            raise ValueError("give exactly one of 'corpus', 'path' and 'git'")
        if self.git is None:
            if self.commit is not None:
                raise ValueError("'commit' needs 'git'")
            return self
        if self.commit is None:
            raise ValueError("'commit' is missing: what a branch points to can change")
        if not _FULL_COMMIT.fullmatch(self.commit):
            raise ValueError(
                f"'commit' is {self.commit[:60]!r}, which is not a full commit id (40 hexadecimal digits): "
                f"see `git rev-parse {self.commit[:60]}`"
            )
        if self.git.startswith("-") or re.match(r"\w+::", self.git):
            raise ValueError("'git' is neither a folder nor an address of a repository")
        if _SECRET.match(self.git):
            raise ValueError(
                "'git' contains a name or password, which would be stored with every result: put it into git's own settings"
            )
        return self

    @property
    def kind(self) -> Kind:
        return "corpus" if self.corpus is not None else "path" if self.path is not None else "git"

    @property
    def label(self) -> str:
        """A name for people."""
        return f"{self.git} at {str(self.commit)[:12]}" if self.git else str(self.corpus or self.path)

    @property
    def is_remote(self) -> bool:
        """Whether `git` is an address, not a folder of this machine."""
        return self.git is not None and _ADDRESS.match(self.git) is not None

    def local(self, base: Path) -> Path:
        """The folder of this machine that `path` or `git` names, seen from the task's folder `base`."""
        return base / Path(str(self.path or self.git)).expanduser()

    def identity(self, base: Path) -> str:
        """What the files belong to, at any commit: questions are about this alone."""
        return str(self.corpus or self.git) if self.corpus or self.is_remote else str(self.local(base).resolve())

    def repository(self, base: Path) -> str | None:
        """Id of the commit's folder below `resources/repositories`, if this is one."""
        if self.git is None:
            return None
        return f"{hashlib.sha256(self.identity(base).encode()).hexdigest()[:8]}-{str(self.commit)[:12]}"

    def folder(self, corpora: Path, base: Path) -> Path:
        """Where the files are, or will be.

        Args:
            corpora: folder of the fetched corpora.
            base: the task's folder.
        """
        if self.corpus is not None:
            return corpora / whole_id(self.corpus)
        return self.local(base) if self.git is None else Path(paths.REPOSITORIES_FOLDER) / str(self.repository(base))


@dataclass(frozen=True)
class WorkspaceFiles:
    """The text files of a workspace.

    Attributes:
        root: folder of the files.
        texts: text of each file by path, with line ends as Python reads them.
        left_out: paths of those that match, too, but are not text.
    """

    source: WorkspaceSource
    root: Path
    texts: Mapping[str, str]
    left_out: tuple[str, ...]

    @property
    def tokens(self) -> int:
        """How long they are, estimated."""
        return round(sum(map(len, self.texts.values())) / CHARS_PER_TOKEN)

    @cached_property
    def digest(self) -> str:
        """sha256 over all paths and texts."""
        return content_digest(*(part for item in sorted(self.texts.items()) for part in item))

    def record(self) -> Workspace:
        """As it goes with a prompt."""
        place = self.root if Path(self.source.path or "").is_absolute() else Path(os.path.relpath(self.root.resolve()))
        return Workspace(
            kind=self.source.kind,
            label=self.source.label,
            digest=self.digest,
            root=place.as_posix(),
            files=list(self.texts),
        )


def read_workspace(case: Case, source: WorkspaceSource, corpora: Path, base: Path) -> WorkspaceFiles:
    """The files of a case's workspace that match any of its globs, sorted.

    Args:
        corpora: folder of the fetched corpora.
        base: the task's folder.

    Raises:
        CorpusUnavailable: the package is not fetched.
        ConfigurationError: the folder is missing, empty, too large, not readable, or a link in it leads out of it.
    """
    globs, where = case.files, case.where
    root = source.folder(corpora, base)
    if not root.is_dir():
        if source.corpus is not None:
            raise CorpusUnavailable(f"corpus '{source.corpus}' is not available")
        raise ConfigurationError(f"{where}: 'workspace' folder {root} does not exist")
    about = f"{where}: workspace {source.label}"
    found: dict[str, str] = {}
    size, left_out = 0, []
    for name in _matching(root, globs, about):
        path = root / name
        try:
            size += path.stat().st_size
            _refuse_large(path, size, len(found), about)
            content = path.read_bytes()
        except OSError as error:
            raise ConfigurationError(
                f"{about}: {path} cannot be read: {error.strerror}",
                remedy="Make it readable, or name other files with `files`",
            ) from None
        if not is_text(content):
            left_out.append(name)
            continue
        found[name] = content.decode().replace("\r\n", "\n").replace("\r", "\n")
    _refuse_unmatched(globs, found, left_out, about)
    return WorkspaceFiles(source, root, found, tuple(left_out))


class Workspaces:
    """The workspaces of a task's cases; what several cases share is read once.

    Args:
        corpora: folder of the fetched corpora.
    """

    def __init__(self, task: Task, corpora: Path) -> None:
        self._task, self._corpora = task, corpora
        self._known: dict[tuple[WorkspaceSource, tuple[str, ...]], WorkspaceFiles] = {}

    def of(self, case: Case) -> WorkspaceFiles:
        """The files of a case that has a workspace.

        Raises:
            CorpusUnavailable, ConfigurationError: see `read_workspace`.
        """
        assert case.workspace is not None
        key = case.workspace, case.files
        if key not in self._known:
            self._known[key] = read_workspace(case, case.workspace, self._corpora, self._task.folder)
        return self._known[key]

    def left_out(self) -> Iterator[str]:
        """A line for each workspace, of those that were read, some of whose files are not text."""
        for files in self._known.values():
            if files.left_out:
                yield (
                    f"note: task {self._task.id}: workspace {files.source.label}: left out as they are not text: "
                    f"{listing(list(files.left_out), 3)}"
                )


def left_out(task: Task, corpora: Path) -> Iterator[str]:
    """A line for each folder or repository of a task with files that are not text.

    Agents are not shown these.

    Raises:
        ConfigurationError: see `read_workspace`.
    """
    workspaces = Workspaces(task, corpora)
    for case in task.cases:
        if case.workspace and not case.workspace.corpus:
            workspaces.of(case)
    yield from workspaces.left_out()


def _refuse_large(path: Path, size: int, count: int, about: str) -> None:
    remedy = "Name fewer with `files`"
    if path.stat().st_size > MAX_FILE_BYTES:
        raise ConfigurationError(f"{about}: {path} is larger than {MAX_FILE_BYTES / 2**20:.0f} MB", remedy=remedy)
    if size > MAX_BYTES:
        raise ConfigurationError(
            f"{about}: its files together are larger than {MAX_BYTES / 2**20:.0f} MB", remedy=remedy
        )
    if count >= MAX_FILES:
        raise ConfigurationError(f"{about}: it has more than {number(MAX_FILES)} files", remedy=remedy)


def _refuse_unmatched(globs: Sequence[str], found: Mapping[str, str], left_out: Sequence[str], about: str) -> None:
    """Refuse an empty workspace, and a glob that names nothing an agent could read."""
    if not found and not left_out and set(globs) == {"**/*"}:
        raise ConfigurationError(f"{about}: it contains no files")
    for glob in globs:
        if any(_matches(name, glob) for name in found):
            continue
        others = [name for name in left_out if _matches(name, glob)]
        if others:
            raise ConfigurationError(
                f"{about}: 'files' entry '{glob}' matches only files that are not text: {listing(others, 3)}"
            )
        raise ConfigurationError(f"{about}: 'files' entry '{glob}' matches no file")


def _matching(root: Path, globs: Sequence[str], about: str) -> Iterator[str]:
    for glob in globs:
        if glob.startswith("/") or ".." in PurePosixPath(glob).parts:
            raise ConfigurationError(f"{about}: 'files' entry '{glob}' leads out of the workspace")
    yield from (name for name in _walk(root, globs, about) if any(_matches(name, glob) for glob in globs))


def _walk(root: Path, globs: Sequence[str], about: str, below: str = "") -> Iterator[str]:
    """Paths of all files, sorted; what is hidden or left behind by editors only if a glob names it.

    Raises:
        ConfigurationError: a link leads out of the folder, or the folder cannot be read.
    """
    words = [PurePosixPath(glob).parts for glob in globs]
    try:
        entries = sorted(os.scandir(root / below), key=lambda entry: entry.name)
    except OSError as error:
        raise ConfigurationError(f"{about}: {root / below} cannot be read: {error.strerror}") from None
    for entry in entries:
        name = f"{below}/{entry.name}" if below else entry.name
        if all(is_clutter(PurePosixPath(name), glob) for glob in globs):
            continue
        parts = name.split("/")
        wanted = any(_fits(parts, glob) for glob in words)
        if wanted and not is_storable(name):
            raise ConfigurationError(f"{about}: {name!a} has a name that is not UTF-8")
        if wanted and any(character < " " for character in name):
            raise ConfigurationError(f"{about}: {name!a} has a line end or another control character in its name")
        entered = _is_folder(entry) and any(_leads(parts, glob) for glob in words)
        if wanted and entry.is_symlink() and not os.path.exists(entry.path):
            raise ConfigurationError(
                f"{about}: {name} is a broken link", remedy="Remove it, or name other files with `files`"
            )
        if entry.is_symlink() and (wanted or entered) and not Path(entry.path).resolve().is_relative_to(root.resolve()):
            raise ConfigurationError(
                f"{about}: {name} is a link that leads out of it", remedy="Remove it, or name other files with `files`"
            )
        if entered and not entry.is_symlink():
            yield from _walk(root, globs, about, name)
        elif wanted and entry.is_file():
            yield name


def _is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether it is a folder; a link to itself, or to nothing, is not."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def _matches(name: str, glob: str) -> bool:
    """Whether a path matches a glob, in which `**` is any number of folders."""
    return not is_clutter(PurePosixPath(name), glob) and _fits(name.split("/"), PurePosixPath(glob).parts)


def _fits(parts: Sequence[str], words: Sequence[str]) -> bool:
    if not words:
        return not parts
    if words[0] == "**":
        return len(words) == 1 or any(_fits(parts[start:], words[1:]) for start in range(len(parts)))
    return bool(parts) and fnmatchcase(parts[0], words[0]) and _fits(parts[1:], words[1:])


def _leads(parts: Sequence[str], words: Sequence[str]) -> bool:
    """Whether a glob may match something below a folder."""
    if not words or words[0] == "**":
        return bool(words)
    return not parts or (fnmatchcase(parts[0], words[0]) and _leads(parts[1:], words[1:]))


def workspace_problem(size: str, files: WorkspaceFiles, where: str) -> str | None:
    """Why a workspace does not fit the size class that its case declares; None if it does."""
    most = LARGEST_WORKSPACE.get(size)
    if most is None or files.tokens <= most:
        return None
    return (
        f"{where}: 'size' is {size}, at most {number(most)} tokens of a workspace, but its files have about "
        f"{number(files.tokens)}: declare size: L, or name fewer with `files`"
    )


def workspace_errors(task: Task, path: Path) -> list[str]:
    """What is wrong with the workspaces of a task, apart from their files, one line each.

    Args:
        path: its task.yaml, for messages.
    """
    without = [case for case in task.cases if case.workspace is None]
    lines = []
    if not task.agents_only and len(without) < len(task.cases):
        case = next(case for case in task.cases if case.workspace is not None)
        lines.append(
            f"{path}: 'agents_only: true' is missing, but only an agent can read the workspace of {case.where}"
        )
    if task.agents_only:
        lines += [f"{case.where}: 'workspace' is missing, but {path} says 'agents_only'" for case in without[:1]]
    if task.agents_only and task.tools:
        lines.append(
            f"{path}: 'tools' has no meaning with 'agents_only': ask for the arm agent-{task.tools[0]} instead"
        )
    places = {case.workspace.identity(task.folder) for case in task.cases if case.workspace is not None}
    if task.agents_only and len(places) == 1 and not task.single_source:
        lines.append(
            f"{path}: all cases are about one repository: say 'single_source: true', and make the file that a question is "
            "about its case's 'cluster'"
        )
    return lines
