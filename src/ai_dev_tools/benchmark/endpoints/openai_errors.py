"""Errors of servers that speak OpenAI's API, as error classes of this project."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from ai_dev_tools.benchmark._util import wire
from ai_dev_tools.benchmark._util.json_values import JsonValue
from ai_dev_tools.benchmark.endpoints.chat import error_text, message_of
from ai_dev_tools.benchmark.endpoints.ollama_client import NEVER_PASSES, server_error
from ai_dev_tools.benchmark.endpoints.overflow import (
    is_about_content,
    is_rate_limit,
    says_answer_too_long,
    says_too_long,
)
from ai_dev_tools.benchmark.endpoints.pacing import wait_s
from ai_dev_tools.benchmark.errors import (
    BenchmarkError,
    ConfigurationError,
    ContextOverflowError,
    EndpointConnectionError,
    InterruptedRequestError,
    ModelError,
    OverloadedError,
    RunnerError,
)

KEY_REMEDY = "Name the environment variable that holds its key in the instance's `key_env`"
_OVERFLOW_CODES = (
    "context_length_exceeded", "exceed_context_size_error", "model_context_window_exceeded", "string_above_max_length",
)  # fmt: skip
_LIMIT_CODES = ("rate_limit_exceeded", "rate_limit_error", "overloaded_error", "too_many_requests", "server_busy")
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


class FailedRequestError(RunnerError):
    """The server broke down over a request, which may pass or be about a field, as `said` tells."""

    def __init__(self, message: str, said: Refused) -> None:
        super().__init__(message)
        self.said = said


def read_refusal(status: int, body: bytes, secrets: wire.Secrets) -> Refused:
    """What the body of an answer with this status says."""
    try:
        item = secrets.hide(wire.decoded(body))
        item = item[0] if isinstance(item, list) and item else item  # as Gemini puts it
    except ValueError:
        item = None
    said = error_text(item, secrets) if isinstance(item, dict) else ""
    return Refused(status, _plain_message(item) or said or message_of(body, secrets), *_about(item))


def _plain_message(item: object) -> str:
    """A message outside of an `error`, as vLLM and FastAPI put it; empty if there is none."""
    texts = [item.get(name) for name in ("message", "detail")] if isinstance(item, dict) else []
    return next((text for text in texts if isinstance(text, str)), "")


def is_error(item: Mapping[str, JsonValue]) -> bool:
    """Whether an object of a stream is an error.

    `{"error": …}` or, from early versions of vLLM, `{"object": "error", …}`.
    """
    return bool(item.get("error")) or item.get("object") == "error"


def refused_in_stream(item: Mapping[str, JsonValue], secrets: wire.Secrets) -> Refused:
    """What an error in a stream says; its code may be a status."""
    item = item if item.get("error") else {"error": dict(item)}
    inner = item.get("error")
    code = inner.get("code") if isinstance(inner, dict) else None
    status = int(code) if isinstance(code, int | str) and re.fullmatch(r"[45][0-9]{2}", str(code)) else 200
    return Refused(status, error_text(dict(item), secrets), *_about(item))


def _about(item: object) -> tuple[tuple[str, ...], str]:
    error = item.get("error") if isinstance(item, dict) else None
    about = error if isinstance(error, dict) else item if isinstance(item, dict) else {}
    kinds = tuple(value.lower() for name in ("code", "type") if isinstance(value := about.get(name), str))
    param = about.get("param")
    return kinds, param if isinstance(param, str) else ""


def error_of(
    said: Refused, headers: Mapping[str, str] | None = None, model: str = "", tokens: int = 0
) -> BenchmarkError:
    """The class that a refusal belongs to.

    Args:
        headers: of the answer: they may say how long to wait.
        tokens: what a request may take, if that is known; a limit must leave that many.
    """
    status, message = said.status, said.message[:300]
    if status == 401 or (status == 403 and not is_about_content(said.message)):
        # Its words are left out: they may hold a part of the key.
        return ConfigurationError(f"the server refuses access ({status})", remedy=KEY_REMEDY)
    if status == 402 or set(said.kinds) & set(_NO_MONEY):
        return ConfigurationError(f"the server answers nothing more on this account ({status}): {message}")
    if is_overflow(said):
        return ContextOverflowError(f"the prompt does not fit the context window: {message[:200]}")
    if _is_too_many(said):
        return OverloadedError(
            f"the server is busy or limits requests ({status}): {message[:200]}",
            retry_after_s=wait_s(headers or {}, said.message, tokens),
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
    if status in (400, 422) and says_answer_too_long(said.message):
        return ConfigurationError(
            f"the model does not allow so long an answer ({status}): {message}", remedy="Lower `options.num_predict`"
        )
    text = message if status == 200 else f"{message} ({status})"
    error = server_error(text, may_pass=status >= 500 or status == 200)
    if not isinstance(error, ModelError):
        return error
    if status >= 500 and status != 501 and not NEVER_PASSES.search(message):
        return FailedRequestError(error.args[0], said)
    return RefusedRequestError(error.args[0], said)


def is_overflow(said: Refused) -> bool:
    """Whether a refusal says that the prompt is too long."""
    if set(said.kinds) & set(_OVERFLOW_CODES):
        return True
    if _is_too_many(said):
        return False
    return said.status == 413 or (said.status in (200, 400, 422, 500) and says_too_long(said.message))


def _is_too_many(said: Refused) -> bool:
    """Whether a refusal is about how much is asked at once or in a time."""
    if said.status in (429, 503, 529) or set(said.kinds) & set(_LIMIT_CODES):
        return True
    return said.status in (200, 413) and is_rate_limit(said.message)
