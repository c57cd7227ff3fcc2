"""One chat with a model in any API: what is asked, what came back, and the measuring client.

A dialect is one subclass of `ChatClient`. What all have in common (connections, clocks, limits, secrets, broken connections)
is here; a dialect says how a request is written, how an answer is read, and how a server tells who it is. Threads and
urllib3: light to import. Durations are seconds by the monotonic clock, from sending the request.
"""

from __future__ import annotations

import json
import time
from abc import ABC, abstractmethod
from collections.abc import Generator, Iterator, Mapping
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal, Protocol

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
from ai_dev_tools.benchmark._util.json_values import JsonObject, JsonValue
from ai_dev_tools.benchmark.endpoints.base import EndpointSpec, ReadyEndpoint
from ai_dev_tools.benchmark.endpoints.pacing import Pace
from ai_dev_tools.benchmark.errors import (
    BenchmarkError,
    ConfigurationError,
    EndpointConnectionError,
    MalformedResponseError,
    RequestTimeoutError,
)

CONNECT_TIMEOUT_S = 10.0
MAX_RESPONSE_BYTES = 64_000_000


@dataclass(frozen=True)
class ToolCall:
    """A function that a model called, with its arguments as the model wrote them.

    They are an object if they can be read as one.
    """

    name: str
    arguments: JsonValue
    id: str = ""


@dataclass(frozen=True)
class Message:
    """A message of a conversation.

    Attributes:
        calls: what an assistant called.
        answers: the call that a tool's message is the result of.
    """

    role: Literal["user", "assistant", "tool"]
    content: str
    calls: tuple[ToolCall, ...] = ()
    answers: ToolCall | None = None


@dataclass(frozen=True)
class Chat:
    """A request in no dialect: one message to a model, or a conversation with it.

    Attributes:
        content: the one message; not looked at where there are `messages`.
        schema: JSON schema of the answer; empty: any JSON; None: no JSON is asked for.
        options: as the config names them (`num_predict`, `seed`, `temperature` …).
        think: whether, or how much, the model may think; None leaves it out of the request.
        messages: the conversation so far, the oldest message first.
        tools: functions that the model may call, as both APIs describe them.
    """

    model: str
    content: str
    schema: Mapping[str, JsonValue] | None
    options: Mapping[str, int | float]
    think: bool | str | None = None
    messages: tuple[Message, ...] = ()
    tools: tuple[Mapping[str, JsonValue], ...] = ()

    @property
    def conversation(self) -> tuple[Message, ...]:
        """All messages, the oldest first."""
        return self.messages or (Message("user", self.content),)

    def without_context(self) -> Chat:
        """The same, for a server that is not told how long the context may be."""
        return replace(self, options={name: value for name, value in self.options.items() if name != "num_ctx"})


@dataclass
class Reply:
    """What came back, complete or not.

    Attributes:
        final: the closing object in Ollama's words (durations in ns), empty if none came; other dialects translate theirs.
        served: the model as the answer itself names it, where it does.
        flags: what the sample should be marked with.
        calls: functions that the model called, of those that it was offered.
        offered: whether it was offered any, so that a call is an answer; set by the caller.
    """

    text: str = ""
    pieces: int = 0
    duration_s: float = 0.0
    time_to_first_token_s: float | None = None
    turn_s: float | None = None
    """When the first line came: the server had begun with the request by then, and may have let it wait before."""
    final: JsonObject = field(default_factory=dict)
    served: str | None = None
    flags: tuple[str, ...] = ()
    calls: list[ToolCall] = field(default_factory=list)
    offered: bool = False


@dataclass(frozen=True)
class Accepted:
    """What a server takes of a request, found out once in a session, so that all arms are asked alike.

    Attributes:
        format: how the answer's schema is asked for: json_schema, json_schema_lax, json_object or none.
        cap: name of the field that limits the answer's length.
        seed, temperature, think, usage: whether the server takes such a field.
    """

    format: str = "json_schema"
    cap: str = "max_tokens"
    seed: bool = True
    temperature: bool = True
    think: bool = True
    usage: bool = True

    @property
    def flags(self) -> tuple[str, ...]:
        """Flags of every sample of the session."""
        left_out = [f"{name}_not_taken" for name in ("seed", "temperature", "think") if not getattr(self, name)]
        return (*([] if self.format == "json_schema" else [f"format_{self.format}"]), *left_out)


class Payer(Protocol):
    """Who pays for requests."""

    def paying(self, chat: Chat, timeout_s: float, reply: Reply) -> AbstractContextManager[None]:
        """Around a request in flight; raises BudgetReached before it is sent."""


