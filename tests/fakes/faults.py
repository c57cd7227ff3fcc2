"""Faults that an answer meets on the wire: what each does to the client's connection. For tests only.

`FAULTS` has them by name; the proxy (faulty_proxy.py) says which try of a request meets which.
"""

from __future__ import annotations

import json
import socket
import struct
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Chat:
    """One try of a measured request, as the proxy sees it."""

    body: dict[str, Any]
    prompt: str
    """The prompt without its nonce, so that a retry is known for one."""
    attempt: int
    """1 for the first attempt of this prompt and seed."""


@dataclass
class Wire:
    """The client's connection, and the way to the true answer."""

    connection: socket.socket
    chat: Chat
    true_answer: Callable[[], list[dict[str, Any]]]
    over: bool = False

    def head(self, status: str = "200 OK", *headers: str, kind: str = "application/x-ndjson") -> None:
        lines = [f"HTTP/1.1 {status}", f"Content-Type: {kind}", "Transfer-Encoding: chunked", *headers]
        self.connection.sendall("\r\n".join([*lines, "", ""]).encode())

    def chunk(self, data: bytes) -> None:
        self.connection.sendall(b"%x\r\n%s\r\n" % (len(data), data))

    def objects(self, *items: dict[str, Any]) -> None:
        for item in items:
            self.chunk(json.dumps(item).encode() + b"\n")

    def end(self) -> None:
        self.connection.sendall(b"0\r\n\r\n")

    def reply(self, status: str, text: str, *headers: str, kind: str = "application/json") -> None:
        self.head(status, *headers, kind=kind)
        self.chunk(text.encode())
        self.end()

    def piece(self, text: str = '{"col') -> dict[str, Any]:
        return {"model": self.chat.body["model"], "message": {"role": "assistant", "content": text}, "done": False}

    def hang_up(self, reset: bool = False) -> None:
        """End the connection; with `reset` as a crashed server does: RST instead of FIN."""
        if reset:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.over = True

    def wait_for_hang_up(self, limit_s: float = 30) -> None:
        """Say nothing until the client goes away."""
        self.connection.settimeout(limit_s)
        with suppress(OSError):
            self.connection.recv(1)


Fault = Callable[[Wire], None]
FAULTS: dict[str, Fault] = {}


def fault(function: Fault) -> Fault:
    """Register a way to break an answer."""
    FAULTS[function.__name__] = function
    return function


@fault
def closed_before_the_answer(wire: Wire) -> None:
    wire.hang_up()


@fault
def reset_in_mid_stream(wire: Wire) -> None:
    wire.head()
    wire.objects(wire.piece())
    time.sleep(0.02)  # so that the piece is read before the reset discards it
    wire.hang_up(reset=True)


@fault
def stall_in_mid_stream(wire: Wire) -> None:
    wire.head()
    wire.objects(wire.piece())
    wire.wait_for_hang_up()


@fault
def trickle_without_end(wire: Wire) -> None:
    """One piece after the other, so that no single read ever times out."""
    wire.head()
    with suppress(OSError):
        for _ in range(600):
            wire.objects(wire.piece(" "))
            time.sleep(0.05)


@fault
def no_first_byte(wire: Wire) -> None:
    wire.wait_for_hang_up()


@fault
def slow_first_byte(wire: Wire) -> None:
    time.sleep(0.3)
    _true(wire)


@fault
def truncated_ndjson(wire: Wire) -> None:
    wire.head()
    wire.objects(wire.piece())
    wire.chunk(b'{"model":"fake:1b","message":{"role":"assis')
    wire.end()


@fault
def cut_in_mid_chunk(wire: Wire) -> None:
    wire.head()
    wire.connection.sendall(b"ff\r\n" + json.dumps(wire.piece()).encode())
    wire.hang_up()


@fault
def invalid_json(wire: Wire) -> None:
    wire.head()
    wire.chunk(b"{'model': 'single quotes'}\n")
    wire.end()


@fault
def json_that_is_no_object(wire: Wire) -> None:
    wire.head()
    wire.chunk(b"[1, 2, 3]\n")
    wire.end()


@fault
def invalid_utf8(wire: Wire) -> None:
    wire.head()
    wire.chunk(b'{"message":{"role":"assistant","content":"\xff\xfe\xc3"},"done":false}\n')
    wire.end()


@fault
def no_done(wire: Wire) -> None:
    wire.head()
    wire.objects(wire.piece(), wire.piece("our"))
    wire.end()


