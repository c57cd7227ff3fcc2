"""The agent's own actions: list, read and search the files of its workspace.

They are functions over texts, read-only and with fixed limits. Nothing that a model writes is executed: what it searches for
is text, not a regular expression, because a pattern can be written that takes hours.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import Self

from ai_dev_tools.benchmark._util.json_values import JsonValue
from ai_dev_tools.benchmark._util.text import nearest, numbered_lines
from ai_dev_tools.benchmark.agents.actions import ActionResult
from ai_dev_tools.benchmark.errors import ConfigurationError
from ai_dev_tools.benchmark.prompts.episodes import FOUND_LINES, PLAIN, READ_LINES, workspace_digest
from ai_dev_tools.benchmark.records.episode import Workspace

MOST_ENTRIES = 100
MOST_CHARS = 8000
"""Of what one action returns."""
MOST_LINE = 300
"""Characters of a line that is found."""


def workspace_texts(workspace: Workspace | None) -> Mapping[str, str]:
    """The text of each file of a workspace by path, in the order of paths.

    Raises:
        ConfigurationError: a file is missing or not what it was when the prompts were made.
    """
    if workspace is None:
        return {}
    if workspace.root is None:
        return dict(sorted(workspace.texts.items()))
    texts: dict[str, str] = {}
    for name in sorted(workspace.files):
        path = Path(workspace.root) / name
        try:
            texts[name] = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(
                f"workspace {workspace.label}: {path} cannot be read ({error})", remedy="Run the whole workflow again"
            ) from None
    if workspace_digest(texts) != workspace.digest:
        raise ConfigurationError(
            f"workspace {workspace.label}: its files have changed since the prompts were made",
            remedy="Run the whole workflow again to make the prompts",
        )
    return texts


class FileActions:
    """`list_files`, `read_file` and `search` over texts by path."""

    offered = PLAIN
    startup_s = 0.0

    def __init__(self, texts: Mapping[str, str]) -> None:
        self._texts = texts

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def call(self, name: str, arguments: Mapping[str, JsonValue]) -> ActionResult:
        started = time.perf_counter()
        path = as_path(arguments.get("path"))
        match name:
            case "list_files":
                text = self._list(path)
            case "read_file":
                text = self._read(path, _whole(arguments.get("start"), 1))
            case "search":
                text = self._search(str(arguments.get("pattern") or ""), path)
            case _:
                raise KeyError(name)
        return ActionResult(text, time.perf_counter() - started)

    def _list(self, path: str) -> str:
        below = self._below(path)
        if not below:
            return self._no_such(path)
        lines = [f"{name} ({len(numbered_lines(self._texts[name]))} lines)" for name in below]
        if len(lines) > MOST_ENTRIES:
            lines = list(_folders(below, path))
        return _bounded(lines, MOST_ENTRIES, "entries", "name a folder to see more")

    def _read(self, path: str, start: int) -> str:
        if path not in self._texts:
            return self._no_such(path)
        lines = numbered_lines(self._texts[path])
        if start > len(lines):
            return f"{path} has {len(lines)} lines"
        part = lines[start - 1 : start - 1 + READ_LINES]
        shown = list(_within(part, MOST_CHARS))
        return "\n".join([f"{path}, lines {start} to {start + len(shown) - 1} of {len(lines)}:", *shown])

    def _search(self, pattern: str, path: str) -> str:
        if not pattern.strip():
            return "there is no text to search for"
        below = self._below(path)
        if not below:
            return self._no_such(path)
        hits = [
            f"{name}:{number}: {line.strip()[:MOST_LINE]}"
            for name in below
            if pattern in self._texts[name]
            for number, line in enumerate(numbered_lines(self._texts[name]), start=1)
            if pattern in line
        ]
        return (
            _bounded(hits, FOUND_LINES, "lines", "search in a folder, or for more") if hits else "no line contains it"
        )

    def _below(self, path: str) -> list[str]:
        return [name for name in self._texts if not path or name == path or name.startswith(f"{path}/")]

    def _no_such(self, path: str) -> str:
        return f"there is no '{path}' here, {nearest(path, list(self._texts)[:MOST_ENTRIES])}"


def _folders(names: Iterable[str], path: str) -> Iterator[str]:
    """The files of a folder, and its folders with how many files each holds."""
    counts: dict[str, int] = {}
    depth = len(PurePosixPath(path).parts) if path else 0
    for name in names:
        parts = PurePosixPath(name).parts
        shown = "/".join(parts[: depth + 1])
        key = f"{shown}/" if len(parts) > depth + 1 else shown
        counts[key] = counts.get(key, 0) + 1
    return (f"{key} ({count} files)" if key.endswith("/") else key for key, count in counts.items())


def _bounded(lines: list[str], most: int, what: str, hint: str) -> str:
    shown = list(_within(lines[:most], MOST_CHARS))
    more = [f"… and {len(lines) - len(shown)} more {what}: {hint}"] if len(lines) > len(shown) else []
    return "\n".join([*shown, *more])


def _within(lines: Iterable[str], most: int) -> Iterator[str]:
    """Lines as long as there is room; a first line that is longer than all of it is cut."""
    left = most
    for line in lines:
        if len(line) > left:
            if left == most:
                yield line[:most]
            return
        left -= len(line) + 1
        yield line


def as_path(value: object) -> str:
    """A path below the workspace as its files are named: `./a/`, `/a` and `a` are one; `.` is all."""
    if not isinstance(value, str):
        return ""
    parts = [part for part in value.strip().split("/") if part not in ("", ".")]
    return "/".join(parts)


def _whole(value: object, least: int) -> int:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return max(least, int(value)) if number and abs(value) < 1e9 else least  # type: ignore[arg-type,call-overload]
