"""A LABELLED FAKE of a server that speaks OpenAI's API: no model, the smallest valid answers, faults on the wire.

    with FakeOpenAI() as fake:
        ...                        # fake.url ends in /v1
        assert fake.chats[0].body["seed"] == 1

Counts of tokens are characters / 4. Its fingerprint says that it is fake.
"""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from fakes.faulty_proxy import NONCE, Chat, Fault, Wire
from fakes.ollama import Answer, smallest_answer

Body = dict[str, Any]
FINGERPRINT = "fp_fake"


def error(message: str, **more: Any) -> Body:
    """The body of a refusal."""
    return {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": None} | more}


class FakeOpenAI:
    """The server. A context manager that listens while its body runs.

    Attributes:
        key: bearer token that it wants, if any.
        refuse: status and body for a request that it does not take; None for one that it does.
        headers: further headers of the n-th answer, from 0.
        fingerprint: of the n-th answer.
        choose: the fault that an attempt of a measured request meets.
        usage: what is counted of an answer, made from the counts.
        reason: `finish_reason` of answers.
        about: further fields of each model in its list.
    """

    def __init__(self, models: tuple[str, ...] = ("fake:1b",), key: str | None = None, port: int = 0) -> None:
        self.models, self.key, self.port = models, key, port
        self.answer: Answer = smallest_answer
        self.refuse: Callable[[Body], tuple[int, Body] | None] = lambda body: None
        self.headers: Callable[[int], dict[str, str]] = lambda number: {}
        self.fingerprint: Callable[[int], str | None] = lambda number: FINGERPRINT
        self.choose: Callable[[Chat], Fault | None] = lambda chat: None
        self.usage: Callable[[Body], Body | None] = lambda counted: counted
        self.reason = "stop"
        self.about: Body = {}
        self.chats: list[Chat] = []
        """Every try of a measured request, in the order of arrival; `arrived` has the moments."""
        self.arrived: list[float] = []
        self.others: list[Body] = []
        """Warm-ups and probes."""
        self.asked: list[tuple[str, dict[str, str]]] = []
        """Paths and headers of all requests."""
        self.broken: Counter[str] = Counter()
        self._tries: Counter[tuple[str, int]] = Counter()
        self._answered = 0
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def __enter__(self) -> FakeOpenAI:
        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), _handler(self))
        self._server.daemon_threads = True
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def noted(self, body: Body) -> Chat | None:
        """The try, if it is one of a measured request: only those carry a nonce."""
        content = body["messages"][0]["content"]
        prompt = NONCE.sub("", content)
        with self._lock:
            if prompt == content:
                self.others.append(body)
                return None
            key = (prompt, int(body.get("seed") or 0))
            self._tries[key] += 1
            self.arrived.append(time.monotonic())
            self.chats.append(Chat(body, prompt, self._tries[key]))
            return self.chats[-1]

    def answered(self) -> int:
        """The number of this answer, from 0."""
        with self._lock:
            self._answered += 1
            return self._answered - 1

    def events(self, body: Body, number: int) -> list[Body]:
        """The objects of a streamed answer."""
        wanted = body.get("response_format", {})
        schema = wanted.get("json_schema", {}).get("schema") if wanted else None
        prompt = body["messages"][0]["content"]
        text = self.answer(prompt, schema)
        about = {"id": "chatcmpl-fake", "object": "chat.completion.chunk", "created": 1, "model": body["model"]}
        if fingerprint := self.fingerprint(number):
            about["system_fingerprint"] = fingerprint

        def choice(delta: Body, reason: str | None) -> Body:
            return about | {"choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}

        read, written = len(prompt) // 4 + 1, len(text) // 4 + 1
        counted = {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}
        usage = self.usage(counted) if body.get("stream_options", {}).get("include_usage") else None
        last = [about | {"choices": [], "usage": usage}] if usage else []
        return [choice({"role": "assistant", "content": ""}, None), choice({"content": text}, None),
                choice({}, self.reason), *last]  # fmt: skip


def sse(*items: Body) -> bytes:
    """Objects as events."""
    return b"".join(b"data: " + json.dumps(item).encode() + b"\n\n" for item in items)


DONE = b"data: [DONE]\n\n"


def _handler(fake: FakeOpenAI) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            fake.asked.append((self.path, dict(self.headers)))
            if self.path != "/v1/models":
                return self._json(404, error("no such path"))
            if not self._allowed():
                return self._json(401, error(f"Incorrect API key provided: {self.headers.get('Authorization')}"))
            listed = [
                {"id": name, "object": "model", "created": 1, "owned_by": "fake", **fake.about} for name in fake.models
            ]
            self._json(200, {"object": "list", "data": listed})

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            fake.asked.append((self.path, dict(self.headers)))
            if self.path != "/v1/chat/completions":
                return self._json(404, error("no such path"))
            if not self._allowed():
                return self._json(401, error(f"Incorrect API key provided: {self.headers.get('Authorization')}"))
            if body["model"] not in fake.models:
                return self._json(404, error(f"model '{body['model']}' not found", code="model_not_found"))
            chat = fake.noted(body)
            if refusal := fake.refuse(body):
                return self._json(*refusal)
            number = fake.answered()
            chosen = fake.choose(chat) if chat else None
            if chat and chosen:
                fake.broken[getattr(chosen, "__name__", "fault")] += 1
                wire = Wire(self.connection, chat, lambda: fake.events(body, number))
                chosen(wire)
                self.close_connection = self.close_connection or wire.over
                return None
            data = sse(*fake.events(body, number)) + DONE
            self._send(200, "text/event-stream", data, fake.headers(number))

        def _allowed(self) -> bool:
            return fake.key is None or self.headers.get("Authorization") == f"Bearer {fake.key}"

        def _json(self, status: int, item: Body, headers: dict[str, str] | None = None) -> None:
            self._send(status, "application/json", json.dumps(item).encode(), headers or fake.headers(-1))

        def _send(self, status: int, kind: str, data: bytes, headers: dict[str, str]) -> None:
            self.send_response(status)
            for name, value in {"Content-Type": kind, "Content-Length": str(len(data)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    return Handler
