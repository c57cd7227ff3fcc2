"""Errors of servers that speak OpenAI's API, as error classes of this project."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ai_dev_tools.benchmark._util import wire
from ai_dev_tools.benchmark.endpoints.chat import error_text, message_of, retry_after_s
from ai_dev_tools.benchmark.endpoints.ollama_client import server_error
from ai_dev_tools.benchmark.endpoints.pacing import span_s, used_up_s
from ai_dev_tools.benchmark.errors import (
    BenchmarkError,
    ConfigurationError,
    ContextOverflowError,
    EndpointConnectionError,
    InterruptedRequestError,
    ModelError,
    OverloadedError,
)

KEY_REMEDY = "Name the environment variable that holds its key in the instance's `key_env`"
_OVERFLOW_CODES = ("context_length_exceeded", "exceed_context_size_error", "string_above_max_length")
_OVERFLOW = re.compile(
    r"context[ _-]?(length|size|window)|maximum context|(prompt|input|messages?)\b.{0,60}\btoo (long|large|many tokens)"
    r"|too many (input )?tokens|reduce the length of the (messages|prompt|input)"
    r"|(input|prompt)\b.{0,80}\bexceeds? the (maximum|limit|model)|max_new_tokens.{0,20}must be <="
    r"|\bmaximum (model|input|sequence) length|\bn_ctx\b|range of input length",
    re.IGNORECASE,
)
"""How servers say that a prompt does not fit: OpenAI and vLLM, llama.cpp, LM Studio, SGLang, TGI, Gemini, Mistral, Groq."""
_NO_MONEY = ("insufficient_quota", "billing_hard_limit_reached", "billing_not_active", "insufficient_balance")


@dataclass(frozen=True)
class Refused:
    """What a server says when it refuses a request.

    Attributes:
        status: of HTTP, or of an error inside a stream, where it names one.
        message: for people, secrets hidden.
        kinds: its `code` and `type`, in lower case.
        param: the field of the request that it is about, where it names one.
    """

    status: int
    message: str
    kinds: tuple[str, ...] = ()
    param: str = ""


class RefusedRequestError(ModelError):
    """A refusal with what the server said of it, from which one sees what to leave out."""

    def __init__(self, message: str, said: Refused, remedy: str | None = None) -> None:
        super().__init__(message, remedy=remedy)
        self.said = said


def refused(status: int, body: bytes, secrets: wire.Secrets) -> Refused:
    """What the body of an answer with this status says."""
    try:
        item = secrets.hide(wire.decoded(body))
    except ValueError:
        item = None
    return Refused(status, _plain_message(item) or message_of(body, secrets), *_about(item))


def _plain_message(item: Any) -> str:
    """A message outside of an `error`, as vLLM and FastAPI put it; empty if there is none."""
    texts = [item.get(name) for name in ("message", "detail")] if isinstance(item, dict) else []
    return next((text for text in texts if isinstance(text, str)), "")


def is_error(item: Mapping[str, Any]) -> bool:
    """Whether an object of a stream is an error.

    `{"error": …}` or, from early versions of vLLM, `{"object": "error", …}`.
    """
    return bool(item.get("error")) or item.get("object") == "error"


def refused_in_stream(item: Mapping[str, Any], secrets: wire.Secrets) -> Refused:
    """What an error in a stream says; its code may be a status."""
    item = item if item.get("error") else {"error": dict(item)}
    inner = item.get("error")
    code = inner.get("code") if isinstance(inner, dict) else None
    status = int(code) if isinstance(code, int | str) and str(code).isdigit() and 400 <= int(code) < 600 else 200
    return Refused(status, error_text(dict(item), secrets), *_about(item))


def _about(item: Any) -> tuple[tuple[str, ...], str]:
    error = item.get("error") if isinstance(item, dict) else None
    about = error if isinstance(error, dict) else item if isinstance(item, dict) else {}
    kinds = tuple(value.lower() for name in ("code", "type") if isinstance(value := about.get(name), str))
    param = about.get("param")
    return kinds, param if isinstance(param, str) else ""


def error_of(said: Refused, headers: Mapping[str, str] | None = None, model: str = "") -> BenchmarkError:
    """The class that a refusal belongs to.

    Args:
        headers: of the answer: they may say how long to wait.
    """
    status, message = said.status, said.message[:300]
    if status in (401, 403):
        # Its words are left out: they may hold a part of the key.
        return ConfigurationError(f"the server refuses access ({status})", remedy=KEY_REMEDY)
    if status == 402 or set(said.kinds) & set(_NO_MONEY):
        return ConfigurationError(f"the server answers nothing more on this account ({status}): {message}")
    if is_overflow(said):
        return ContextOverflowError(f"the prompt does not fit the context window: {message[:200]}")
    if status in (429, 503, 529) or "rate_limit_exceeded" in said.kinds:
        wait_s = _wait_s(headers or {})
        return OverloadedError(
            f"the server is busy or limits requests ({status}): {message[:200]}", retry_after_s=wait_s
        )
    if status in (408, 502, 504) or 520 <= status <= 524:
        return EndpointConnectionError(f"a proxy cannot reach the server ({status})")
    if status == 499:
        return InterruptedRequestError("the server says that the request was cancelled")
    if status == 404:
        return RefusedRequestError(
            f"the server has no such model or address (404): {message}",
            said,
            remedy=f"Check the model's name{f' ({model})' if model else ''} and `base_url` in the config",
        )
    text = message if status == 200 else f"{message} ({status})"
    error = server_error(text, may_pass=status >= 500 or status == 200)
    return RefusedRequestError(error.args[0], said) if isinstance(error, ModelError) else error


def is_overflow(said: Refused) -> bool:
    """Whether a refusal says that the prompt is too long."""
    if set(said.kinds) & set(_OVERFLOW_CODES):
        return True
    if said.status == 413:
        return "rate_limit_exceeded" not in said.kinds
    return said.status in (200, 400, 422, 500) and _OVERFLOW.search(said.message) is not None


def _wait_s(headers: Mapping[str, str]) -> float | None:
    milliseconds = retry_after_s(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    text = headers.get("Retry-After") or headers.get("retry-after")
    named = retry_after_s(text)
    named = span_s(text) if named is None else named
    return named if named is not None else used_up_s(headers) or None
