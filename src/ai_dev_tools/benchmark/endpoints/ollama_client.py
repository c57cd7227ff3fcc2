"""A client for Ollama's chat API that measures, and names what goes wrong. Threads and urllib3: light to import.

Durations are seconds by the monotonic clock, from sending the request. One client serves many threads.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any

import urllib3
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    NameResolutionError,
    NewConnectionError,
    ReadTimeoutError,
    SSLError,
)

from ai_dev_tools.benchmark._util import wire
from ai_dev_tools.benchmark._util.deadline import Deadline, pool
from ai_dev_tools.benchmark.errors import (
    BenchmarkError,
    ConfigurationError,
    ContextOverflowError,
    EndpointConnectionError,
    InterruptedRequestError,
    MalformedResponseError,
    ModelError,
    OverloadedError,
    RequestTimeoutError,
    RunnerError,
)

CONNECT_TIMEOUT_S = 10.0
MAX_RESPONSE_BYTES = 64_000_000
LOOP = "loop"
"""`done_reason` of our own: the server gave up on an answer that went round in a circle, see `_looped`."""
EQUAL_TOKENS = 30
"""Ollama ends a stream, without a closing object, at the token after so many equal ones; spaces around do not count."""
_ENDED = re.compile(
    r"runner\b.*\b(stopped|terminated|killed|exited|no longer running|not responding)"
    r"|llama runner to start|unexpected eof|: eof\b|^eof$|broken pipe|connection (reset|refused)|forcibly closed"
    r"|context (canceled|deadline exceeded)"
    r"|exit status|signal: |segmentation fault|core dumped|out of memory|\boom\b|requires more (system )?memory"
    r"|unable to allocate|failed to allocate|(cuda|rocm|hip|vulkan|metal|sycl) error|cublas_status",
    re.IGNORECASE,
)
"""What a server says when the process that computes is gone: killed for its memory, crashed with its GPU."""
_NEVER = re.compile(r"not supported|unsupported|unknown model|invalid (model|magic)", re.IGNORECASE)
"""What it adds when the same would happen again."""


@dataclass
class Reply:
    """What came back, complete or not. `final` is Ollama's closing object (durations in ns), empty if none came."""

    text: str = ""
    pieces: int = 0
    duration_s: float = 0.0
    time_to_first_token_s: float | None = None
    turn_s: float | None = None
    """When the first line came: the server had begun with the request by then, and may have let it wait before."""
    final: dict[str, Any] = field(default_factory=dict)


