"""A fake Ollama: speaks the protocol, runs no model. For tests of everything around a model, and of nothing about one.

What a real Ollama refuses or says without its model is refused and said alike; tests/conformance compares it with
recordings of one. Answers are the smallest ones that the request's JSON schema allows, token counts are characters / 4, and
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

from ai_dev_tools.benchmark._util.model_names import full_name, same_model
from ai_dev_tools.benchmark.endpoints.embedded import ollama_api as api
from ai_dev_tools.benchmark.endpoints.embedded.ollama_api import ApiError

from .ollama_wire import TEXT, Connection, Lines, Turn  # as `fakes.ollama` in tests, as `tests.fakes.ollama` in a shell

VERSION = "0.0.0-fake"
CREATED = "2026-01-01T00:00:00Z"
CHARS_PER_TOKEN = 4

METHODS = {
    "/": "GET", "/api/version": "GET", "/api/tags": "GET", "/api/ps": "GET", "/api/show": "POST", "/api/pull": "POST",
    "/api/chat": "POST", "/api/generate": "POST", "/api/delete": "DELETE",
}  # fmt: skip


Answer = Callable[[str, Any], str]
"""(prompt, answer schema or None) -> what the "model" says."""


def smallest_answer(prompt: str, schema: Any) -> str:
    """JSON that satisfies the schema with as little as possible; "ok" where none is asked for."""
    return json.dumps(smallest(schema)) if isinstance(schema, dict) else "ok"


def smallest(schema: dict[str, Any]) -> Any:
    """The smallest value that a JSON schema of the kind used for answers allows."""
    if "anyOf" in schema:
        return smallest(schema["anyOf"][-1])
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


def _calls(text: str) -> list[dict[str, Any]]:
    """An action, which a script says as JSON, as the call of a function; none if it is something else."""
    try:
        said = json.loads(text)
    except ValueError:
        return []
    if not isinstance(said, dict) or "action" not in said:
        return []
    arguments = {name: value for name, value in said.items() if name != "action"}
    return [{"function": {"name": said["action"], "arguments": arguments}}]


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
        self.line: deque[Turn] = deque()
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
        self.converse: Callable[[list[dict[str, Any]], Any], str] | None = None
        """(messages, answer schema or None) -> what the "model" says, in place of `answer`; see `agent_model`."""
        self.calls_functions = False
        """Whether its models can; then an action that is said where functions are offered becomes a call of one."""
        self.thinks = False
        """Whether its models can; else a request that wants it is refused."""
        self.loaded: dict[str, int] = {}
        """Context lengths of the models that were asked, by name."""
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
        self._server = await loop.create_server(lambda: Connection(self), "127.0.0.1", self.port, backlog=512)
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
        try:
            return self._reply(method, path, body)
        except ApiError as error:
            return error.status, [{"error": error.message}], 0.0

    def _reply(self, method: str, path: str, body: bytes) -> tuple[int, list[dict[str, Any]], float]:
        if path not in METHODS:
            return 404, [{TEXT: "404 page not found"}], 0.0
        if method != METHODS[path]:
            return 405, [{TEXT: "405 method not allowed", "allow": METHODS[path]}], 0.0
        match path:
            case "/":
                return 200, [{TEXT: "Ollama is running"}], 0.0
            case "/api/version":
                return 200, [{"version": VERSION}], 0.0
            case "/api/tags":
                listed = [self._listed(model) | {"modified_at": CREATED} for model in self.models]
                return 200, [{"models": listed}], 0.0
            case "/api/ps":
                return 200, [{"models": [self._running(model) for model in self.models if model in self.loaded]}], 0.0
            case "/api/chat":
                return self._answer(path, api.parse_body(body, api.CHAT_FIELDS))
            case "/api/generate":
                return self._answer(path, api.parse_body(body, api.GENERATE_FIELDS))
        asked = api.parse_body(body, {"model": str})
        if path == "/api/pull":
            return 200, Lines([{"status": "pulling manifest"}, self._pulled(asked)]), 0.0
        self._model(asked)
        if path == "/api/show":
            about = {"modelfile": "FROM fake", "template": "fake", "parameters": "", "details": self._details()}
            info = {
                "model_info": {"fake.context_length": 131072},
                "capabilities": ["completion", *["thinking"] * self.thinks],
            }
            return 200, [about | info | {"modified_at": CREATED}], 0.0
        raise ApiError(403, "a fake keeps its models")

    def _pulled(self, asked: dict[str, Any]) -> dict[str, Any]:
        with suppress(ApiError):
            self._model(asked)
            return {"status": "success"}
        return {"error": "pull model manifest: file does not exist"}

    def _model(self, asked: dict[str, Any]) -> str:
        if not asked.get("model"):
            raise ApiError(400, "model is required")
        found = next((model for model in self.models if same_model(model, asked["model"])), None)
        if found is None:
            raise ApiError(404, f"model '{asked['model']}' not found")
        return found

    def _answer(self, path: str, asked: dict[str, Any]) -> tuple[int, list[dict[str, Any]], float]:
        model = self._model(asked)
        if self.overload_every and self.counts[path] % self.overload_every == 0:
            return 503, [{"error": "server busy, please try again. maximum pending requests exceeded"}], 0.0
        chat = path == "/api/chat"
        self._refuse(asked, model)
        prompt = asked.get("prompt") or "\n".join(m["content"] for m in api.parse_messages(asked.get("messages", [])))
        options = asked.get("options", {})
        about = {"model": asked["model"], "created_at": CREATED}

        def said(text: str) -> dict[str, Any]:
            message = {"role": "assistant", "content": "" if calls else text}
            message |= {"tool_calls": calls} if calls and text else {}
            return about | ({"message": message} if chat else {"response": text})

        context = int(options.get("num_ctx") or 4096)
        calls: list[dict[str, Any]] = []
        if not prompt:
            return 200, [said("") | {"done": True, "done_reason": self._load(asked, model, context)}], 0.0
        self.loaded[model] = context
        measured = options.get("num_predict") != 1 and not prompt.startswith("Warm up.")
        self.measured += measured
        if self.keep and measured:
            self.requests.append(asked)
        read = len(prompt) // CHARS_PER_TOKEN + 1
        if read > context and not asked.get("truncate", True):
            error = {"error": "the input length exceeds the context length"}
            return 400, Lines([error]) if asked.get("stream", True) else [error], self.latency_s
        text, written, reason = self._written(prompt, asked, context - read + 1)
        calls = _calls(text) if asked.get("tools") else []
        final = self._final(min(read, context), written, reason)
        if asked.get("stream", True):
            return 200, Lines([said(text) | {"done": False}, said("") | final]), self.latency_s
        return 200, [said(text) | final], self.latency_s

    def _refuse(self, asked: dict[str, Any], model: str) -> None:
        """What a real one refuses before it asks the model, in its order and words."""
        for field, capability in (("suffix", "insert"), ("tools", "tools")):
            if asked.get(field) and not (field == "tools" and self.calls_functions):
                raise ApiError(400, f"{full_name(model)} does not support {capability}")
        api.check_think(asked, model, can=self.thinks)
        api.sampling(asked.get("options", {}))
        api.constraint(asked.get("format"))

    def _load(self, asked: dict[str, Any], model: str, context: int) -> str:
        if api.keeps_alive(asked):
            self.loaded[model] = context
            return "load"
        self.loaded.pop(model, None)
        return "unload"

    def _written(self, prompt: str, asked: dict[str, Any], room: int) -> tuple[str, int, str]:
        """The answer, cut as asked; its tokens; and why it ends."""
        options = asked.get("options", {})
        told, schema = asked.get("messages"), asked.get("format")
        text = self.converse(told, schema) if self.converse and told else self.answer(prompt, schema)
        for word in options.get("stop") or ():
            text = text.partition(word)[0]
        cap = options.get("num_predict") or -1
        limits = [limit for limit in (cap, 0 if asked.get("shift", True) else max(1, room)) if limit > 0]
        tokens = len(text) // CHARS_PER_TOKEN + 1
        most = min([*limits, tokens])
        if tokens == most:
            return text, tokens, "stop"
        return text[: most * CHARS_PER_TOKEN - 1], most, "length"

    def _final(self, read: int, written: int, reason: str) -> dict[str, Any]:
        """The closing fields; a real one leaves a duration of nothing out, and that of a single token is none."""
        spent = max(2, round(self.latency_s * 1e9))
        return {
            "done": True,
            "done_reason": reason,
            "total_duration": spent,
            "load_duration": 1,
            "prompt_eval_count": read,
            "prompt_eval_cached_count": 0,
            "prompt_eval_duration": spent // 2,
            "eval_count": written,
            **({"eval_duration": spent // 2} if written > 1 else {}),
        }

    def _running(self, model: str) -> dict[str, Any]:
        state = {"expires_at": "2318-01-01T00:00:00Z", "size_vram": 0, "context_length": self.loaded[model]}
        return self._listed(model) | state

    def _listed(self, model: str) -> dict[str, Any]:
        digest = hashlib.sha256(f"fake {model}".encode()).hexdigest()
        return {"name": model, "model": model, "size": 1, "digest": digest, "details": self._details()}

    @staticmethod
    def _details() -> dict[str, Any]:
        family = {"parent_model": "", "format": "fake", "family": "fake", "families": ["fake"]}
        return family | {"parameter_size": "0B", "quantization_level": "fake"}


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
