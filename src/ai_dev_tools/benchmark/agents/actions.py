"""What an agent can do: the interface of everything that offers actions in an episode.

The plain file actions, a tool's commands, MCP servers and output filters are all `Actions`. One is opened for each episode,
as a context manager, so that everything it started ends with the episode.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

from ai_dev_tools.benchmark._util.json_values import JsonValue
from ai_dev_tools.benchmark.records.episode import Action as Action
from ai_dev_tools.benchmark.records.sample_error import SampleError


@dataclass(frozen=True)
class ActionResult:
    """What came back.

    Attributes:
        text: what the model is shown.
        seconds: how long it took; charged to the tool if `tool`.
        error: what went wrong, for the record; the model sees `text`.
        tool: whether the judged tool carried it out, or a part of it.
        ends: the tool died or hung: the episode fails, and that is the tool's failure.
    """

    text: str
    seconds: float = 0.0
    error: SampleError | None = None
    tool: bool = False
    ends: bool = False


class Actions(Protocol):
    """Something that offers actions in one episode.

    Attributes:
        offered: the actions. Of two with one name, the one that was opened later counts.
        startup_s: how long it took to start; charged to the tool.
    """

    @property
    def offered(self) -> Sequence[Action]: ...

    @property
    def startup_s(self) -> float: ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None: ...

    def call(self, name: str, arguments: Mapping[str, JsonValue]) -> ActionResult:
        """Carry out an action. The arguments fit its schema in types and required names."""
        ...
