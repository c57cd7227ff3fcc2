"""Approaches (arms): how the model gets its context.

One decorated function each; all ask the same question.

`baseline` and `tools` make the comparison; the others are controls that separate information from brevity and guessing.
"""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from ai_dev_tools.benchmark._util.text import nearest, visible_line
from ai_dev_tools.benchmark.errors import BenchmarkError, ConfigurationError, ToolError
from ai_dev_tools.benchmark.plugins import (
    AGENT,
    AGENT_FLOOR,
    AGENT_PREFIX,
    APPROACHES,
    BUILT_IN,
    DEFAULT_APPROACHES,
    FINDINGS_CONTROLS,
    TOOL_PREFIX,
    Approach,
    CaseInputs,
    Context,
    approach,
    is_agent,
)
from ai_dev_tools.benchmark.prompts.tool_results import ToolResult

if TYPE_CHECKING:
    from ai_dev_tools.benchmark.prompts.agent_program_file import ProgramSpec

__all__ = ["APPROACHES", "DEFAULT_APPROACHES", "FINDINGS_CONTROLS", "TOOL_PREFIX", "approach", "build_context"]
PLAIN_ARMS = ("baseline", "no_context")
"""Arms that show no findings of a tool."""


def find_approach(name: str, tools: Mapping[str, object], program: ProgramSpec | None = None) -> Approach:
    """The arm with this name; `tools-NAME` is the tool NAME alone, `agent-NAME` an agent that has it.

    Raises:
        ConfigurationError: no such arm or tool; names the nearest.
    """
    if name in APPROACHES:
        return APPROACHES[name]
    if is_agent(name):
        return _agent_arm(name, tools) if program is None or name == AGENT_FLOOR else _program_arm(name, program)
    tool = name.removeprefix(TOOL_PREFIX)
    if name.startswith(TOOL_PREFIX) and tool in tools:
        return Approach(
            name=name,
            description=f"what {tool} alone finds",
            function=lambda inputs: _findings(inputs.findings, (tool,)),
            origin=f"{BUILT_IN}prompts.approaches",
        )
    if name.startswith(TOOL_PREFIX):
        raise ConfigurationError(f"unknown tool '{tool}' in approach '{name}', {nearest(tool, tools)}")
    known = [
        *APPROACHES,
        AGENT,
        AGENT_FLOOR,
        *(prefix + tool for prefix in (TOOL_PREFIX, AGENT_PREFIX) for tool in tools),
    ]
    raise ConfigurationError(f"unknown approach '{name}', {nearest(name, known)}")


def _agent_arm(name: str, tools: Mapping[str, object]) -> Approach:
    """An arm of the built-in agent. Its prompts are made by `episodes`, for they are more than a context."""
    tool = name.removeprefix(AGENT_PREFIX)
    purposes = {
        AGENT: "an agent that lists, reads and searches the files itself",
        AGENT_FLOOR: "the agent without any file: rules out that guessing or memory suffices (the floor of agents)",
    }
    if name not in purposes and tool not in tools:
        raise ConfigurationError(f"unknown tool '{tool}' in approach '{name}', {nearest(tool, tools)}")
    return Approach(
        name=name,
        description=purposes.get(name, f"the same agent, which can also use {tool}"),
        function=_no_context_of_its_own,
        origin=f"{BUILT_IN}prompts.episodes",
    )


def _program_arm(name: str, program: ProgramSpec) -> Approach:
    """An arm of a third-party agent."""
    described = program.arm(name).description
    return Approach(
        name=name,
        description=f"{program.id}{f', {described}' if described else ''}",
        function=_no_context_of_its_own,
        origin=f"{BUILT_IN}prompts.episodes",
    )


def _no_context_of_its_own(inputs: CaseInputs) -> Context:
    raise ConfigurationError(f"case '{inputs.case}': an agent finds its context itself")


def build_context(arm: Approach, inputs: CaseInputs) -> Context:
    """The context of one case in one arm.

    Raises:
        ToolError: a tool that the arm needs failed on this case.
        ConfigurationError: the contexts given by the user lack this arm.
        ApproachFailed: a plugin's approach raised, or gave something else than a context.
    """
    if inputs.given is None:
        return _built(arm, inputs)
    if arm.name == "no_context":
        return Context(None)
    if arm.name not in inputs.given:
        raise ConfigurationError(f"case '{inputs.case}' has no context for approach '{arm.name}'")
    return Context(inputs.given[arm.name])


class ApproachFailed(ConfigurationError):
    """A plugin's approach raised, or gave something else than a context."""


def _built(arm: Approach, inputs: CaseInputs) -> Context:
    try:
        made = arm.function(inputs)
    except Exception as error:
        if arm.built_in or isinstance(error, BenchmarkError):
            raise
        problem = f"raised {type(error).__name__}: {visible_line(error)[:200]}"
    else:
        if isinstance(made, Context):
            return made
        if made is None or isinstance(made, str):
            return Context(made)
        problem = f"returned {type(made).__name__}, expected a Context, text or None"
    raise ApproachFailed(f"approach '{arm.name}' ({arm.origin}), case '{inputs.case}': it {problem}")


@approach("baseline", "the raw files, as a user without the tool would paste them")
def baseline(inputs: CaseInputs) -> Context:
    return Context(_listing(inputs.texts))


@approach("tools", "the condensed findings of the task's tools")
def tools(inputs: CaseInputs) -> Context:
    return _findings(inputs.findings, inputs.tools)


@approach("no_context", "question and answer format alone: rules out that guessing or memory suffices (the floor)")
def no_context(inputs: CaseInputs) -> Context:
    return Context(None)


@approach("excerpt", "raw files cut to the length of the findings: rules out that brevity alone suffices")
def excerpt(inputs: CaseInputs) -> Context:
    length = len(_findings(inputs.findings, inputs.tools).text or "")
    raw = _listing(inputs.texts)
    lines = raw.splitlines(keepends=True)
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line))
    possible = [start for start in starts if start + length <= len(raw)] or [0]
    start = _random(inputs.case, "excerpt").choice(possible)
    return Context(raw[start : start + length])


@approach("shuffled", "the findings, lines in random order: rules out that their order carries the information")
def shuffled(inputs: CaseInputs) -> Context:
    found = _findings(inputs.findings, inputs.tools)
    lines = (found.text or "").splitlines()
    _random(inputs.case, "shuffled").shuffle(lines)
    return replace(found, text="\n".join(lines))


@approach("mismatched", "the findings about another case: rules out that the look of findings suffices")
def mismatched(inputs: CaseInputs) -> Context:
    if not inputs.other:
        raise ConfigurationError(f"case '{inputs.case}': approach 'mismatched' needs a second case in the task")
    return _findings(inputs.other, inputs.tools)


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
    """A code block whose fence is longer than any in the text, so that no other fence ends it."""
    fence = "`" * (max(map(len, re.findall(r"`{3,}", text)), default=2) + 1)
    return f"{fence}\n{text}\n{fence}"


def _random(*parts: str) -> random.Random:
    return random.Random(hashlib.sha256(":".join(parts).encode()).digest())
