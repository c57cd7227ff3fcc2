"""A fake Ollama: speaks the protocol, runs no model. For tests of everything around a model, and of nothing about one.

Answers are the smallest ones that the request's JSON schema allows, token counts are characters / 4, and
durations are the latency that was asked for. Every identity it gives says that it is fake. From a shell:

    python -m tests.fakes.ollama --port 11434 --model llama3.2:1b --latency 0.01

In a test (the server runs in a thread of its own):

    with FakeOllama(models=["llama3.2:1b"]) as fake:
        ...                        # fake.url, fake.port
        assert fake.counts["/api/chat"] == 12
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import threading
from collections import Counter, deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

VERSION = "0.0.0-fake"
CREATED = "2026-01-01T00:00:00Z"
CHARS_PER_TOKEN = 4
GATE_INTERVAL_S = 0.01

Answer = Callable[[str, Any], str]
"""(prompt, answer schema or None) -> what the "model" says."""


def smallest_answer(prompt: str, schema: Any) -> str:
    """JSON that satisfies the schema with as little as possible; "ok" where none is asked for."""
    return json.dumps(smallest(schema)) if isinstance(schema, dict) else "ok"


def smallest(schema: dict[str, Any]) -> Any:
    """The smallest value that a JSON schema of the kind used for answers allows."""
    if "enum" in schema:
        return schema["enum"][0]
    if "const" in schema:
        return schema["const"]
    kind = schema.get("type", "object")
    match kind[0] if isinstance(kind, list) else kind:
        case "object":
            return {key: smallest(value) for key, value in schema.get("properties", {}).items()}
        case "array":
            return [smallest(schema.get("items", {"type": "string"}))] * schema.get("minItems", 0)
        case "integer" | "number":
            return schema.get("minimum", 0)
        case "boolean":
            return False
        case "null":
            return None
    return "x" * schema.get("minLength", 1)


class FakeOllama:
    """The server. A context manager that listens while its body runs.

    Args:
        models: tags it pretends to have.
        port: where to listen on 127.0.0.1; 0 picks a free one (then `port` holds it).
        latency_s: how long each answer takes.
        answer: what the "model" says; the smallest valid JSON by default.
        overload_every: every n-th chat request gets 503, 0 for never.
        slots: chat requests it serves at once, as `OLLAMA_NUM_PARALLEL`; the others wait in line, and nothing of them,
            not even headers, comes back before their turn. 0: as many as come. Half of the latency is then spent before
            the first piece of an answer, half after it.
    """

    def __init__(
        self,
        models: Sequence[str] = ("fake:1b",),
        port: int = 0,
        latency_s: float = 0.0,
        answer: Answer = smallest_answer,
        overload_every: int = 0,
        slots: int = 0,
    ) -> None:
        self.models = list(models)
        self.port = port
        self.latency_s = latency_s
        self.answer = answer
        self.overload_every = overload_every
        self.slots = slots
        self.line: deque[_Turn] = deque()
        """Chat requests that wait for a slot; `served` have one."""
        self.served = 0
        self.most_served = 0
        self.counts: Counter[str] = Counter()
        """Requests by path."""
        self.requests: list[dict[str, Any]] = []
        """Bodies of the chat requests, without warm-ups and probes, when `keep` is set."""
        self.keep = True
        self.measured = 0
        """Measured requests so far; `here` of them are being answered just now."""
        self.here = 0
        self.most_at_once = 0
        self.gate: Callable[[], bool] = lambda: True
        """Measured requests are answered only while this is true, so that a test can have several wait for each other."""
        self.open_connections: set[asyncio.Transport] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> FakeOllama:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self.listen(), self._loop).result(10)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def listen(self) -> None:
        """Start listening in the running loop."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Connection(self), "127.0.0.1", self.port, backlog=512)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        self._server.close()
        for transport in self.open_connections:
            transport.abort()

    def arrived(self) -> None:
        """A measured request is there."""
        self.here += 1
        self.most_at_once = max(self.most_at_once, self.here)

    def left(self) -> None:
        """A measured request is about to be answered."""
        self.here -= 1

    def next_turns(self) -> None:
        """Give free slots to those that wait, in the order in which they came."""
        while self.line and self.served < self.slots:
            turn = self.line.popleft()
            if turn.given_up():
                turn.leave()
                continue
            self.served += 1
            self.most_served = max(self.most_served, self.served)
            turn.begin()

    def reply(self, method: str, path: str, body: bytes) -> tuple[int, list[dict[str, Any]], float]:
        """Status, the objects of the reply (one a line) and the seconds to wait before it."""
        self.counts[path] += 1
        asked = json.loads(body) if body else {}
        match path:
            case "/api/chat" | "/api/generate":
                return self._answer(path, asked)
            case "/api/version":
                return 200, [{"version": VERSION}], 0.0
            case "/api/tags":
                return 200, [{"models": [self._listed(model) for model in self.models]}], 0.0
            case "/api/ps":
                loaded = [self._listed(model) | {"size_vram": 0, "context_length": 8192} for model in self.models]
                return 200, [{"models": loaded}], 0.0
            case "/api/show" if asked.get("model") in self.models:
                about = {"template": "fake", "parameters": "", "model_info": {"fake.context_length": 131072}}
                return 200, [about | {"details": self._details(), "capabilities": ["completion"]}], 0.0
            case "/api/pull" if asked.get("model") in self.models:
                return 200, [{"status": "success"}], 0.0
            case "/":
                return 200, [{"fake": "Ollama is running"}], 0.0
        return 404, [{"error": f"model '{asked.get('model')}' not found" if asked else "404 page not found"}], 0.0

    def _answer(self, path: str, asked: dict[str, Any]) -> tuple[int, list[dict[str, Any]], float]:
        model = asked.get("model")
        if model not in self.models:
            return 404, [{"error": f"model '{model}' not found"}], 0.0
        if self.overload_every and self.counts[path] % self.overload_every == 0:
            return 503, [{"error": "server busy, please try again. maximum pending requests exceeded"}], 0.0
        prompt = asked.get("prompt") or "\n".join(m["content"] for m in asked.get("messages", ()))
        measured = asked.get("options", {}).get("num_predict") != 1 and not prompt.startswith("Warm up.")
        self.measured += measured
        if self.keep and measured:
            self.requests.append(asked)
        text = self.answer(prompt, asked.get("format"))
        spent = round(self.latency_s * 1e9)
        final = {
            "done": True,
            "done_reason": "stop",
            "total_duration": spent,
            "load_duration": 0,
            "prompt_eval_count": len(prompt) // CHARS_PER_TOKEN + 1,
            "prompt_eval_cached_count": 0,
            "prompt_eval_duration": spent // 2,
            "eval_count": len(text) // CHARS_PER_TOKEN + 1,
            "eval_duration": spent // 2,
        }
        about = {"model": model, "created_at": CREATED}

        def said(text: str) -> dict[str, Any]:
            return {"message": {"role": "assistant", "content": text}} if path == "/api/chat" else {"response": text}

        if asked.get("stream", True):
            return 200, [about | said(text) | {"done": False}, about | said("") | final], self.latency_s
        return 200, [about | said(text) | final], self.latency_s

    def _listed(self, model: str) -> dict[str, Any]:
        digest = hashlib.sha256(f"fake {model}".encode()).hexdigest()
        return {
            "name": model,
            "model": model,
            "modified_at": CREATED,
            "size": 1,
            "digest": digest,
            "details": self._details(),
        }

    @staticmethod
    def _details() -> dict[str, Any]:
        return {"format": "fake", "family": "fake", "parameter_size": "0B", "quantization_level": "fake"}


