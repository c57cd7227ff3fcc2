"""Ollama's API: how a chat is asked there, and what goes wrong."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping

import urllib3

from ai_dev_tools.benchmark._util import wire
from ai_dev_tools.benchmark._util.json_values import JsonObject, table_in
from ai_dev_tools.benchmark.endpoints import probing, pulling
from ai_dev_tools.benchmark.endpoints.base import EndpointSpec, ReadyEndpoint
from ai_dev_tools.benchmark.endpoints.chat import (
    Chat,
    ChatClient,
    Message,
    Reply,
    ToolCall,
    error_text,
    message_of,
    object_of,
)
from ai_dev_tools.benchmark.endpoints.overflow import says_too_long
from ai_dev_tools.benchmark.endpoints.pacing import wait_s
from ai_dev_tools.benchmark.errors import (
    BenchmarkError,
    ConfigurationError,
    ContextOverflowError,
    EndpointConnectionError,
    InterruptedRequestError,
    MalformedResponseError,
    ModelError,
    OverloadedError,
    RunnerError,
)

LOOP = "loop"
"""`done_reason` of our own: the server gave up on an answer that went round in a circle, see `_looped`."""
EQUAL_TOKENS = 30
"""Number of equal tokens in a row after which Ollama ends a stream without a closing object; surrounding spaces do not count."""
_ENDED = re.compile(
    r"runner\b.*\b(stopped|terminated|killed|exited|no longer running|not responding)"
    r"|llama runner to start|unexpected eof|: eof\b|^eof$|broken pipe|connection (reset|refused)|forcibly closed"
    r"|context (canceled|deadline exceeded)"
    r"|exit status|signal: |segmentation fault|core dumped|out of memory|\boom\b|requires more (system )?memory"
    r"|unable to allocate|failed to allocate|(cuda|rocm|hip|vulkan|metal|sycl) error|cublas_status",
    re.IGNORECASE,
)
"""What a server says when the process that computes is gone: killed for its memory, crashed with its GPU."""
NEVER_PASSES = re.compile(r"not supported|unsupported|unknown model|invalid (model|magic)", re.IGNORECASE)
"""What it adds when the same would happen again."""


class OllamaClient(ChatClient):
    """Chat with one Ollama server; its base URL is `http://host:port`."""

    api = "ollama"
    path = "/api/chat"

    @classmethod
    def answers_at(cls, url: str, headers: Mapping[str, str]) -> bool:
        return probing.is_ollama(url, headers)

    @classmethod
    def listed(cls, model: str, url: str, headers: Mapping[str, str]) -> JsonObject | None:
        return probing.find_model(probing.installed_models(url, headers), model)

    @classmethod
    def reach(cls, spec: EndpointSpec, url: str, headers: Mapping[str, str]) -> ReadyEndpoint:
        listed = pulling.ensure_model(url, spec.model, spec.instance, headers)
        return probing.identify(url, "external", spec.model, headers=headers, listed=listed)

    @classmethod
    def loaded(cls, url: str, model: str, headers: Mapping[str, str]) -> JsonObject:
        return probing.running(url, model, headers)

    def body(self, chat: Chat) -> JsonObject:
        """See the explanation of endpoints for why each field is set."""
        body: JsonObject = {
            "model": chat.model,
            "messages": [_message(message) for message in chat.conversation],
            **({} if chat.schema is None else {"format": chat.schema}),
            **({"tools": chat.tools} if chat.tools else {}),
            "options": chat.options,
            "truncate": False,
            "shift": False,
        }
        # Where `think` is left out, the server decides: to some, `think: false` means that `format` is ignored.
        return body if chat.think is None else body | {"think": chat.think}

    def _read(self, response: urllib3.BaseHTTPResponse, lines: Iterator[bytes], reply: Reply, started: float) -> None:
        pieces: list[str] = []
        tokens: list[str] = []
        try:
            for line in lines:
                item = _object(line, self._secrets)
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
                if calls := _calls(item, self._secrets):
                    reply.calls += calls
                    if reply.time_to_first_token_s is None:
                        reply.time_to_first_token_s = time.perf_counter() - started
                if item.get("done") is True:
                    reply.final = _final(item, self._secrets)
        finally:
            reply.text = self._secrets.text("".join(pieces))
        if not reply.final and _is_whole(response) and _looped(tokens):
            reply.final = {"done": True, "done_reason": LOOP, "eval_count": len(tokens)}
        _check_answered(reply)

    def _refusal(self, response: urllib3.BaseHTTPResponse, body: bytes) -> BenchmarkError:
        return status_error(response.status, body, response.headers, self._secrets)


def _message(message: Message) -> JsonObject:
    body: JsonObject = {"role": message.role, "content": message.content}
    if message.calls:
        body["tool_calls"] = [{"function": {"name": c.name, "arguments": c.arguments}} for c in message.calls]
    return body | ({"tool_name": message.answers.name} if message.answers else {})


def _calls(item: JsonObject, secrets: wire.Secrets) -> list[ToolCall]:
    """The functions that a line says the model called."""
    message = item.get("message")
    called = message.get("tool_calls") if isinstance(message, dict) else None
    if not isinstance(called, list):
        return []
    try:
        functions = [table_in(table_in(secrets.hide(call)).get("function")) for call in called]
    except ValueError as error:
        raise MalformedResponseError(f"a tool call in the answer cannot be read: {error}") from None
    return [ToolCall(str(f["name"]), f.get("arguments")) for f in functions if isinstance(f.get("name"), str)]


def _object(line: bytes, secrets: wire.Secrets) -> JsonObject:
    item = object_of(line, secrets)
    if message := error_text(item, secrets):
        raise server_error(message, may_pass=True)
    return item


def _content(item: JsonObject) -> tuple[str, str]:
    """A line's piece of the answer, and what the model wrote for it: the answer's or of its thinking."""
    message = item.get("message")
    if message is None and ("message" in item or item.get("done") is True):
        return "", ""
    content = message.get("content") or "" if isinstance(message, dict) else None
    if not isinstance(message, dict) or not isinstance(content, str):
        raise MalformedResponseError("a line of the answer has no text where Ollama puts it")
    thinking = message.get("thinking")
    return content, content or (thinking if isinstance(thinking, str) else "")


def _final(item: JsonObject, secrets: wire.Secrets) -> JsonObject:
    try:
        return dict(table_in(secrets.hide(item)))
    except ValueError as error:
        raise MalformedResponseError(f"the end of the answer is not Ollama's: {error}") from None


def _is_whole(response: urllib3.BaseHTTPResponse) -> bool:
    """Whether the end of the stream was announced: else nobody knows whether it broke off."""
    return bool(getattr(response, "chunked", False)) or "Content-Length" in response.headers


def _looped(tokens: list[str]) -> bool:
    """Whether the end is one token again and again: Ollama then stops the model without saying so."""
    return len(tokens) >= EQUAL_TOKENS and len({token.strip() for token in tokens[-EQUAL_TOKENS:]}) == 1


def _check_answered(reply: Reply) -> None:
    if not reply.final:
        raise MalformedResponseError("the answer's stream ended without saying that it was done")
    if not reply.text and reply.final.get("done_reason") in ("load", "unload"):
        raise MalformedResponseError(
            f"the server sent no answer: it only reports that the model was {reply.final['done_reason']}ed"
        )


def server_error(message: str, *, may_pass: bool) -> BenchmarkError:
    """The error that a message of the server means.

    `may_pass`: it may be about the process that computes.
    """
    passes = may_pass and _ENDED.search(message) and not NEVER_PASSES.search(message)
    if says_too_long(message):
        return ContextOverflowError(f"the prompt does not fit the context window: {message[:200]}")
    if passes:
        return RunnerError(f"the server says: {message[:300]}")
    return ModelError(f"the server says: {message[:300]}")


def status_error(
    status: int, body: bytes, headers: Mapping[str, str] | None = None, secrets: wire.Secrets | None = None
) -> BenchmarkError:
    """The error that an HTTP status other than 200 means."""
    message = message_of(body, secrets or wire.Secrets())
    if status in (429, 503):
        return OverloadedError(
            f"the server is busy ({status}): {message[:200]}", retry_after_s=wait_s(headers or {}, message)
        )
    if status in (502, 504):
        return EndpointConnectionError(f"a proxy cannot reach the server ({status})")
    if status in (401, 403):
        return ConfigurationError(f"the server refuses access ({status})", remedy="Set its token")
    if status == 499:
        return InterruptedRequestError("the server says that the request was cancelled")
    return server_error(f"{message} ({status})", may_pass=status >= 500)
