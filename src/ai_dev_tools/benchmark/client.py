"""A client for Ollama's chat API that measures, and names what goes wrong. Threads and urllib3: light to import.

Durations are seconds by the monotonic clock, from sending the request. One client serves many threads.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any

import msgspec
import urllib3
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    NameResolutionError,
    NewConnectionError,
    ReadTimeoutError,
    SSLError,
)

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
)

CONNECT_TIMEOUT_S = 10.0
MAX_RESPONSE_BYTES = 64_000_000


@dataclass
class Reply:
    """What came back, complete or not. `final` is Ollama's closing object (durations in ns), empty if none came."""

    text: str = ""
    pieces: int = 0
    duration_s: float = 0.0
    time_to_first_token_s: float | None = None
    final: dict[str, Any] = field(default_factory=dict)


class OllamaClient:
    """Chat with one Ollama server over pooled connections.

    Args:
        base_url: `http://host:port`.
        connections: size of the pool: requests under way at once.
        headers: sent with every request, e.g. a bearer token; never recorded.
        pool: another transport with urllib3's `request` method, for tests.
    """

    def __init__(
        self,
        base_url: str,
        connections: int = 1,
        headers: Mapping[str, str] | None = None,
        pool: urllib3.PoolManager | None = None,
    ) -> None:
        self._url = f"{base_url.rstrip('/')}/api/chat"
        self._headers = {"Content-Type": "application/json", **(headers or {})}
        self._pool = pool or urllib3.PoolManager(maxsize=connections, retries=False)

    def chat(self, payload: dict[str, Any], timeout_s: float, reply: Reply) -> None:
        """Send one streamed request and fill `reply`, also as far as it came when this raises.

        Args:
            payload: the body of `/api/chat`, without `stream`.
            timeout_s: limit for the whole request.

        Raises:
            BenchmarkError: the subclass names the error class.
        """
        started = time.perf_counter()
        deadline = _Deadline(timeout_s)
        body = json.dumps(payload | {"stream": True}).encode()
        try:
            response = self._pool.request(
                "POST", self._url, body=body, headers=self._headers, preload_content=False, retries=False,
                timeout=urllib3.Timeout(connect=min(CONNECT_TIMEOUT_S, timeout_s), read=timeout_s),
            )  # fmt: skip
            complete = False
            try:
                with deadline.guarding(response):
                    self._receive(response, reply, started)
                complete = not deadline.passed
            finally:
                response.release_conn() if complete else response.close()
        except HTTPError as error:
            raise self._transport_error(error, deadline, timeout_s) from None
        except BenchmarkError as error:
            if deadline.passed and isinstance(error, MalformedResponseError):
                raise _timeout(timeout_s) from None
            raise
        finally:
            reply.duration_s = time.perf_counter() - started

    def _receive(self, response: urllib3.BaseHTTPResponse, reply: Reply, started: float) -> None:
        if response.status != 200:
            raise status_error(response.status, response.read(100_000), response.headers.get("Retry-After"))
        complete = False
        pieces: list[str] = []
        try:
            for item in _objects(response):
                piece = _content(item)
                if piece:
                    if reply.time_to_first_token_s is None:
                        reply.time_to_first_token_s = time.perf_counter() - started
                    pieces.append(piece)
                    reply.pieces += 1
                if item.get("done") is True:
                    reply.final = item
                    complete = True
        finally:
            reply.text = "".join(pieces)
        if not complete:
            raise MalformedResponseError("the answer's stream ended without saying that it was done")

    def _transport_error(self, error: HTTPError, deadline: _Deadline, timeout_s: float) -> BenchmarkError:
        if deadline.passed or isinstance(error, ReadTimeoutError):
            return _timeout(timeout_s)
        if isinstance(error, NameResolutionError):
            return EndpointConnectionError(f"the host of {self._url} does not resolve")
        if isinstance(error, ConnectTimeoutError | NewConnectionError):
            return EndpointConnectionError(f"no connection to {self._url}: {_reason(error)}")
        if isinstance(error, SSLError):
            return ConfigurationError(f"TLS with {self._url} failed: {_reason(error)}")
        return EndpointConnectionError(f"the connection broke: {_reason(error)}")


