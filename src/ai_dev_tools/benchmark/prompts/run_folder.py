"""The folder of one run of a tool or agent: what it may write, and how a sandbox shows it."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

from ai_dev_tools.benchmark._util.credentials import without_passwords
from ai_dev_tools.benchmark._util.scratch import scratch_folder
from ai_dev_tools.benchmark._util.text import visible

SandboxSetting = Literal["auto", "none", "bubblewrap"]
Sandbox = Literal["none", "bubblewrap", "podman"]
"""What a program runs in; only third-party agents run in podman."""

LAST_LINES, LAST_LINE_CHARS = 5, 160
WORKSPACE, HOME = "/run/workspace", "/run/home"
"""Where a sandbox shows the folders of an agent: an index may hold absolute paths, and was made in another run."""


@dataclass(frozen=True)
class Places:
    """Folders that a program may write to, as it sees them."""

    case: Path
    home: Path
    tmp: Path


@dataclass(frozen=True)
class RunFolder:
    """A fresh folder for one run: what the tool may write to, and where its streams go.

    Attributes:
        same_paths: whether a sandbox shows its folders under the same names as those of other runs.
    """

    scratch: Path
    same_paths: bool = False

    @property
    def case(self) -> Path:
        return self.scratch / "case"

    @property
    def home(self) -> Path:
        return self.scratch / "home"

    @property
    def tmp(self) -> Path:
        return self.scratch / "tmp"

    @property
    def folders(self) -> list[Path]:
        return [self.case, self.home, self.tmp]

    def places(self, sandbox: Sandbox) -> Places:
        """Its folders, as a program in it sees them."""
        if sandbox == "none":
            return Places(self.case, self.home, self.tmp)
        if self.same_paths:
            return Places(Path(WORKSPACE), Path(HOME), Path("/tmp"))
        return Places(self.case, self.home, Path("/tmp"))

    def without_paths(self, text: str) -> str:
        """What a program said, with paths of its folder as they are below it."""
        for case, home in ((str(self.case), str(self.home)), (WORKSPACE, HOME) if self.same_paths else ("", "")):
            if case:
                text = text.replace(f"{case}/", "").replace(case, ".").replace(home, "~")
        return text


@contextlib.contextmanager
def fresh_run_folder(*, same_paths: bool = False) -> Iterator[RunFolder]:
    """A folder for one run that is removed afterwards."""
    with scratch_folder("tool") as scratch:
        run_folder = RunFolder(scratch, same_paths)
        for folder in run_folder.folders:
            folder.mkdir()
        yield run_folder


def search_path() -> str:
    """Programs of the running environment come first, even if it is not activated."""
    return os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])


def tool_environment(run_folder: RunFolder, sandbox: Sandbox) -> dict[str, str]:
    """A tool sees none of the user's settings, so that it behaves the same on every machine."""
    places = run_folder.places(sandbox)
    return {
        "PATH": search_path(),
        "HOME": str(places.home),
        "TMPDIR": str(places.tmp),
        "LANG": "C.UTF-8",
        "NO_COLOR": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def last_words(run_folder: RunFolder, out: BinaryIO, err: BinaryIO) -> str:
    """The last lines of both streams in one line, stderr first; the cause of a failure may be in either."""
    told = {}
    for name, stream in (("stderr", err), ("stdout", out)):
        stream.seek(max(0, stream.seek(0, os.SEEK_END) - 20_000))
        text = without_passwords(run_folder.without_paths(stream.read(20_000).decode(errors="replace")))
        lines = [visible(line.strip(), keep_lines=False) for line in text.splitlines() if line.strip()]
        if lines:
            told[name] = " | ".join(line[:LAST_LINE_CHARS] for line in lines[-LAST_LINES:])
    return told.get("stderr", "") if set(told) == {"stderr"} else "; ".join(f"{k}: {v}" for k, v in told.items())
