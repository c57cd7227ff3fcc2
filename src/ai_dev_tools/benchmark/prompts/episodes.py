"""What an agent arm is asked: the first message of an episode, and what the episode may do after it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from ai_dev_tools.benchmark._util.json_values import JsonValue
from ai_dev_tools.benchmark.plugins import AGENT_FLOOR
from ai_dev_tools.benchmark.records.agent_program import AgentProgram
from ai_dev_tools.benchmark.records.episode import (
    ANSWER,
    Action,
    AgentTool,
    EpisodeLimits,
    EpisodeSpec,
    Protocol,
    Workspace,
)
from ai_dev_tools.benchmark.tasks.case_files import content_digest

if TYPE_CHECKING:
    from ai_dev_tools.benchmark.config.agent import AgentSettings
    from ai_dev_tools.benchmark.prompts.agent_program_file import InstalledProgram
    from ai_dev_tools.benchmark.records.prepared import PreparedTool

READ_LINES = 150
FOUND_LINES = 30


class ArmDesign(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """What all episodes of an agent arm have in common.

    Attributes:
        offered: the tool's own actions.
    """

    protocol: Protocol = "json"
    limits: EpisodeLimits = EpisodeLimits()
    tool: AgentTool | None = None
    offered: list[Action] = []
    program: AgentProgram | None = None


def _action(name: str, description: str, **properties: Mapping[str, object]) -> Action:
    schema = {"type": "object", "properties": properties, "required": [*properties], "additionalProperties": False}
    return Action(name, description, schema)


_FILE = {"type": "string", "description": "path of a file, as listed"}
_FOLDER = {"type": "string", "description": "a folder or file; empty for all"}
_START = {"type": "integer", "minimum": 1, "description": "first line, from 1"}
_TEXT = {"type": "string", "description": "text to find, no regular expression"}
PLAIN = (
    _action("list_files", "Lists the files below a folder with their numbers of lines.", path=_FOLDER),
    _action("read_file", f"Shows up to {READ_LINES} lines of a file.", path=_FILE, start=_START),
    _action("search", f"Shows up to {FOUND_LINES} lines that contain a text.", pattern=_TEXT, path=_FOLDER),
)
"""The agent's own actions; `agents.file_actions` carries them out."""


def workspace_digest(texts: Mapping[str, str]) -> str:
    """sha256 of the paths and texts of a workspace."""
    return content_digest(*(part for item in sorted(texts.items()) for part in item))


def case_workspace(case: str, texts: Mapping[str, str]) -> Workspace:
    """A workspace of the files that the case itself shows."""
    return Workspace(kind="case", label=case, digest=workspace_digest(texts), texts=dict(texts))


def episode_spec(
    approach: str, design: ArmDesign, workspace: Workspace, question: str, variables: Mapping[str, object]
) -> EpisodeSpec:
    """What the episodes of a case in an agent arm may do."""
    if approach == AGENT_FLOOR:
        return EpisodeSpec(protocol=design.protocol, limits=EpisodeLimits(turns=1), plain=False)
    if design.program is not None:
        return EpisodeSpec(limits=design.limits, plain=False, workspace=workspace, program=design.program)
    own = {action.name for action in design.offered}
    return EpisodeSpec(
        protocol=design.protocol,
        limits=design.limits,
        actions=[*(action for action in PLAIN if action.name not in own), *design.offered],
        workspace=workspace,
        tool=design.tool,
        question=question if design.tool else "",
        vars=dict(variables) if design.tool else {},
    )


def first_message(question: str, schema: Mapping[str, JsonValue], spec: EpisodeSpec) -> str:
    """The first message.

    It is the same text in every agent arm, except for the actions and the tool's instructions.
    """
    parts = [f"## Question\n\n{question}"]
    if spec.program:
        parts.append(f"## How to work\n\n{_work_of_program(spec.program)}")
    elif spec.actions or spec.protocol == "json":
        parts.append("## How to work\n\n" + "\n".join(_how_to_work(spec)))
    if spec.tool and spec.tool.instructions.strip():
        parts.append(spec.tool.instructions.strip())
    parts.append(
        "## Answer format\n\nThe answer is one JSON value that follows this JSON Schema:\n"
        + json.dumps(schema, separators=(",", ":"))
    )
    return "\n\n".join(parts)


def _work_of_program(program: AgentProgram) -> str:
    where = "The question is about the files of a project, which are in the current folder. "
    if "file" in program.answer and not program.answer_field:
        return f"{where}Write your answer, and nothing else, to the file {program.answer_file}."
    return f"{where}End with your answer."


def _how_to_work(spec: EpisodeSpec) -> Iterator[str]:
    if spec.actions:
        yield (
            "The question is about the files of a project, which you cannot see yet. Look into them step by step, and answer "
            f"when you know enough. You have at most {spec.limits.turns} messages; the last one has to be the answer. "
            "Repeating an action brings nothing new."
        )
    if spec.protocol == "native":
        yield f"Call one function in each message. Call `{ANSWER}` with your answer to finish."
        return
    yield "Each of your messages is one JSON object with one action, and nothing else:"
    yield from _listed(spec.actions)
    yield f'- {{"action":"{ANSWER}","answer":…}} Gives your answer and ends the work.'


def _listed(actions: Sequence[Action]) -> Iterator[str]:
    for action in actions:
        properties = action.parameters.get("properties")
        known = properties if isinstance(properties, dict) else {}
        shown = "".join(f',"{name}":{_kind(schema)}' for name, schema in known.items())
        yield f'- {{"action":"{action.name}"{shown}}} {action.description}'


def _kind(schema: object) -> str:
    """An argument in the list of actions: what it is where that is said, else its schema."""
    if not isinstance(schema, Mapping):
        return "…"
    said, kind = schema.get("description"), schema.get("type")
    if isinstance(said, str) and isinstance(kind, str) and set(schema) <= {"type", "description", "minimum"}:
        return f"<{kind}: {said}>"
    return json.dumps(schema, separators=(",", ":"))


def arm_design(arm: str, settings: AgentSettings, installed: InstalledProgram | None) -> ArmDesign:
    """What all episodes of an arm have in common.

    Args:
        installed: the third-party agent that drives all arms but the floor, if one does.
    """
    if installed is None or arm == AGENT_FLOOR:
        return ArmDesign(protocol=settings.protocol, limits=settings.limits)
    program = installed.spec.record(arm, settings.program_folder, installed.version, settings.sandbox)
    return ArmDesign(limits=settings.limits, program=program)


def with_tool(design: ArmDesign, prepared: PreparedTool) -> ArmDesign:
    """The design of an arm whose agent has a tool, at one case.

    The tool as it was prepared there, and what it offers.
    """
    return msgspec.structs.replace(design, tool=prepared.agent, offered=prepared.offered)
