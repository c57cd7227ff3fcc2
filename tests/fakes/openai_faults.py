"""Ways to break an answer of a server that speaks OpenAI's API, on the wire. For tests only."""

from __future__ import annotations

import gzip
import json
import time
from contextlib import suppress
from typing import Any

from fakes.faulty_proxy import Fault, Wire
from fakes.openai_api import DONE, error, sse

FAULTS: dict[str, Fault] = {}
STREAM = "text/event-stream"


def fault(function: Fault) -> Fault:
    """Register a way to break an answer."""
    FAULTS[function.__name__] = function
    return function


def begun(text: str = '{"col') -> dict[str, Any]:
    """An object with a piece of an answer."""
    return {"model": "fake:1b", "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]}


def ended(reason: str) -> dict[str, Any]:
    """An object that ends an answer."""
    return {"model": "fake:1b", "choices": [{"index": 0, "delta": {}, "finish_reason": reason}]}


def stream(wire: Wire, *parts: bytes) -> None:
    wire.head(kind=STREAM)
    for part in parts:
        wire.chunk(part)
    wire.end()


def refuse(wire: Wire, status: str, message: str, *headers: str, **more: Any) -> None:
    wire.reply(status, json.dumps(error(message, **more)), *headers)


# --- connections and framing ---------------------------------------------------------------------------------------


@fault
def closed_before_the_answer(wire: Wire) -> None:
    wire.hang_up()


@fault
def reset_in_mid_stream(wire: Wire) -> None:
    wire.head(kind=STREAM)
    wire.chunk(sse(begun()))
    time.sleep(0.02)  # so that the piece is read before the reset discards it
    wire.hang_up(reset=True)


@fault
def stall_in_mid_stream(wire: Wire) -> None:
    wire.head(kind=STREAM)
    wire.chunk(sse(begun()))
    wire.wait_for_hang_up()


@fault
def keep_alives_without_end(wire: Wire) -> None:
    """Comments, so that no single read ever times out."""
    wire.head(kind=STREAM)
    with suppress(OSError):
        for _ in range(600):
            wire.chunk(b": keep-alive\n\n")
            time.sleep(0.05)


@fault
def html_502(wire: Wire) -> None:
    wire.reply("502 Bad Gateway", "<html><body><h1>502 Bad Gateway</h1></body></html>", kind="text/html")


@fault
def html_200(wire: Wire) -> None:
    wire.reply("200 OK", "<html>\n<body>Sign in</body>\n</html>", kind="text/html")


@fault
def truncated_event(wire: Wire) -> None:
    stream(wire, sse(begun()), b'data: {"choices": [{"delta": {"con')


@fault
def stream_without_end(wire: Wire) -> None:
    stream(wire, sse(begun(), begun("our")))


@fault
def done_only(wire: Wire) -> None:
    stream(wire, DONE)


@fault
def done_without_a_reason(wire: Wire) -> None:
    stream(wire, sse(begun(), begun("our")), DONE)


@fault
def error_object_in_mid_stream(wire: Wire) -> None:
    stream(wire, sse(begun(), {"object": "error", "message": "EngineCore exited: out of memory", "code": 500}), DONE)


@fault
def runner_gone_in_mid_stream(wire: Wire) -> None:
    stream(wire, sse(begun(), {"error": {"message": "llama runner process has terminated", "code": 500}}))


@fault
def broken_off_by_the_server(wire: Wire) -> None:
    stream(wire, sse(begun(), ended("error")), DONE)


@fault
def limit_in_mid_stream(wire: Wire) -> None:
    stream(wire, sse(begun(), error("Rate limit reached", code=429)))


# --- refusals ------------------------------------------------------------------------------------------------------


@fault
def limited_429(wire: Wire) -> None:
    refuse(wire, "429 Too Many Requests", "Rate limit reached for requests", code="rate_limit_exceeded")


@fault
def limited_429_retry_after(wire: Wire) -> None:
    refuse(wire, "429 Too Many Requests", "Rate limit reached", "Retry-After: 0.3", code="rate_limit_exceeded")


@fault
def limited_429_reset(wire: Wire) -> None:
    headers = ("x-ratelimit-remaining-requests: 0", "x-ratelimit-reset-requests: 300ms")
    refuse(wire, "429 Too Many Requests", "Rate limit reached", *headers)


@fault
def overloaded_529(wire: Wire) -> None:
    refuse(wire, "529 Site is overloaded", "Overloaded")


@fault
def quota_429(wire: Wire) -> None:
    refuse(wire, "429 Too Many Requests", "You exceeded your current quota", code="insufficient_quota")


@fault
def refused_401(wire: Wire) -> None:
    refuse(wire, "401 Unauthorized", "Incorrect API key provided")


@fault
def refused_403(wire: Wire) -> None:
    refuse(wire, "403 Forbidden", "Your organization may not use this model")


@fault
def not_found_404(wire: Wire) -> None:
    refuse(wire, "404 Not Found", "The model `fake:1b` does not exist", code="model_not_found")


@fault
def overflow_400(wire: Wire) -> None:
    refuse(wire, "400 Bad Request", "Too long", code="context_length_exceeded")


@fault
def overflow_in_mid_stream(wire: Wire) -> None:
    stream(wire, sse({"error": {"message": "the request exceeds the available context size", "code": 400}}))


@fault
def error_400(wire: Wire) -> None:
    refuse(wire, "400 Bad Request", "Invalid value")


# --- ends of answers -----------------------------------------------------------------------------------------------


@fault
def filtered(wire: Wire) -> None:
    stream(wire, sse(begun(), ended("content_filter")), DONE)


@fault
def called_a_tool(wire: Wire) -> None:
    call = {"choices": [{"delta": {"tool_calls": [{"function": {"name": "f", "arguments": "{}"}}]}, "index": 0}]}
    stream(wire, sse(call, ended("tool_calls")), DONE)


@fault
def capped(wire: Wire) -> None:
    *pieces, end, usage = wire.true_answer()
    end["choices"][0]["finish_reason"] = "length"
    stream(wire, sse(*pieces, end, usage), DONE)


@fault
def no_done(wire: Wire) -> None:
    stream(wire, sse(*wire.true_answer()))


@fault
def no_usage(wire: Wire) -> None:
    stream(wire, sse(*wire.true_answer()[:-1]), DONE)


@fault
def refusal(wire: Wire) -> None:
    stream(wire, sse({"choices": [{"delta": {"refusal": "I cannot."}}]}, *wire.true_answer()[2:]), DONE)


@fault
def comments_and_keep_alives(wire: Wire) -> None:
    parts = [b": PROCESSING\r\n\r\n" + sse(item).replace(b"\n", b"\r\n") for item in wire.true_answer()]
    stream(wire, b"retry: 10\r\n", b"event: ping\r\ndata: {}\r\n\r\n", *parts, b": bye\r\n\r\n", DONE)


@fault
def not_streamed(wire: Wire) -> None:
    _, piece, end, usage = wire.true_answer()
    choice = {"index": 0, "message": {"role": "assistant", **piece["choices"][0]["delta"]}, "finish_reason": "stop"}
    wire.reply("200 OK", json.dumps(end | {"choices": [choice], "usage": usage["usage"]}, indent=1))


@fault
def cut_anywhere_by_chunks(wire: Wire) -> None:
    data = sse(*wire.true_answer()) + DONE
    stream(wire, *(data[at : at + 7] for at in range(0, len(data), 7)))


# --- what proxies and other servers do ------------------------------------------------------------------------------


@fault
def limited_429_reset_alone(wire: Wire) -> None:
    refuse(wire, "429 Too Many Requests", "Rate limit reached", "x-ratelimit-reset-tokens: 300ms")


@fault
def failed_500(wire: Wire) -> None:
    refuse(wire, "500 Internal Server Error", "The server had an error while processing your request")


@fault
def html_500(wire: Wire) -> None:
    wire.reply("500 Internal Server Error", "<html><body>Oops</body></html>", kind="text/html")


@fault
def redirected_307(wire: Wire) -> None:
    wire.reply("307 Temporary Redirect", "moved", "Location: https://elsewhere.example/v1/chat/completions?key=1")


@fault
def error_with_status_200(wire: Wire) -> None:
    wire.reply("200 OK", json.dumps(error("Provider returned error", code=502)))


@fault
def policy_400(wire: Wire) -> None:
    refuse(wire, "400 Bad Request", "The prompt exceeds the limits of our safety policy in this context")


@fault
def not_utf8(wire: Wire) -> None:
    stream(wire, sse(begun()), b'data: {"choices": [{"delta": {"content": "\xff\xfe"}}]}\n\n', DONE)


@fault
def compressed(wire: Wire) -> None:
    """Though nobody asked for it."""
    data = gzip.compress(sse(*wire.true_answer()) + DONE)
    wire.head("200 OK", "Content-Encoding: gzip", kind=STREAM)
    for at in range(0, len(data), 50):
        wire.chunk(data[at : at + 50])
    wire.end()


@fault
def usage_everywhere(wire: Wire) -> None:
    *pieces, usage = wire.true_answer()
    stream(wire, sse(*(piece | {"usage": usage["usage"]} for piece in pieces), usage | {"usage": None}), DONE)


@fault
def fields_of_others(wire: Wire) -> None:
    """No space behind `data:`, a byte order mark, empty and null choices, thoughts, numbers where a text could be."""
    odd = ({"choices": []}, {"choices": None}, {"choices": [{"delta": None}]}, {"choices": [{"delta": {"content": None}}]},
           {"choices": [{"delta": {"reasoning_content": "Hm."}, "finish_reason": ""}], "model": 7, "object": 1},
           {"choices": [{"index": "0", "delta": {"reasoning": "Hm.", "tool_calls": None}}], "usage": 0, "error": None})  # fmt: skip
    data = sse(*odd, *wire.true_answer()).replace(b"data: ", b"data:")
    stream(wire, b"\xef\xbb\xbf", data, b"data:[DONE]\n\n")
