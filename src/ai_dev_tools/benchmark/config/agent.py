"""Settings of the agent arms."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field, PositiveFloat, PositiveInt

from ai_dev_tools.benchmark._util.json_values import JsonFields
from ai_dev_tools.benchmark.config.parsing import PathSafe, StrictModel
from ai_dev_tools.benchmark.records import paths
from ai_dev_tools.benchmark.records.agent_program import AgentSandbox
from ai_dev_tools.benchmark.records.episode import EpisodeLimits, Protocol

DEFAULTS = EpisodeLimits()


class AgentSettings(StrictModel):
    """How the built-in agent is asked, and what an episode may use at most."""

    protocol: Protocol = Field(
        "json",
        description="json: each action is one JSON object, enforced by a schema, which any model can do; native: the "
        "model's own tool calling",
    )
    turns: PositiveInt = Field(DEFAULTS.turns, description="most requests of an episode; the last one has to answer")
    tokens: Annotated[int, Field(ge=1000)] = Field(
        DEFAULTS.tokens, description="tokens of an episode after which its next request has to answer"
    )
    seconds: PositiveFloat = Field(
        DEFAULTS.seconds, description="seconds of an episode after which its next request has to answer"
    )

    program: PathSafe | None = Field(
        None,
        description="third-party agent that runs the episodes, by its file in config/agents; default: the built-in one",
    )
    folder: Path | None = Field(None, description="where that agent is installed; default: resources/agents/NAME")
    sandbox: AgentSandbox = Field(
        "auto",
        description="sandbox of a third-party agent: bubblewrap or podman, whichever works (auto); none lets it do whatever "
        "it wants",
    )

    @property
    def program_folder(self) -> Path:
        """Where the third-party agent is installed."""
        return (self.folder or Path(paths.PROGRAMS) / (self.program or "")).expanduser()

    @property
    def in_plan(self) -> JsonFields:
        """The part that a plan contains: only what is used, and not where an agent is installed."""
        return self.model_dump(exclude={"folder"} | (set() if self.program else {"program", "sandbox"}))

    @property
    def limits(self) -> EpisodeLimits:
        """What an episode may use at most."""
        return EpisodeLimits(turns=self.turns, tokens=self.tokens, seconds=self.seconds)
