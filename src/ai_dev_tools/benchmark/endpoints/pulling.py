"""Pull a missing model, with visible progress; an interrupted download continues where it stopped."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping

import urllib3

from ai_dev_tools.benchmark._util import wire
from ai_dev_tools.benchmark._util.deadline import pool
from ai_dev_tools.benchmark._util.json_values import JsonObject, JsonValue
from ai_dev_tools.benchmark.endpoints.chat import error_text
from ai_dev_tools.benchmark.endpoints.probing import find_model, installed_models, reason
from ai_dev_tools.benchmark.errors import ConfigurationError, EndpointConnectionError, ModelError

TRIES_WITHOUT_PROGRESS = 5
TRIES_OF_REGISTRY = 2
_SILENCE_S = 120.0
"""A pull without a message for this long has stalled; asking again resumes it."""
_LINE_EVERY_S = 5.0
_LINE_BYTES = 1_000_000
_NO_REGISTRY = re.compile(
    r"dial (tcp|udp)|proxyconnect|no such host|name resolution|server misbehaving|network is unreachable|no route to host"
    r"|i/o timeout|tls: |x509: |tls handshake|request canceled while waiting",
    re.IGNORECASE,
)
"""What a server says if it could not reach the registry, as opposed to a download that ended too early."""

Say = Callable[[str], None]


def ensure_model(
    base_url: str, model: str, instance: str, headers: Mapping[str, str] | None = None
) -> JsonObject | None:
    """Pull the model unless the server has it; what the server lists of a model that it has.

    Raises:
        ModelError: the registry has no such model.
        ConfigurationError: the server's disk is full.
        EndpointConnectionError: the download has stopped making progress.
    """
    listed = find_model(installed_models(base_url, headers), model)
    if listed is None:
        pull(base_url, model, lambda text: print(f"{instance}: {text}", file=sys.stderr, flush=True), headers)
    return listed


def pull(base_url: str, model: str, say: Say, headers: Mapping[str, str] | None = None) -> None:
    """Pull a model; the server keeps what it has, so a new attempt resumes a broken one.

    Raises as `ensure_model`.
    """
    say(f"pulling {model}")
    progress = _Progress(model, say)
    idle = 0
    while True:
        before = progress.completed
        try:
            if _attempt(base_url, model, headers, progress):
                return say(f"{model} is complete")
            problem = "the server ended the pull without success"
        except _BrokeOffError as error:
            problem = str(error)
        moved = progress.completed > before
        idle = 1 if moved else idle + 1
        unreachable = not moved and _NO_REGISTRY.search(problem) is not None
        if unreachable and idle >= TRIES_OF_REGISTRY:
            raise EndpointConnectionError(
                f"{base_url} cannot reach the registry to pull {model}; it says: {problem}",
                remedy="Check the network and proxy of the serving machine, or copy the model there another way",
            )
        if idle >= TRIES_WITHOUT_PROGRESS:
            raise EndpointConnectionError(
                f"pulling {model} at {base_url} makes no progress ({problem})",
                remedy="Run the same command again later: the pull is resumed",
            )
        if unreachable:
            say(f"the registry cannot be reached for {model} ({problem}); trying once more")
        else:
            say(f"pulling {model} broke off ({problem}); it is resumed")
        time.sleep(min(2.0 ** (idle - 1), 30.0))


def _attempt(base_url: str, model: str, headers: Mapping[str, str] | None, progress: _Progress) -> bool:
    """Whether one pull succeeds; raises _BrokeOffError if it ends early."""
    try:
        for state in _states(base_url, model, headers):
            progress.show(state)
            if state.get("status") == "success":
                return True
    except urllib3.exceptions.HTTPError as error:
        raise _BrokeOffError(reason(error)) from None
    except wire.TooLongError as error:
        raise _BrokeOffError(f"the server's answer does not end: {error}") from None
    return False


def _states(base_url: str, model: str, headers: Mapping[str, str] | None) -> Iterator[JsonObject]:
    """The lines of `/api/pull`; an error line is raised."""
    secrets = wire.Secrets(headers)
    with pool() as connections:
        timeout = urllib3.Timeout(connect=5.0, read=_SILENCE_S)
        reply = connections.request(
            "POST", f"{base_url}/api/pull", json={"model": model}, headers=dict(headers or {}),
            timeout=timeout, preload_content=False,
        )  # fmt: skip
        try:
            with wire.stream(reply) as chunks:
                for line in wire.lines(chunks, _LINE_BYTES):
                    yield _state(line, model, base_url, secrets)
        finally:
            reply.close()


def _state(line: bytes, model: str, base_url: str, secrets: wire.Secrets) -> JsonObject:
    try:
        state = secrets.hide(wire.decoded(line))
    except ValueError:
        raise _BrokeOffError("the server sent a line that is not JSON") from None
    if not isinstance(state, dict):
        raise _BrokeOffError("the server sent a line that is not an object")
    message = error_text(state, secrets)[:300]
    if not message:
        return state
    if "no space left" in message.lower():
        raise ConfigurationError(
            f"no disk space for {model} at {base_url}", remedy="Free disk space; the pull is resumed"
        )
    if any(word in message.lower() for word in ("does not exist", "not found", "invalid model")):
        raise ModelError(
            f"there is no model {model!r} to pull ({message})", remedy="Check the model's name in the config"
        )
    raise _BrokeOffError(message)


class _BrokeOffError(Exception):
    """The pull ended early; the text is the server's message, or briefly why the connection broke."""


class _Progress:
    """A line about the download every few seconds. `completed` is the sum over layers, in bytes."""

    def __init__(self, model: str, say: Say) -> None:
        self._model, self._say = model, say
        self._layers: dict[str, tuple[int, int]] = {}
        self._said_at = time.monotonic()

    @property
    def completed(self) -> int:
        return sum(completed for completed, _ in self._layers.values())

    def show(self, state: Mapping[str, JsonValue]) -> None:
        size, completed = state.get("total"), state.get("completed") or 0
        if not isinstance(size, int) or not isinstance(completed, int):
            return
        self._layers[str(state.get("digest"))] = (completed, size)
        if time.monotonic() - self._said_at >= _LINE_EVERY_S:
            self._said_at = time.monotonic()
            total = sum(size for _, size in self._layers.values())
            self._say(f"pulling {self._model}: {self.completed / 1e6:,.0f} of {total / 1e6:,.0f} MB")
