"""Episodes: an agent's attempt at one case, which is one sample.

What an episode is asked with, and what each of its turns was.

Records only, so that they can be read without an agent. Light imports: block jobs and reports use this module.
"""

from __future__ import annotations

import hashlib
from typing import Annotated, Any, Literal

import msgspec

from ai_dev_tools.benchmark.records.agent_program import AgentProgram
from ai_dev_tools.benchmark.records.agent_tool import AgentTool as AgentTool
from ai_dev_tools.benchmark.records.sample_error import SampleError, described

VERSION = 1
"""Raised by hand when the built-in agent's code changes what is asked: all episodes of older versions are then asked again."""
MOST_RESULT = 2000
"""Characters of an action's result that a turn keeps. What the model wrote is kept whole."""
ANSWER = "answer"
"""The action that ends an episode. No tool can have one of this name."""

Protocol = Literal["json", "native"]


class EpisodeLimits(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """What an episode may use at most.

    Reaching a limit is a result: the episode must answer with its next turn.
    """

    turns: Annotated[int, described("requests of an episode", "turns")] = 12
    tokens: Annotated[int, described("tokens after which the next turn is the last", "tokens")] = 60_000
    seconds: Annotated[float, described("seconds after which the next turn is the last", "s")] = 600.0


class Turn(msgspec.Struct, forbid_unknown_fields=True, frozen=True, omit_defaults=True, kw_only=True):
    """One request of an episode, what the model did with it, and what came back."""

    input_tokens: Annotated[int | None, described("prompt tokens, counted by the server", "tokens")] = None
    output_tokens: Annotated[int | None, described("generated tokens, counted by the server", "tokens")] = None
    prompt_cached_tokens: Annotated[int | None, described("prompt tokens taken from a prefix cache", "tokens")] = None
    reasoning_tokens: Annotated[int | None, described("of the generated tokens, those of thoughts", "tokens")] = None
    duration_s: Annotated[float, described("from sending the request to the last byte", "s")] = 0.0
    time_to_first_token_s: Annotated[float | None, described("from sending to the first piece", "s")] = None
    load_s: Annotated[float | None, described("server: waiting for the model to be loaded and scheduled", "s")] = None
    prompt_eval_s: Annotated[float | None, described("server: reading the prompt (prefill)", "s")] = None
    eval_s: Annotated[float | None, described("server: generating (decode)", "s")] = None
    total_s: Annotated[float | None, described("server: the whole request", "s")] = None
    done_reason: Annotated[str | None, described("as in the sample")] = None
    asked: Annotated[
        str | None, described("how a conversation of a third-party agent begins; null if it continues")
    ] = None
    conversation: Annotated[str, described("digest of all that a third-party agent sent with it, nonce excluded")] = ""
    text: Annotated[str, described("what the model said, whole")] = ""
    action: Annotated[str | None, described("the action that it chose; null if its message was not one")] = None
    arguments: Annotated[str | None, described("the action's arguments as JSON")] = None
    tool: Annotated[bool, described("whether the judged tool carried out the action, or a part of it")] = False
    result: Annotated[str | None, described("the beginning of what came back")] = None
    result_bytes: Annotated[int, described("size of what came back", "bytes")] = 0
    tool_s: Annotated[float, described("how long the judged tool took for it", "s")] = 0.0
    error: Annotated[SampleError | None, described("why the request, or the tool, failed")] = None


class Workspace(msgspec.Struct, forbid_unknown_fields=True, frozen=True, omit_defaults=True, kw_only=True):
    """The files that an agent works on: given as texts, or as files below a folder."""

    kind: Annotated[Literal["case", "corpus", "path", "git"], described("where the files come from")]
    label: Annotated[str, described("name for people")]
    digest: Annotated[str, described("sha256 of the paths and contents of all files")]
    texts: Annotated[dict[str, str], described("text of each file by path, where the case itself holds them")] = {}
    root: Annotated[str | None, described("folder of the files, seen from the working folder")] = None
    files: Annotated[list[str], described("paths of the files below it")] = []


class Action(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """What a model is offered."""

    name: str
    description: str
    parameters: Annotated[dict[str, Any], described("JSON schema of an object: the arguments")]


class EpisodeSpec(msgspec.Struct, forbid_unknown_fields=True, frozen=True, omit_defaults=True, kw_only=True):
    """What a prompt of an agent arm has in addition to its text: how the episode continues."""

    protocol: Protocol = "json"
    limits: EpisodeLimits = EpisodeLimits()
    actions: Annotated[list[Action], described("what the model is offered, without `answer`")] = []
    plain: Annotated[bool, described("whether the agent has its own read-only file actions")] = True
    workspace: Workspace | None = None
    tool: AgentTool | None = None
    program: Annotated[AgentProgram | None, described("a third-party agent that drives the episode")] = None
    question: Annotated[str, described("the case's question, for `{question}` in a tool's words")] = ""
    vars: Annotated[dict[str, Any], described("the case's variables, for `{vars.x}` in a tool's words")] = {}
    version: int = VERSION

    @property
    def digest(self) -> str:
        """sha256 of all that decides what the agent is asked.

        Where the files are does not count, only what they say.
        """
        workspace = self.workspace.digest if self.workspace else ""
        tool = self.tool.digest if self.tool else ""
        parts = [self.version, self.protocol, self.limits, self.actions, self.plain, workspace, tool, self.vars]
        if self.program:  # digests of the built-in agent stay what they were before there were others
            parts.append(self.program.digest)
        return hashlib.sha256(msgspec.json.encode(parts, order="sorted")).hexdigest()
