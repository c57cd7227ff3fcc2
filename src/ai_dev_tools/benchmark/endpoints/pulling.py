"""Pulling a missing model: progress that can be seen, and an interrupted download that goes on where it stopped."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import urllib3

from ai_dev_tools.benchmark.endpoints.probing import find_model, installed_models, reason
from ai_dev_tools.benchmark.errors import ConfigurationError, EndpointConnectionError, ModelError

TRIES_WITHOUT_PROGRESS = 5
_SILENCE_S = 120.0
"""A pull that says nothing for so long has stalled; asking again resumes it."""
_LINE_EVERY_S = 5.0

Say = Callable[[str], None]


def ensure_model(base_url: str, model: str, instance: str, headers: Mapping[str, str] | None = None) -> None:
    """Pull the model unless the server has it.

    Raises:
        ModelError: the registry has no such model.
        ConfigurationError: the server's disk is full.
        EndpointConnectionError: the download makes no progress any more.
    """
    if find_model(installed_models(base_url, headers), model) is None:
        pull(base_url, model, lambda text: print(f"{instance}: {text}", file=sys.stderr, flush=True), headers)


def pull(base_url: str, model: str, say: Say, headers: Mapping[str, str] | None = None) -> None:
    """Pull a model; the server keeps what it has, so a new attempt resumes a broken one. Raises as `ensure_model`."""
    say(f"pulling {model}")
    progress = _Progress(model, say)
    idle = 0
    while True:
        before = progress.completed
        try:
            for state in _states(base_url, model, headers):
                progress.show(state)
                if state.get("status") == "success":
                    say(f"{model} is complete")
                    return
            problem = "the server ended the pull without success"
        except urllib3.exceptions.HTTPError as error:
            problem = reason(error)
        idle = 1 if progress.completed > before else idle + 1
        if idle >= TRIES_WITHOUT_PROGRESS:
            raise EndpointConnectionError(
                f"pulling {model} at {base_url} makes no progress ({problem})",
                remedy="Run the same command again later: the pull is resumed",
            )
        say(f"pulling {model} broke off ({problem}); it is resumed")
        time.sleep(min(2.0 ** (idle - 1), 30.0))


def _states(base_url: str, model: str, headers: Mapping[str, str] | None) -> Iterator[dict[str, Any]]:
    """The lines of `/api/pull`; an error line is raised."""
    with urllib3.PoolManager(retries=False) as pool:
        timeout = urllib3.Timeout(connect=5.0, read=_SILENCE_S)
        reply = pool.request(
            "POST", f"{base_url}/api/pull", json={"model": model}, headers=dict(headers or {}),
            timeout=timeout, preload_content=False,
        )  # fmt: skip
        try:
            pending = b""
            for chunk in reply.stream(1 << 16):
                *lines, pending = (pending + chunk).split(b"\n")
                yield from (_state(line, model, base_url) for line in lines if line.strip())
            if pending.strip():
                yield _state(pending, model, base_url)
        finally:
            reply.close()


def _state(line: bytes, model: str, base_url: str) -> dict[str, Any]:
    try:
        state = json.loads(line)
    except ValueError:
        raise urllib3.exceptions.ProtocolError("a line that is not JSON") from None
    if not isinstance(state, dict):
        raise urllib3.exceptions.ProtocolError("a line that is not an object")
    if "error" not in state:
        return state
    message = str(state["error"])
    if "no space left" in message.lower():
        raise ConfigurationError(
            f"no disk space for {model} at {base_url}", remedy="Free disk space; the pull is resumed"
        )
    if any(word in message.lower() for word in ("does not exist", "not found", "invalid model")):
        raise ModelError(
            f"there is no model {model!r} to pull ({message})", remedy="Check the model's name in the config"
        )
    raise urllib3.exceptions.ProtocolError(message)


class _Progress:
    """A line about the download every few seconds. `completed` is the sum over layers, in bytes."""

    def __init__(self, model: str, say: Say) -> None:
        self._model, self._say = model, say
        self._layers: dict[str, tuple[int, int]] = {}
        self._said_at = time.monotonic()

    @property
    def completed(self) -> int:
        return sum(completed for completed, _ in self._layers.values())

    def show(self, state: Mapping[str, Any]) -> None:
        if "total" not in state:
            return
        self._layers[str(state.get("digest"))] = (int(state.get("completed") or 0), int(state["total"]))
        if time.monotonic() - self._said_at >= _LINE_EVERY_S:
            self._said_at = time.monotonic()
            total = sum(size for _, size in self._layers.values())
            self._say(f"pulling {self._model}: {self.completed / 1e6:,.0f} of {total / 1e6:,.0f} MB")