class _Deadline:
    """Ends a response that is still being read when its time is up; a read timeout alone starts anew with each piece."""

    def __init__(self, timeout_s: float) -> None:
        self._ends = time.perf_counter() + timeout_s
        self.passed = False
        self._over = False
        self._lock = threading.Lock()
        self._response: urllib3.BaseHTTPResponse | None = None
        self._timer: threading.Timer | None = None

    def guarding(self, response: urllib3.BaseHTTPResponse) -> _Deadline:
        self._response = response
        return self

    def __enter__(self) -> None:
        self._timer = threading.Timer(max(0.0, self._ends - time.perf_counter()), self._end)
        self._timer.daemon = True
        self._timer.start()

    def __exit__(self, *_: object) -> None:
        if self._timer:
            self._timer.cancel()
        with self._lock:
            self._over = True

    def _end(self) -> None:
        with self._lock:
            if self._over:  # too late: the whole answer is there, and its connection may serve the next request
                return
            self.passed = True
            with suppress(OSError, ValueError, RuntimeError, HTTPError):
                if isinstance(self._response, urllib3.HTTPResponse):
                    self._response.shutdown()


def _timeout(timeout_s: float) -> RequestTimeoutError:
    return RequestTimeoutError(f"no complete answer within {timeout_s:g} s")


def _reason(error: Exception) -> str:
    cause = getattr(error, "reason", None) or error.__cause__ or error
    return str(cause).split(": ", 1)[-1].strip()[:200] or type(cause).__name__


def _objects(response: urllib3.BaseHTTPResponse) -> Iterator[dict[str, Any]]:
    """The JSON objects of a stream, one per line."""
    buffer, received = b"", 0
    for chunk in response.stream(65536):
        received += len(chunk)
        if received > MAX_RESPONSE_BYTES:
            raise MalformedResponseError(f"the answer is larger than {MAX_RESPONSE_BYTES // 1_000_000} MB")
        *lines, buffer = (buffer + chunk).split(b"\n")
        for line in lines:
            if line.strip():
                yield _object(line)
    if buffer.strip():
        yield _object(buffer)


def _object(line: bytes) -> dict[str, Any]:
    try:
        item = msgspec.json.decode(line)
    except (ValueError, RecursionError):
        raise MalformedResponseError(f"a line of the answer is not JSON: {line[:80]!r}") from None
    if not isinstance(item, dict):
        raise MalformedResponseError(f"a line of the answer is not a JSON object: {line[:80]!r}")
    if "error" in item:
        raise _model_error(str(item["error"]))
    return item


def _content(item: dict[str, Any]) -> str:
    message = item.get("message")
    if message is None and item.get("done") is True:
        return ""
    content = message.get("content", "") if isinstance(message, dict) else None
    if not isinstance(content, str):
        raise MalformedResponseError("a line of the answer has no text where Ollama puts it")
    return content


def _model_error(message: str) -> BenchmarkError:
    words = message.lower()
    if "context" in words and any(word in words for word in ("exceed", "too long", "overflow", "larger")):
        return ContextOverflowError(f"the prompt does not fit the context window: {message[:200]}")
    return ModelError(f"the server says: {message[:300]}")


def status_error(status: int, body: bytes, retry_after: str | None = None) -> BenchmarkError:
    """The error that an HTTP status other than 200 stands for."""
    try:
        message = str(msgspec.json.decode(body)["error"])
    except (ValueError, KeyError, TypeError, RecursionError):
        message = body.decode(errors="replace").strip()[:200] or "no message"
    if status in (429, 503):
        return OverloadedError(f"the server is busy ({status}): {message[:200]}", retry_after_s=_seconds(retry_after))
    if status in (502, 504):
        return EndpointConnectionError(f"a proxy cannot reach the server ({status})")
    if status in (401, 403):
        return ConfigurationError(f"the server refuses access ({status})", remedy="Set its token")
    if status == 499:
        return InterruptedRequestError("the server says that the request was cancelled")
    return _model_error(f"{message} ({status})")


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
