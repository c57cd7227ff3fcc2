"""A third-party agent, as a prompt carries it: the program that drives the turns of an episode.

Light imports: block jobs read these. `prompts.agent_program_file` checks the YAML that they come from.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from ai_dev_tools.benchmark.records.sample_error import described

AnswerPlace = Literal["file", "stdout", "message"]
"""Where an agent leaves its answer: in a file, in what it prints, in the model's last message."""
AgentSandbox = Literal["auto", "bubblewrap", "podman", "none"]


class AgentProgram(msgspec.Struct, forbid_unknown_fields=True, frozen=True, omit_defaults=True, kw_only=True):
    """The program of an agent, as one arm starts it."""

    id: str
    version: str
    digest: Annotated[str, described("of its file, its version, and the program")]
    command: Annotated[list[str], described("words with placeholders, never a shell")]
    environment: dict[str, str] = {}
    files: Annotated[dict[str, str], described("text of each file that is put into the workspace, by path")] = {}
    answer: list[AnswerPlace] = msgspec.field(default_factory=lambda: ["file"])
    answer_file: Annotated[str, described("where the answer is, below the workspace")] = "answer.json"
    answer_field: Annotated[str, described("the field of that file, with dots; empty: all of it")] = ""
    accept_exit: list[int] = msgspec.field(default_factory=lambda: [0])
    folder: Annotated[str, described("where it is installed, seen from the working folder")] = ""
    needs: Annotated[list[str], described("further programs that it is made of, such as node")] = []
    sandbox: AgentSandbox = "auto"
