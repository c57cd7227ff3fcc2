"""Before a server is measured: it loads the model, and shows which request fields it accepts.

And when its limits end a block.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from ai_dev_tools.benchmark._util.clock import duration
from ai_dev_tools.benchmark._util.json_values import JsonObject, table_in
from ai_dev_tools.benchmark._util.text import plural
from ai_dev_tools.benchmark.endpoints import ReadyEndpoint
from ai_dev_tools.benchmark.endpoints.chat import Chat, ChatClient
from ai_dev_tools.benchmark.endpoints.pacing import MOST_WAIT_S
from ai_dev_tools.benchmark.errors import BenchmarkError, ConfigurationError, ModelError, OverloadedError
from ai_dev_tools.benchmark.execution.request import backoff
from ai_dev_tools.benchmark.execution.slots import same_servers
from ai_dev_tools.benchmark.records.block import Block
from ai_dev_tools.benchmark.records.sessions import last_session

Log = Callable[[str], None]


def is_warm(block: Block, endpoint: ReadyEndpoint, loaded: Sequence[JsonObject]) -> bool:
    """Whether the model is still loaded as the previous block used it, with the same options.

    That block may belong to another profile, with other options: the last one that asked the model counts.

    Args:
        loaded: as what each replica has the model loaded just now.
    """
    if endpoint.can_restart or not all(loaded):
        return False
    last = last_session(Path(block.results), block.model)
    asked, model = table_in(last.get("asked")), table_in(last.get("model"))
    return (
        (asked.get("options"), asked.get("think")) == (block.options, block.think)
        and all(model.get(name) == value for name, value in loaded[0].items())
        and same_servers(block, endpoint, last)
    )


def warm_up(
    block: Block, chat: Chat, clients: Sequence[ChatClient], urls: Sequence[str], log: Log, stop: threading.Event
) -> list[bool]:
    """Have the model loaded with the very options that follow.

    Not measured, but a failure is said, and returned.

    What a server does not take is left out of all requests of the session, at all replicas, so that all arms are asked alike.

    Raises:
        BenchmarkError: it could not be found out what the server accepts.
        ConfigurationError: the model cannot call functions, and they are needed.
    """
    limit_s = max(block.timeout_s, block.endpoint.startup_timeout_s)
    warm: list[bool] = []
    for client, url in zip(clients, urls, strict=True):
        client.accepted = clients[len(warm) - 1].accepted if warm else client.accepted
        try:
            _warm_up_one(block, client, chat, limit_s, stop)
        except BenchmarkError as error:
            if chat.tools and isinstance(error, ModelError) and "tool" in str(error).lower():
                raise ConfigurationError(
                    f"{block.model} cannot call functions, which `agent: {{protocol: native}}` needs: {error}",
                    instance=block.instance,
                    remedy="Set `agent: {protocol: json}`, which any model can do",
                ) from None
            if client.negotiates:
                error.instance = block.instance
                raise
            log(f"warning: warm-up of {url} failed: {error}")
            warm.append(False)
        else:
            warm.append(True)
    for client in clients:
        client.accepted = clients[-1].accepted
    return warm


def _warm_up_one(block: Block, client: ChatClient, chat: Chat, limit_s: float, stop: threading.Event) -> None:
    for attempt in range(block.attempts):
        try:
            return client.warm_up(chat, limit_s)
        except BenchmarkError as error:
            last = attempt + 1 == block.attempts or stop.is_set() or (error.retry_after_s or 0.0) > MOST_WAIT_S
            if last or not (client.negotiates and error.retried):
                raise
            stop.wait(backoff(attempt, error))


def end_if_limited(block: Block, error: BenchmarkError | None, missing: int) -> None:
    """Raise OverloadedError if the server asks for a wait that is too long for a run."""
    if isinstance(error, OverloadedError) and (error.retry_after_s or 0.0) > MOST_WAIT_S:
        raise OverloadedError(
            f"the server accepts no more requests for {duration(error.retry_after_s or 0.0)}; its answers are kept, "
            f"{plural(missing, 'sample')} and those that it refused are still missing",
            instance=block.instance,
            remedy="Run the same command again after that: only what is missing is asked",
        )