@fault
def looped(wire: Wire) -> None:
    """As a real Ollama ends an answer that writes one token again and again: whole framing, no closing object."""
    wire.head()
    wire.objects(wire.piece("{"), *[wire.piece("\u00a0")] * 31)
    wire.end()


@fault
def loaded_only(wire: Wire) -> None:
    wire.head()
    wire.objects(wire.piece("") | {"done": True, "done_reason": "load"})
    wire.end()


@fault
def empty_errors(wire: Wire) -> None:
    wire.head()
    wire.objects(*[item | {"error": empty} for item, empty in zip(wire.true_answer(), (None, ""), strict=True)])
    wire.end()


@fault
def content_null(wire: Wire) -> None:
    piece, final = wire.true_answer()
    null = {"message": {"role": "assistant", "content": None}}
    wire.head()
    wire.objects(null, piece, null, final | null)
    wire.end()


@fault
def half_a_character(wire: Wire) -> None:
    wire.head()
    wire.objects(wire.piece("\ud800"), *wire.true_answer())
    wire.end()


@fault
def line_without_end(wire: Wire) -> None:
    wire.head()
    with suppress(OSError):
        for _ in range(20):
            wire.chunk(b"x" * 1_000_000)
        wire.end()


@fault
def error_in_mid_stream(wire: Wire) -> None:
    wire.head()
    wire.objects(wire.piece(), {"error": "an error was encountered: the model made a token that does not exist"})
    wire.end()


@fault
def runner_killed_in_mid_stream(wire: Wire) -> None:
    wire.head()
    wire.objects(wire.piece(), {"error": "an error was encountered while running the model: unexpected EOF"})
    wire.end()


@fault
def html_502(wire: Wire) -> None:
    wire.reply("502 Bad Gateway", "<html><body><h1>502 Bad Gateway</h1></body></html>", kind="text/html")


@fault
def busy_503(wire: Wire) -> None:
    wire.reply("503 Service Unavailable", '{"error":"server busy, please try again"}')


@fault
def busy_503_retry_after(wire: Wire) -> None:
    wire.reply("503 Service Unavailable", '{"error":"server busy"}', "Retry-After: 1")


@fault
def not_found_404(wire: Wire) -> None:
    wire.reply("404 Not Found", json.dumps({"error": f"model '{wire.chat.body['model']}' not found"}))


@fault
def error_500(wire: Wire) -> None:
    wire.reply("500 Internal Server Error", '{"error":"invalid JSON schema in format"}')


@fault
def runner_stopped_500(wire: Wire) -> None:
    message = (
        "model runner has unexpectedly stopped, this may be due to resource limitations or an internal error, "
        "check ollama server logs for details"
    )
    wire.reply("500 Internal Server Error", json.dumps({"error": message}))


@fault
def runner_terminated_500(wire: Wire) -> None:
    wire.reply("500 Internal Server Error", '{"error":"llama runner process has terminated: exit status 2"}')


@fault
def overflow_400(wire: Wire) -> None:
    wire.reply("400 Bad Request", '{"error":"the input length exceeds the context length"}')


@fault
def refused_401(wire: Wire) -> None:
    wire.reply("401 Unauthorized", '{"error":"unauthorized"}')


@fault
def no_token_counts(wire: Wire) -> None:
    *pieces, final = wire.true_answer()
    for name in ("prompt_eval_count", "eval_count"):
        final.pop(name, None)
    wire.head()
    wire.objects(*pieces, final)
    wire.end()


@fault
def absurd_durations(wire: Wire) -> None:
    *pieces, final = wire.true_answer()
    absurd = {
        "total_duration": -5,
        "load_duration": 10**30,
        "prompt_eval_duration": "soon",
        "eval_duration": 9 * 10**18,
    }
    wire.head()
    wire.objects(*pieces, final | absurd)
    wire.end()


@fault
def answer_of_10_mb(wire: Wire) -> None:
    *_, final = wire.true_answer()
    wire.head()
    wire.objects(*[wire.piece("x" * 10_000)] * 1000, final)
    wire.end()


@fault
def two_lines_in_one_chunk_and_one_in_two(wire: Wire) -> None:
    """No fault at all, only an unusual cut: a client must not care where chunks end."""
    data = b"".join(json.dumps(item).encode() + b"\n" for item in wire.true_answer())
    wire.head()
    for at in range(0, len(data), 7):
        wire.chunk(data[at : at + 7])
    wire.end()


def _true(wire: Wire) -> None:
    wire.head()
    wire.objects(*wire.true_answer())
    wire.end()