class ChatClient(ABC):
    """Chat with one server over pooled connections; one client serves many threads.

    Args:
        base_url: `http://host:port`, with a path where the server has one.
        connections: size of the pool: requests in flight at once.
        headers: sent with every request, e.g. a bearer token; hidden in everything that comes back.
        pace: shared by all clients that ask for one block, so that a limit which the server names holds for all.
    """

    api: ClassVar[str]
    """Name of the dialect in the config."""
    path: ClassVar[str]
    """Where chats go, below the base URL."""
    tells_context: ClassVar[bool] = True
    """Whether a request says how long the context may be; otherwise a longer prompt may be read, and paid for, in full."""
    negotiates: ClassVar[bool] = False
    """Whether the warm-up has to find out what the server accepts before anything is asked."""

    def __init__(
        self,
        base_url: str,
        connections: int = 1,
        headers: Mapping[str, str] | None = None,
        pace: Pace | None = None,
        accepted: Accepted | None = None,
    ) -> None:
        self.pace = pace or Pace()
        self.payer: Payer | None = None
        """Who pays for requests, where the run has a budget."""
        self.accepted = accepted or Accepted()
        self.base_url = base_url.rstrip("/")
        self._url = f"{self.base_url}{self.path}"
        self._headers = {"Content-Type": "application/json", **(headers or {})}
        self._secrets = wire.Secrets(headers)
        self._pool = pool(connections)

    @classmethod
    @abstractmethod
    def answers_at(cls, url: str, headers: Mapping[str, str]) -> bool:
        """Whether something that speaks this dialect answers there."""

    @classmethod
    @abstractmethod
    def listed(cls, model: str, url: str, headers: Mapping[str, str]) -> JsonObject | None:
        """What the server's list of models says of one; None: it lacks the model and can fetch it.

        Raises:
            BenchmarkError: the server does not answer as this dialect has it, refuses access, or cannot have the model.
        """

    @classmethod
    @abstractmethod
    def reach(cls, spec: EndpointSpec, url: str, headers: Mapping[str, str]) -> ReadyEndpoint:
        """The server, identified, with the model. Raises BenchmarkError."""

    @classmethod
    @abstractmethod
    def loaded(cls, url: str, model: str, headers: Mapping[str, str]) -> JsonObject:
        """How the model is loaded, if the server reports it: `context_length`, `offload_share`."""

    @abstractmethod
    def body(self, chat: Chat) -> JsonObject:
        """The body of the request in this dialect."""

    @abstractmethod
    def _read(self, response: urllib3.BaseHTTPResponse, lines: Iterator[bytes], reply: Reply, started: float) -> None:
        """Fill the reply from the lines of a stream that began with status 200."""

    @abstractmethod
    def _refusal(self, response: urllib3.BaseHTTPResponse, body: bytes) -> BenchmarkError:
        """The error that a status other than 200 means."""

    def ask(self, chat: Chat, timeout_s: float, reply: Reply) -> None:
        """Send one streamed request and fill `reply`, also with what has arrived when this raises.

        Args:
            timeout_s: limit for the whole request.

        Raises:
            BenchmarkError: the subclass names the error class.
        """
        reply.offered = bool(chat.tools)
        with self._paid(chat, timeout_s, reply):
            self.chat(self.body(chat), timeout_s, reply)

    def _paid(self, chat: Chat, timeout_s: float, reply: Reply) -> AbstractContextManager[None]:
        if self.payer is None:
            return nullcontext()
        return self.payer.paying(chat if self.tells_context else chat.without_context(), timeout_s, reply)

    def warm_up(self, chat: Chat, timeout_s: float) -> None:
        """Have the model loaded with the very options that follow.

        A dialect may find out what the server accepts.

        Raises:
            BenchmarkError: as `ask`.
        """
        self.ask(chat, timeout_s, Reply())

    def chat(self, payload: JsonObject, timeout_s: float, reply: Reply) -> None:
        """As `ask`, for a body in the server's own dialect."""
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
            if 300 <= response.status < 400:
                raise self._moved(response)
            if response.status != 200:
                raise self._refusal(response, response.read(100_000))
            # Closed at once, and not by the garbage collector: see `wire.stream`.
            with closing(lines_of(response)) as lines:
                self._read(response, lines, reply, started)
            complete = not deadline.passed
        finally:
            response.release_conn() if complete else response.close()

    def _moved(self, response: urllib3.BaseHTTPResponse) -> BenchmarkError:
        """Redirects are not followed: prompts and keys go to the address that the settings name, and to no other."""
        place = self._secrets.text(response.headers.get("Location", "").partition("?")[0])[:200]
        to = f" to {place}" if place else ""
        return ConfigurationError(
            f"{self._url} redirects{to} ({response.status}), which is not followed",
            remedy="Correct the server's address",
        )

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


def lines_of(response: urllib3.BaseHTTPResponse) -> Generator[bytes]:
    """The lines of a streamed answer that are not blank, bounded in length and number.

    Raises:
        MalformedResponseError: the answer does not end.
    """
    try:
        with wire.stream(response) as pieces:
            yield from wire.lines(pieces, most=MAX_RESPONSE_BYTES)
    except wire.TooLongError as error:
        raise MalformedResponseError(f"the answer does not end: {error}") from None


def object_of(line: bytes, secrets: wire.Secrets) -> JsonObject:
    """The JSON object that a line of an answer holds.

    Raises:
        MalformedResponseError: it holds none.
    """
    try:
        item = wire.decoded(line)
    except ValueError:
        raise MalformedResponseError(f"a line of the answer is not JSON: {quoted_start(line, secrets)}") from None
    if not isinstance(item, dict):
        raise MalformedResponseError(f"a line of the answer is not a JSON object: {quoted_start(line, secrets)}")
    return item


def quoted_start(line: bytes, secrets: wire.Secrets) -> str:
    """The beginning of a line, for a message."""
    return repr(secrets.text(line.decode(errors="replace"))[:80])


def error_text(item: JsonObject, secrets: wire.Secrets) -> str:
    """What a reply says went wrong; empty if it has no `error`, or an empty one."""
    error = item.get("error")
    if isinstance(error, dict):
        error = error.get("message") or error
    return secrets.text(error if isinstance(error, str) else json.dumps(error, default=str)) if error else ""


def message_of(body: bytes, secrets: wire.Secrets) -> str:
    """What the body of a refusal says, for people."""
    try:
        item = wire.decoded(body)
    except ValueError:
        item = None
    said = error_text(item, secrets) if isinstance(item, dict) else ""
    return said or secrets.text(body.decode(errors="replace")).strip()[:200] or "no message"
