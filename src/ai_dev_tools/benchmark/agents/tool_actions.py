"""The actions that the judged tool adds to the agent's own."""

from __future__ import annotations

from collections.abc import Sequence

from ai_dev_tools.benchmark.agents.actions import Actions
from ai_dev_tools.benchmark.errors import ConfigurationError
from ai_dev_tools.benchmark.records.episode import EpisodeSpec


def tool_actions(spec: EpisodeSpec, plain: Actions | None) -> Sequence[Actions]:
    """What the episode's tool offers, not yet opened, in the order of opening; empty without a tool.

    Args:
        plain: the agent's own file actions, which an output filter wraps.

    Raises:
        ConfigurationError: the tool cannot be used by an agent.
    """
    if spec.tool is None:
        return ()
    raise ConfigurationError(f"tool '{spec.tool.id}' has no actions for an agent")