class OllamaClient:
    """Chat with one Ollama server over pooled connections.

    Args:
        base_url: `http://host:port`.
        connections: size of the pool: requests under way at once.
        headers: sent with every request, e.g. a bearer token; hidden in whatever comes back.
    """

    def __init__(self, base_url: str, connections: int = 1, headers: Mapping[str, str] | None = None) -> None:
        self._url = f"{base_url.rstrip('/')}/api/chat"
        self._headers = {"Content-Type": "application/json", **(headers or {})}
        self._secrets = wire.Secrets(headers)
        self._pool = pool(connections)

    def chat(self, payload: dict[str, Any], timeout_s: float, reply: Reply) -> None:
        """Send one streamed request and fill `reply`, also as far as it came when this raises.

        Args:
            payload: the body of `/api/chat`, without `stream`.
            timeout_s: limit for the whole request.

        Raises:
            BenchmarkError: the subclass names the error class.
        """
        body = json.dumps(payload | {"stream": True}).encode()
        started = time.perf_counter()
        deadline = Deadline(timeout_s)
        try:
            with deadline:
                started = time.perf_counter()
                self._exchange(body, timeout_s, deadline, reply, started)
        except HTTPError as error:
            raise self._transport_error(error, deadline, timeout_s) from None
        except BenchmarkError as error:
            if deadline.passed and isinstance(error, MalformedResponseError):
                raise _timeout(timeout_s) from None
            raise
        finally:
            reply.duration_s = time.perf_counter() - started

    def _exchange(self, body: bytes, timeout_s: float, deadline: Deadline, reply: Reply, started: float) -> None:
        response = self._pool.request(
            "POST", self._url, body=body, headers=self._headers, preload_content=False, retries=False,
            timeout=urllib3.Timeout(connect=min(CONNECT_TIMEOUT_S, timeout_s), read=timeout_s),
        )  # fmt: skip
        complete = False
        try:
            self._receive(response, reply, started)
            complete = not deadline.passed
        finally:
            response.release_conn() if complete else response.close()

    def _receive(self, response: urllib3.BaseHTTPResponse, reply: Reply, started: float) -> None:
        if response.status != 200:
            retry_after = response.headers.get("Retry-After")
            raise status_error(response.status, response.read(100_000), retry_after, self._secrets)
        pieces: list[str] = []
        tokens: list[str] = []
        try:
            for item in _objects(response, self._secrets):
                if reply.turn_s is None:
                    reply.turn_s = time.perf_counter() - started
                piece, token = _content(item)
                if piece:
                    if reply.time_to_first_token_s is None:
                        reply.time_to_first_token_s = time.perf_counter() - started
                    pieces.append(piece)
                    reply.pieces += 1
                if token:
                    tokens.append(token)
                if item.get("done") is True:
                    reply.final = _final(item, self._secrets)
        finally:
            reply.text = self._secrets.text("".join(pieces))
        if not reply.final and _is_whole(response) and _looped(tokens):
            reply.final = {"done": True, "done_reason": LOOP, "eval_count": len(tokens)}
        _check_answered(reply)

    def _transport_error(self, error: HTTPError, deadline: Deadline, timeout_s: float) -> BenchmarkError:
        if deadline.passed or isinstance(error, ReadTimeoutError):
            return _timeout(timeout_s)
        reason = self._secrets.text(_reason(error))[:200]
        if isinstance(error, NameResolutionError):
            return EndpointConnectionError(f"the host of {self._url} does not resolve")
        if isinstance(error, ConnectTimeoutError | NewConnectionError):
            return EndpointConnectionError(f"no connection to {self._url}: {reason}")
        if isinstance(error, SSLError):
            return ConfigurationError(f"TLS with {self._url} failed: {reason}")
        return EndpointConnectionError(f"the connection broke: {reason}")


def _timeout(timeout_s: float) -> RequestTimeoutError:
    return RequestTimeoutError(f"no complete answer within {timeout_s:g} s")


def _reason(error: Exception) -> str:
    cause = getattr(error, "reason", None) or error.__cause__ or error
    return str(cause).split(": ", 1)[-1].strip() or type(cause).__name__


def _objects(response: urllib3.BaseHTTPResponse, secrets: wire.Secrets) -> Iterator[dict[str, Any]]:
    """The JSON objects of a stream, one per line."""
    try:
        for line in wire.lines(_bounded(response)):
            yield _object(line, secrets)
    except wire.TooLongError as error:
        raise MalformedResponseError(f"the answer does not end: {error}") from None


