"""A LABELLED FAKE that sends the same ready-made answer at once, in Ollama's words or in OpenAI's. For benchmarks of clients.

Both have the same tokens in as many pieces, and the fields that real servers send with each of them.
"""

from __future__ import annotations

import json
import socket
import threading
from typing import Any

PIECES = ['{"', "colour", '": ', '"red', '"}']
_LINE = {"model": "fake:1b", "created_at": "2026-11-29T10:28:28.123456789Z"}
_OLLAMA: list[dict[str, Any]] = [
    *(_LINE | {"message": {"role": "assistant", "content": piece}, "done": False} for piece in PIECES),
    _LINE | {"message": {"role": "assistant", "content": ""}, "done": True, "done_reason": "stop",
             "total_duration": 1, "load_duration": 1, "prompt_eval_count": 400, "eval_count": 5, "prompt_eval_duration": 1,
             "eval_duration": 1},
]  # fmt: skip
_CHUNK = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1764412108, "model": "fake:1b",
          "system_fingerprint": "fp_fake"}  # fmt: skip


def _choice(delta: dict[str, str], reason: str | None) -> dict[str, Any]:
    return _CHUNK | {"choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}


_OPENAI: list[dict[str, Any]] = [
    *(_choice({"role": "assistant", "content": piece}, None) for piece in PIECES),
    _choice({"role": "assistant", "content": ""}, "stop"),
    _CHUNK | {"choices": [], "usage": {"prompt_tokens": 400, "completion_tokens": 5, "total_tokens": 405}},
]
"""As Ollama's own `/v1` puts it: the same pieces, and two more events that the dialect asks for, `usage` and `[DONE]`."""


def _chunked(kind: str, parts: list[bytes]) -> bytes:
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    return head + b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


def _whole(item: dict[str, Any]) -> bytes:
    data = json.dumps(item).encode()
    return f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n".encode() + data


ANSWERS = {
    b"/api/version": _whole({"version": "0.0.0-fake"}),
    b"/api/tags": _whole({"models": [{"name": "fake:1b", "digest": "0" * 64}]}),
    b"/api/show": _whole({"template": "fake"}),
    b"/api/ps": _whole({"models": []}),
    b"/v1/models": _whole({"object": "list", "data": [{"id": "fake:1b", "object": "model"}]}),
    b"/api/chat": _chunked("application/x-ndjson", [json.dumps(item).encode() + b"\n" for item in _OLLAMA]),
    b"/v1/chat/completions": _chunked(
        "text/event-stream",
        [b"data: " + json.dumps(item).encode() + b"\n\n" for item in _OPENAI] + [b"data: [DONE]\n\n"],
    ),
}


def serve() -> None:
    """Print the base URL, then answer until killed."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
        while True:
            connection, _ = listener.accept()
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=_answer, args=(connection,), daemon=True).start()


def _answer(connection: socket.socket) -> None:
    with connection, connection.makefile("rb") as stream:
        while line := stream.readline():
            length = 0
            while (header := stream.readline().strip()) != b"":
                name, _, value = header.partition(b":")
                length = int(value) if name.lower() == b"content-length" else length
            stream.read(length)
            connection.sendall(ANSWERS[line.split()[1]])
