"""Settings of the agent arms."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, PositiveFloat, PositiveInt

from ai_dev_tools.benchmark.config.parsing import StrictModel
from ai_dev_tools.benchmark.records.episode import Limits, Protocol

DEFAULTS = Limits()


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

    @property
    def limits(self) -> Limits:
        """What an episode may use at most."""
        return Limits(turns=self.turns, tokens=self.tokens, seconds=self.seconds)