def _bounded(response: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
    received = 0
    for chunk in response.stream(65536):
        received += len(chunk)
        if received > MAX_RESPONSE_BYTES:
            raise wire.TooLongError(f"it is larger than {MAX_RESPONSE_BYTES // 1_000_000} MB")
        yield chunk


def _object(line: bytes, secrets: wire.Secrets) -> dict[str, Any]:
    try:
        item = wire.decoded(line)
    except ValueError:
        raise MalformedResponseError(f"a line of the answer is not JSON: {_start(line, secrets)}") from None
    if not isinstance(item, dict):
        raise MalformedResponseError(f"a line of the answer is not a JSON object: {_start(line, secrets)}")
    if message := error_text(item, secrets):
        raise _server_error(message, may_pass=True)
    return item


def _start(line: bytes, secrets: wire.Secrets) -> str:
    return repr(secrets.text(line.decode(errors="replace"))[:80])


def error_text(item: dict[str, Any], secrets: wire.Secrets) -> str:
    """What a reply says went wrong; empty where it has no `error`, or an empty one."""
    error = item.get("error")
    if isinstance(error, dict):
        error = error.get("message") or error
    return secrets.text(error if isinstance(error, str) else json.dumps(error, default=str)) if error else ""


def _content(item: dict[str, Any]) -> tuple[str, str]:
    """A line's piece of the answer, and what the model wrote for it: the answer's or of its thinking."""
    message = item.get("message")
    if message is None and ("message" in item or item.get("done") is True):
        return "", ""
    content = message.get("content") or "" if isinstance(message, dict) else None
    if not isinstance(message, dict) or not isinstance(content, str):
        raise MalformedResponseError("a line of the answer has no text where Ollama puts it")
    thinking = message.get("thinking")
    return content, content or (thinking if isinstance(thinking, str) else "")


def _final(item: dict[str, Any], secrets: wire.Secrets) -> dict[str, Any]:
    try:
        return dict(secrets.hide(item))
    except ValueError as error:
        raise MalformedResponseError(f"the end of the answer is not Ollama's: {error}") from None


def _is_whole(response: urllib3.BaseHTTPResponse) -> bool:
    """Whether the end of the stream was announced: else nobody knows whether it broke off."""
    return bool(getattr(response, "chunked", False)) or "Content-Length" in response.headers


def _looped(tokens: list[str]) -> bool:
    """Whether the end is one token again and again: Ollama then stops the model, and says nothing."""
    return len(tokens) >= EQUAL_TOKENS and len({token.strip() for token in tokens[-EQUAL_TOKENS:]}) == 1


def _check_answered(reply: Reply) -> None:
    if not reply.final:
        raise MalformedResponseError("the answer's stream ended without saying that it was done")
    if not reply.text and reply.final.get("done_reason") in ("load", "unload"):
        raise MalformedResponseError(
            f"the server answered nothing: it says that it did a {reply.final['done_reason']} of the model"
        )


def _server_error(message: str, *, may_pass: bool) -> BenchmarkError:
    """The error that a message of the server's stands for; `may_pass`: it may be about the process that computes."""
    passes = may_pass and _ENDED.search(message) and not _NEVER.search(message)
    words = message.lower().replace("context deadline exceeded", "")
    if "context" in words and any(word in words for word in ("exceed", "too long", "overflow", "larger")):
        return ContextOverflowError(f"the prompt does not fit the context window: {message[:200]}")
    if passes:
        return RunnerError(f"the server says: {message[:300]}")
    return ModelError(f"the server says: {message[:300]}")


def status_error(
    status: int, body: bytes, retry_after: str | None = None, secrets: wire.Secrets | None = None
) -> BenchmarkError:
    """The error that an HTTP status other than 200 stands for."""
    message = _message(body, secrets or wire.Secrets())
    if status in (429, 503):
        return OverloadedError(f"the server is busy ({status}): {message[:200]}", retry_after_s=_seconds(retry_after))
    if status in (502, 504):
        return EndpointConnectionError(f"a proxy cannot reach the server ({status})")
    if status in (401, 403):
        return ConfigurationError(f"the server refuses access ({status})", remedy="Set its token")
    if status == 499:
        return InterruptedRequestError("the server says that the request was cancelled")
    return _server_error(f"{message} ({status})", may_pass=status >= 500)


def _message(body: bytes, secrets: wire.Secrets) -> str:
    try:
        item = wire.decoded(body)
    except ValueError:
        item = None
    said = error_text(item, secrets) if isinstance(item, dict) else ""
    return said or secrets.text(body.decode(errors="replace")).strip()[:200] or "no message"


def _seconds(retry_after: str | None) -> float | None:
    """Seconds of a Retry-After header, which is a number or a date."""
    if not retry_after:
        return None
    try:
        return max(0.0, float(retry_after))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(retry_after).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None