END = b"0\r\n\r\n"


def _head(status: int, objects: int) -> bytes:
    kind = "application/x-ndjson" if objects > 1 else "application/json"
    return f"HTTP/1.1 {status} Fake\r\nContent-Type: {kind}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()


def _chunks(objects: Sequence[dict[str, Any]]) -> bytes:
    lines = [json.dumps(item).encode() + b"\n" for item in objects]
    return b"".join(b"%x\r\n%s\r\n" % (len(line), line) for line in lines)


class _Turn:
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


class _Connection(asyncio.Protocol):
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
            self._fake.line.append(_Turn(self._fake, self._transport, objects, wait_s, measured))
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
            self._transport.write(_head(status, len(objects)) + _chunks(objects) + END)


async def _serve(fake: FakeOllama) -> None:
    await fake.listen()
    print(f"fake Ollama at {fake.url} with {', '.join(fake.models)}", flush=True)
    await asyncio.Event().wait()


def main() -> None:
    parser = argparse.ArgumentParser(description="A fake Ollama; no model runs.")
    parser.add_argument("--port", type=int, default=11434)
    parser.add_argument("--model", action="append", help="a tag it pretends to have; may be given again")
    parser.add_argument("--latency", type=float, default=0.0, metavar="S", help="seconds that each answer takes")
    parser.add_argument("--slots", type=int, default=0, metavar="N", help="requests served at once; 0: all that come")
    parser.add_argument("--overload-every", type=int, default=0, metavar="N", help="every n-th chat gets 503")
    given = parser.parse_args()
    fake = FakeOllama(
        given.model or ["fake:1b"], given.port, given.latency, overload_every=given.overload_every, slots=given.slots
    )
    fake.keep = False
    with suppress(KeyboardInterrupt):
        asyncio.run(_serve(fake))


if __name__ == "__main__":
    main()
