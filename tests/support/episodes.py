"""What tests of episodes are made of: a workspace with a hidden fact, prompts of agent arms, a tool that can be scripted."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import msgspec

from ai_dev_tools.benchmark.agents.actions import Action, ActionResult
from ai_dev_tools.benchmark.prompts import Prompt
from ai_dev_tools.benchmark.prompts.episodes import ArmDesign, case_workspace, episode_spec, first_message
from ai_dev_tools.benchmark.records.block import Block
from ai_dev_tools.benchmark.records.episode import AgentTool
from support.making import SCHEMA, prompt

FILES = {"sky.py": "COLOUR = 'red'\n", "sea.py": "DEPTH = 11\n", "docs/notes.md": "Nothing here.\n"}
LOOKUP = Action(
    "lookup",
    "Finds where a name is defined.",
    {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]},
)
TOOL = AgentTool(id="index", version="1", digest="d" * 64)
PLAIN_DESIGN = ArmDesign()


def episode_prompt(
    case: str, approach: str, design: ArmDesign = PLAIN_DESIGN, files: Mapping[str, str] = FILES
) -> Prompt:
    """A prompt of an agent arm; `agent-index` has the tool of this module."""
    if approach == "agent-index" and design.tool is None:
        design = msgspec.structs.replace(design, tool=TOOL, offered=[LOOKUP])
    spec = episode_spec(approach, design, case_workspace(case, files), f"Which colour has {case}?", {})
    text = first_message(f"Which colour has {case}?", SCHEMA, spec)
    sha = hashlib.sha256(text.encode()).hexdigest()
    return prompt(case, approach, text, prompt_sha256=sha, episode=spec)


def episode_prompts(block: Block, design: ArmDesign = PLAIN_DESIGN) -> dict[tuple[str, str], Prompt]:
    """The prompts that a block of agent arms needs."""
    return {(case, arm): episode_prompt(case, arm, design) for case in block.cases for arm in block.approaches}


@dataclass
class FakeTool:
    """LABELLED FAKE of a judged tool: an `Actions` whose results a test gives."""

    results: Mapping[str, ActionResult] = field(default_factory=dict)
    offered: tuple[Action, ...] = (LOOKUP,)
    startup_s: float = 0.25
    calls: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)
    entered: int = 0
    left: int = 0

    def __enter__(self) -> Self:
        self.entered += 1
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.left += 1

    def call(self, name: str, arguments: Mapping[str, Any]) -> ActionResult:
        self.calls.append((name, arguments))
        return self.results.get(str(arguments.get("name")), ActionResult("sky.py:1", 0.5, tool=True))
