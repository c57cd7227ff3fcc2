"""HTTP as the fake Ollama speaks it: one request after the other, turns at a server with few slots, Ollama's framing."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .ollama import FakeOllama

GATE_INTERVAL_S = 0.01
TEXT = "text/plain"
"""Key of a reply that is text and no object."""
LARGE_BYTES = 2048
"""A real server sends what is longer without a length."""
JSON = b"application/json; charset=utf-8"


class Lines(list[dict[str, Any]]):
    """Objects of a stream, even if there is only one."""


END = b"0\r\n\r\n"


def _head(status: int, objects: int) -> bytes:
    kind = "application/x-ndjson" if objects > 1 else "application/json"
    return f"HTTP/1.1 {status} Fake\r\nContent-Type: {kind}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()


def _chunks(objects: Sequence[dict[str, Any]]) -> bytes:
    lines = [json.dumps(item).encode() + b"\n" for item in objects]
    return b"".join(b"%x\r\n%s\r\n" % (len(line), line) for line in lines)


class Turn:
    """A chat request at a server with few slots: it waits, reads the prompt, writes the answer, and makes room."""

    def __init__(
        self,
        fake: FakeOllama,
        transport: asyncio.Transport,
        objects: list[dict[str, Any]],
        latency_s: float,
        measured: bool,
    ) -> None:
        self._fake, self._transport, self._objects = fake, transport, objects
        self._latency_s, self._measured = latency_s, measured
        self._loop = asyncio.get_running_loop()
        self._arrived = self._loop.time()
        self.given_up = transport.is_closing

    def begin(self) -> None:
        self._loop.call_later(self._latency_s / 2, self._first_piece)

    def _first_piece(self) -> None:
        if not self.given_up():
            self._transport.write(_head(200, len(self._objects)) + _chunks(self._objects[:-1]))
        self._loop.call_later(self._latency_s / 2, self._end)

    def _end(self) -> None:
        if self._measured and not self._fake.gate() and not self.given_up():
            self._loop.call_later(GATE_INTERVAL_S, self._end)
            return
        self.leave()
        self._fake.served -= 1
        if not self.given_up():  # the wait is in the total and in no other field, as recorded from Ollama 0.24
            whole = {"total_duration": round((self._loop.time() - self._arrived) * 1e9)}
            self._transport.write(_chunks([self._objects[-1] | whole]) + END)
        self._fake.next_turns()

    def leave(self) -> None:
        if self._measured:
            self._fake.left()


class Connection(asyncio.Protocol):
    """HTTP/1.1 as far as clients of Ollama use it: one request after the other, bodies with Content-Length."""

    def __init__(self, fake: FakeOllama) -> None:
        self._fake = fake
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]
        self._fake.open_connections.add(self._transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._fake.open_connections.discard(self._transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, end, rest = self._buffer.partition(b"\r\n\r\n")
        if not end:
            return
        line, *headers = head.decode("latin-1").split("\r\n")
        length = next((int(h.split(":")[1]) for h in headers if h.lower().startswith("content-length:")), 0)
        if len(rest) < length:
            return
        self._buffer = rest[length:]
        method, path, _ = line.split(" ", 2)
        before = self._fake.measured
        status, objects, wait_s = self._fake.reply(method, path, rest[:length])
        measured = self._fake.measured > before
        if measured:
            self._fake.arrived()
        if self._fake.slots and path in ("/api/chat", "/api/generate") and status == 200:
            self._fake.line.append(Turn(self._fake, self._transport, objects, wait_s, measured))
            return self._fake.next_turns()
        asyncio.get_running_loop().call_later(wait_s, self._send, status, objects, measured)

    def _send(self, status: int, objects: list[dict[str, Any]], measured: bool) -> None:
        """All of a reply at once."""
        if measured:
            if not self._fake.gate():
                asyncio.get_running_loop().call_later(GATE_INTERVAL_S, self._send, status, objects, measured)
                return
            self._fake.left()
        if not self._transport.is_closing():
            self._transport.write(f"HTTP/1.1 {status} Fake\r\n".encode() + _framed(status, objects))


def _framed(status: int, objects: list[dict[str, Any]]) -> bytes:
    """Headers and body, in the framing that a real server uses."""
    first = objects[0] if isinstance(objects[0], dict) else {}  # a test may bend a reply into anything
    if TEXT in first:
        kind = "text/plain; charset=utf-8" if status == 200 else "text/plain"
        allow = f"Allow: {first['allow']}\r\n" if "allow" in first else ""
        body = first[TEXT].encode()
        return f"Content-Type: {kind}\r\n{allow}Content-Length: {len(body)}\r\n\r\n".encode() + body
    lines = [json.dumps(item).encode() + b"\n" for item in objects]
    streamed = isinstance(objects, Lines) or len(objects) > 1
    if not streamed and len(lines[0]) <= LARGE_BYTES:
        return b"Content-Type: %s\r\nContent-Length: %d\r\n\r\n%s" % (JSON, len(lines[0]), lines[0])
    kind = "application/json" if "error" in first else "application/x-ndjson" if streamed else JSON.decode()
    return f"Content-Type: {kind}\r\nTransfer-Encoding: chunked\r\n\r\n".encode() + _chunks(objects) + END
