"""README and docs as their readers see them: pages, and the code blocks of each with what may be done with them.

A block that tests cannot run says so in a comment right above it, which forges and the built site hide:

    <!-- not run: why -->    programs and options are checked; nothing is started
    <!-- dry run -->         Snakemake only says what it would do
    <!-- output -->          what a command printed, for reading
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from support.repository import ROOT

SHELL, PYTHON, DATA, PLAIN = ("bash", "sh"), ("python",), ("yaml", "json", "toml", "csv"), ("text",)
DIRECTIVES = ("{toctree}",)
MARK = re.compile(r"<!-- (not run: .+|dry run|output) -->")
FENCE = re.compile(r"^(?P<indent> *)(?P<fence>`{3,})(?P<info>[^\n`]*)$")


@dataclass(frozen=True)
class Block:
    """One fenced block: where it is, its info string, its text, and the mark above it (empty for none)."""

    page: str
    line: int
    language: str
    text: str
    mark: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def runs(self) -> bool:
        """Whether it is to be executed as it stands, or as a dry run."""
        return self.mark in ("", "dry run")

    def commands(self) -> Iterator[list[str]]:
        """Simple commands of a shell block as words, without variables set before them and without comments."""
        for line in self.text.replace("\\\n", " ").splitlines():
            for part in re.split(r"\s(?:&&|\|\|?)\s", line):
                words = shlex.split(part, comments=True)
                while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
                    words.pop(0)
                if words:
                    yield words


def pages() -> list[Path]:
    """Every page that people read, generated ones included."""
    found = sorted((ROOT / "docs").rglob("*.md"))
    named = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "config/README.md")]
    return [*named, *(path for path in found if "_build" not in path.parts)]


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page, in order."""
    name = page.relative_to(ROOT).as_posix()
    found: list[Block] = []
    above, open_fence, start, info, indent, body = "", "", 0, "", 0, list[str]()
    mark = ""
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), start=1):
        fence = FENCE.match(line)
        if open_fence:
            if fence and fence["fence"] == open_fence and not fence["info"].strip():
                found.append(Block(name, start, info, "\n".join(body) + "\n", mark))
                open_fence = ""
            else:
                body.append(line[indent:])
        elif fence:
            open_fence, start, info, indent, body = (
                fence["fence"],
                number,
                fence["info"].strip(),
                len(fence["indent"]),
                [],
            )
            seen = MARK.fullmatch(above.strip())
            mark = seen[1] if seen else ""
        above = line
    assert not open_fence, f"{name}:{start}: the block is never closed"
    return found


def every_block() -> list[Block]:
    return [block for page in pages() for block in blocks(page)]
