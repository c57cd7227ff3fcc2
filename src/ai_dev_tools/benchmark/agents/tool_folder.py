"""Where a tool works in one episode: a fresh copy of the workspace, below a supervisor."""

from __future__ import annotations

import os
import sys
import tarfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from shutil import which
from typing import BinaryIO, Self

from ai_dev_tools.benchmark._util.text import number
from ai_dev_tools.benchmark.errors import ConfigurationError, ToolError
from ai_dev_tools.benchmark.prompts.containment import ContainedProgram, RunLimits, choose_sandbox
from ai_dev_tools.benchmark.prompts.placeholders import filled
from ai_dev_tools.benchmark.prompts.run_failures import require_success
from ai_dev_tools.benchmark.prompts.run_folder import (
    RunFolder,
    Sandbox,
    fresh_run_folder,
    last_words,
    search_path,
    tool_environment,
)
from ai_dev_tools.benchmark.records.agent_tool import AgentTool

MOST_RESULT = 16_000
"""Characters of what a tool returns that a model is shown; the rest is cut, and the model is told so."""
MODIFIED = 1_577_836_800
"""When every file of a workspace was changed, as its copies say: an index that was made beforehand must not look outdated."""


@dataclass(frozen=True)
class CommandOutput:
    """What a command of the tool printed, and what it cost.

    `problem` is set if it ended with an exit code that is not accepted.
    """

    text: str
    wall_s: float
    cpu_s: float
    other_cpu_s: float | None
    problem: str = ""


class ToolFolder:
    """The folder that a tool works in, in one episode, and its programs there.

    Args:
        texts: text of each file of the workspace by path.
        words: values of the placeholders of a case: `question`, `vars.NAME`.
    """

    def __init__(self, tool: AgentTool, texts: Mapping[str, str], words: Mapping[str, str] | None = None) -> None:
        self.tool, self._texts, self._words = tool, texts, words or {}
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self.sandbox: Sandbox = choose_sandbox(self.tool.sandbox)
        with ExitStack() as stack:
            self.run_folder: RunFolder = stack.enter_context(fresh_run_folder(same_paths=True))
            write_workspace(self._texts, self.run_folder.case)
            if self.tool.prepared:
                unpack_prepared(Path(self.tool.prepared), self.run_folder)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def places(self) -> dict[str, str]:
        """Values of the placeholders that are not a model's."""
        return {
            **self._words,
            "python": sys.executable,
            "tool_dir": str(self._tool_dir),
            "workspace": str(self.run_folder.places(self.sandbox).case),
        }

    @property
    def _tool_dir(self) -> Path:
        return Path(self.tool.folder).resolve()

    def _file(self, name: str) -> BinaryIO:
        return open(self.run_folder.scratch / name, "w+b")

    def filled(self, words: Sequence[str]) -> list[str]:
        """The words of a command that has no arguments of a model."""
        return [filled(word, self.places) for word in words]

    def start(
        self, words: list[str], streams: tuple[BinaryIO, BinaryIO], seconds: float, stdin: BinaryIO | None
    ) -> ContainedProgram:
        """Start a program of the tool in the workspace."""
        return ContainedProgram(
            [which(words[0], path=search_path()) or words[0], *words[1:]], self.run_folder,
            tool_environment(self.run_folder, self.sandbox), streams, RunLimits(seconds), self.sandbox,
            stdin=stdin, network=self.tool.network, needed=(self._tool_dir,),
        )  # fmt: skip

    def run(
        self, what: str, words: list[str], *, accept_exit: Sequence[int] = (0,), stdin: str | None = None
    ) -> CommandOutput:
        """Run a command of the tool to its end.

        Args:
            what: its name, for messages.
            words: its command line, filled in.

        Raises:
            ToolError: it could not be started, hung, was killed, or printed or wrote too much; says what that cost.
        """
        with self._file("stdin") as given, self._file("stdout") as out, self._file("stderr") as err:
            given.write((stdin or "").encode("utf-8", "replace"))
            given.seek(0)
            ended = self.start(words, (out, err), self.tool.timeout_s, None if stdin is None else given).wait()
            said = last_words(self.run_folder, out, err)
            try:
                require_success(what, ended, RunLimits(self.tool.timeout_s), said, accept_exit=None)
            except ToolError as error:
                error.spent_s, error.other_cpu_s = ended.wall_s, ended.other_cpu_s
                raise
            fine = ended.code in accept_exit
            out.seek(0)
            text = self.shown(out.read(4 * MOST_RESULT + 4).decode("utf-8", "replace"), _size(out))
        problem = "" if fine else f"{what} ended with exit code {ended.code}: {said or 'no message'}"
        return CommandOutput(text if fine else problem, ended.wall_s, ended.cpu_s, ended.other_cpu_s, problem)

    def shown(self, text: str, size: int | None = None) -> str:
        """What a model sees of a tool's output: with paths of the workspace, and not more than fits.

        Args:
            size: bytes of the whole output, where `text` is only its beginning.
        """
        text = self.run_folder.without_paths(text).strip()
        if len(text) <= MOST_RESULT and (size is None or size <= 4 * MOST_RESULT):
            return text
        whole = f"{number(size)} bytes" if size is not None else f"{number(len(text))} characters"
        return f"{text[:MOST_RESULT]}\n… (cut: {whole} in all; ask for less)"


def write_workspace(texts: Mapping[str, str], folder: Path) -> None:
    """Write the files of a workspace, all of the same age.

    Raises:
        ConfigurationError: a path leads out of the folder.
    """
    for name, text in texts.items():
        relative = PurePosixPath(name)
        if relative.is_absolute() or ".." in relative.parts or not relative.parts:
            raise ConfigurationError(f"'{name}' is not a path below a workspace")
        path = folder / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="")
        os.utime(path, (MODIFIED, MODIFIED))


def pack_prepared(run_folder: RunFolder, archive: Path, texts: Mapping[str, str]) -> None:
    """Keep what a tool made of a workspace.

    Every file in its folders that is not an unchanged one of the workspace.

    Links are left out: they could lead anywhere in another run.
    """
    archive.parent.mkdir(parents=True, exist_ok=True)
    partial = archive.with_name(f"{archive.name}.partial")
    with tarfile.open(partial, "w") as tar:
        for folder in run_folder.folders:
            for path in sorted(folder.rglob("*")):
                name = path.relative_to(run_folder.scratch).as_posix()
                if path.is_symlink() or not path.is_file() or _unchanged(path, name, texts):
                    continue
                tar.add(path, name, recursive=False)
    partial.replace(archive)


def unpack_prepared(archive: Path, run_folder: RunFolder) -> None:
    """Lay what a tool made of a workspace into the folder of a run.

    Raises:
        ConfigurationError: the archive is gone or damaged.
    """
    try:
        with tarfile.open(archive) as tar:
            tar.extractall(run_folder.scratch, filter="data")
    except (OSError, tarfile.TarError) as error:
        raise ConfigurationError(
            f"{archive} cannot be read ({error})", remedy="To have it made again, add `--forcerun prepare_workspaces`"
        ) from None


def _unchanged(path: Path, name: str, texts: Mapping[str, str]) -> bool:
    text = texts.get(name.removeprefix("case/")) if name.startswith("case/") else None
    return text is not None and path.read_bytes() == text.encode()


def _size(stream: BinaryIO) -> int:
    return os.fstat(stream.fileno()).st_size
