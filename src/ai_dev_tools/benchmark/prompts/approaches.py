"""Approaches (arms): how the model gets its context. One decorated function each; all ask the same question.

`baseline` and `tools` make the comparison; the others are controls that separate information from brevity and guessing.
"""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from ai_dev_tools.benchmark.config.parsing import nearest
from ai_dev_tools.benchmark.errors import BenchmarkError, ConfigurationError, ToolError
from ai_dev_tools.benchmark.prompts.tool_results import ToolResult

TOOL_PREFIX = "tools-"


@dataclass(frozen=True)
class Material:
    """All that an arm may use of one case.

    Attributes:
        texts: the case's files by relative path, in display order.
        findings: result of each tool that ran on the case, by tool id.
        tools: ids of the tools behind the arm `tools` and the controls.
        other: the same tools' results on another case of the task, for the `mismatched` control.
        given: contexts written by the user instead of files and tools, by approach.
    """

    case: str
    texts: Mapping[str, str]
    findings: Mapping[str, ToolResult]
    tools: tuple[str, ...]
    other: Mapping[str, ToolResult] = field(default_factory=dict)
    given: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Context:
    """What the model is shown besides the question; `text` is None in the floor arm.

    Attributes:
        tool_s: run time of the tools behind it.
        tool_other_cpu_s: CPU time of all else on the machine meanwhile; None where no tool ran, or it is not known.
    """

    text: str | None
    tool_s: float = 0.0
    tool_other_cpu_s: float | None = None


ApproachFunction = Callable[[Material], Context]


@dataclass(frozen=True)
class Approach:
    """A registered arm: its function and what it rules out, for the report."""

    name: str
    purpose: str
    build: ApproachFunction


APPROACHES: dict[str, Approach] = {}
DEFAULT_APPROACHES = ("baseline", "tools", "no_context")
FINDINGS_CONTROLS = ("excerpt", "shuffled", "mismatched")
"""Controls that are made from what the tools of the arm `tools` say."""


def approach(name: str, purpose: str) -> Callable[[ApproachFunction], ApproachFunction]:
    """Register a function as an arm that `approaches` in the config can name."""

    def register(function: ApproachFunction) -> ApproachFunction:
        APPROACHES[name] = Approach(name, purpose, function)
        return function

    return register


def find_approach(name: str, tools: Mapping[str, object]) -> Approach:
    """The arm of this name; `tools-NAME` stands for the tool NAME alone.

    Raises:
        ConfigurationError: no such arm or tool; names the nearest.
    """
    if name in APPROACHES:
        return APPROACHES[name]
    tool = name.removeprefix(TOOL_PREFIX)
    if name.startswith(TOOL_PREFIX) and tool in tools:
        return Approach(name, f"what {tool} alone finds", lambda material: _findings(material.findings, (tool,)))
    if name.startswith(TOOL_PREFIX):
        raise ConfigurationError(f"unknown tool '{tool}' in approach '{name}', {nearest(tool, tools)}")
    raise ConfigurationError(
        f"unknown approach '{name}', {nearest(name, [*APPROACHES, *(TOOL_PREFIX + t for t in tools)])}"
    )


def build_context(arm: Approach, material: Material) -> Context:
    """The context of one case in one arm.

    Raises:
        ToolError: a tool that the arm needs failed on this case.
        ConfigurationError: the user's own contexts lack this arm.
    """
    if material.given is None:
        return arm.build(material)
    if arm.name == "no_context":
        return Context(None)
    if arm.name not in material.given:
        raise ConfigurationError(f"case '{material.case}' gives no context for approach '{arm.name}'")
    return Context(material.given[arm.name])


@approach("baseline", "the raw files, as a user without the tool would paste them")
def baseline(material: Material) -> Context:
    return Context(_listing(material.texts))


@approach("tools", "the condensed findings of the task's tools")
def tools(material: Material) -> Context:
    return _findings(material.findings, material.tools)


@approach("no_context", "question and answer format alone: rules out that guessing or memory suffices (the floor)")
def no_context(material: Material) -> Context:
    return Context(None)


@approach("excerpt", "raw files cut to the length of the findings: rules out that brevity alone suffices")
def excerpt(material: Material) -> Context:
    length = len(_findings(material.findings, material.tools).text or "")
    raw = _listing(material.texts)
    lines = raw.splitlines(keepends=True)
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line))
    possible = [start for start in starts if start + length <= len(raw)] or [0]
    start = _random(material.case, "excerpt").choice(possible)
    return Context(raw[start : start + length])


@approach("shuffled", "the findings, lines in random order: rules out that their order carries the information")
def shuffled(material: Material) -> Context:
    found = _findings(material.findings, material.tools)
    lines = (found.text or "").splitlines()
    _random(material.case, "shuffled").shuffle(lines)
    return replace(found, text="\n".join(lines))


@approach("mismatched", "the findings about another case: rules out that the look of findings suffices")
def mismatched(material: Material) -> Context:
    if not material.other:
        raise ConfigurationError(f"case '{material.case}': approach 'mismatched' needs a second case in the task")
    return _findings(material.other, material.tools)


def _findings(results: Mapping[str, ToolResult], tools: tuple[str, ...]) -> Context:
    if not tools:
        raise ConfigurationError("the task names no tools, so there is no context for this approach")
    found = [results[tool] for tool in tools]
    seconds, other_cpu_s = sum(result.wall_s for result in found), _all_known([result.other_cpu_s for result in found])
    for result in found:
        if result.status == "failed":
            failure = ToolError(result.error or f"{result.tool} failed")
            failure.spent_s, failure.other_cpu_s = seconds, other_cpu_s
            raise failure
        if result.status == "skipped":
            raise BenchmarkError(result.error or f"{result.tool} did not run")
    return Context("\n\n".join(f"### {result.tool}\n{result.text}" for result in found), seconds, other_cpu_s)


def _all_known(seconds: list[float | None]) -> float | None:
    known = [value for value in seconds if value is not None]
    return sum(known) if len(known) == len(seconds) else None


def _listing(texts: Mapping[str, str]) -> str:
    return "\n\n".join(f"### {path}\n{_fenced(text.rstrip())}" for path, text in texts.items())


def _fenced(text: str) -> str:
    """A code block whose fence is longer than any in the text, so that no fence of a Markdown file ends it."""
    fence = "`" * (max(map(len, re.findall(r"`{3,}", text)), default=2) + 1)
    return f"{fence}\n{text}\n{fence}"


def _random(*parts: str) -> random.Random:
    return random.Random(hashlib.sha256(":".join(parts).encode()).digest())
