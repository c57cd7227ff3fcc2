"""Ollama's API over a llama.cpp server: the web application of the embedded endpoint.

Documented requests are answered as Ollama answers them; counts and times are llama.cpp's. Every request is computed
upstream as a stream, so that a client that goes away cancels the computation within one token.
"""

from __future__ import annotations

import json
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import aiohttp
from aiohttp import web

from ai_dev_tools.benchmark._util.json_values import JsonObject
from ai_dev_tools.benchmark._util.model_names import full_name, same_model
from ai_dev_tools.benchmark.endpoints.embedded import embedding, sending
from ai_dev_tools.benchmark.endpoints.embedded import ollama_api as api
from ai_dev_tools.benchmark.endpoints.embedded.admission import Admission, body_of
from ai_dev_tools.benchmark.endpoints.embedded.limits import Limits
from ai_dev_tools.benchmark.endpoints.embedded.llama import Llama
from ai_dev_tools.benchmark.endpoints.embedded.ollama_api import ApiError

_WANTED = ["content", "stop", "stop_type", "timings", "tokens_evaluated"]
_NEVER = "2318-01-01T00:00:00Z"
"""`expires_at` of a model that stays loaded, about what Ollama says for `keep_alive: -1`."""

_OPENAI_POSTS = ("/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/responses")

Events = AsyncGenerator[dict[str, Any], None]


@dataclass
class Model:
    """The served model. `digest` is the sha256 of its file in hexadecimal."""

    tag: str
    digest: str
    size_bytes: int
    modified_at: str
    metadata: dict[str, Any]
    template_source: str
    bos: str
    eos: str
    version: str
    max_ctx: int
    quantization: str
    details: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        family = self.metadata.get("general.architecture", "")
        self.details = {
            "parent_model": "",
            "format": "gguf",
            "family": family,
            "families": [family],
            "parameter_size": api.parameter_size(self.metadata.get("general.parameter_count", 0)),
            "quantization_level": self.quantization,
        }

    def is_named(self, name: str) -> bool:
        """Whether a request means this model, however its name is written."""
        return bool(name) and same_model(name, self.tag)


class Facade:
    """Request handlers; `application` wires them to Ollama's paths."""

    def __init__(self, llama: Llama, model: Model, default_ctx: int, bounds: Limits | None = None) -> None:
        self.llama = llama
        self.model = model
        self.default_ctx = default_ctx
        self._admission = Admission(bounds or Limits())
        self._template = api.ChatTemplate(model.template_source, model.bos, model.eos)
        # llama.cpp closes the connection after a streamed reply without announcing it: pooled ones would fail.
        self._upstream = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(force_close=True, limit=0),
            timeout=aiohttp.ClientTimeout(total=None),
            read_bufsize=1 << 22,
        )
        self._embedder = embedding.Embedder(llama.settings, self._upstream)

    def application(self) -> web.Application:
        """The web application; must be run with `handler_cancellation=True` and `auto_decompress=False`."""
        app = web.Application(middlewares=[sending.errors, *self._admission.middlewares])
        app.add_routes(
            [
                web.get("/", self.root),
                web.get("/api/version", self.version),
                web.get("/api/tags", self.tags),
                web.get("/api/ps", self.ps),
                web.post("/api/show", self.show),
                web.post("/api/pull", self.pull),
                web.delete("/api/delete", self.delete),
                web.post("/api/embed", self.embed),
                web.post("/api/generate", self.generate),
                web.post("/api/chat", self.chat),
                web.get("/v1/models", self.models_in_v1),
                web.get("/v1/models/{model}", self.model_alone),
                *(web.post(path, self.pass_through) for path in _OPENAI_POSTS),
            ]
        )
        app.on_response_prepare.append(self._admission.say_who_may_read)
        app.on_cleanup.append(self._close)
        return app

    async def _close(self, _: web.Application) -> None:
        await self._upstream.close()

    async def root(self, _: web.Request) -> web.Response:
        return web.Response(text="Ollama is running")

    async def version(self, _: web.Request) -> web.Response:
        return web.json_response({"version": self.model.version})

    async def tags(self, _: web.Request) -> web.Response:
        return web.json_response({"models": [{**self._listing(), "modified_at": self.model.modified_at}]})

    async def ps(self, _: web.Request) -> web.Response:
        if not self.llama.loaded:
            return web.json_response({"models": []})
        running = {"expires_at": _NEVER, "size_vram": 0, "context_length": self.llama.num_ctx}
        return web.json_response({"models": [{**self._listing(), **running}]})

    async def show(self, request: web.Request) -> web.Response:
        body = api.parse_body(body_of(request), {"model": str, "name": str, "verbose": bool})
        self._require_model(body.get("model") or body.get("name") or "")
        model = self.model
        return sending.large(
            {
                "modelfile": f"FROM {model.tag}\n",
                "parameters": "",
                "template": model.template_source,
                "details": model.details,
                "model_info": {k: v for k, v in model.metadata.items() if k != "tokenizer.chat_template"},
                "capabilities": ["completion"],
                "modified_at": model.modified_at,
            }
        )

    async def pull(self, request: web.Request) -> web.StreamResponse:
        body = api.parse_body(body_of(request), {"model": str, "name": str, "stream": bool, "insecure": bool})
        name = body.get("model") or body.get("name") or ""
        if not name:
            raise ApiError(400, "model is required")
        streamed = body.get("stream", True)
        if not self.model.is_named(name):
            message = "pull model manifest: file does not exist"
            if not streamed:
                raise ApiError(500, message)
            return await sending.send_lines(request, [{"status": "pulling manifest"}, {"error": message}])
        if not streamed:
            return web.json_response({"status": "success"})
        layer: JsonObject = {
            "digest": f"sha256:{self.model.digest}",
            "total": self.model.size_bytes,
            "completed": self.model.size_bytes,
        }
        return await sending.send_lines(
            request,
            [
                {"status": "pulling manifest"},
                {"status": f"pulling {self.model.digest[:12]}", **layer},
                {"status": "verifying sha256 digest"},
                {"status": "writing manifest"},
                {"status": "success"},
            ],
        )

    async def delete(self, request: web.Request) -> web.StreamResponse:
        body = api.parse_body(body_of(request), {"model": str, "name": str})
        self._require_model(body.get("model") or body.get("name") or "")
        raise ApiError(403, f"{self.model.tag} is the one model of this server and stays")

    async def embed(self, request: web.Request) -> web.StreamResponse:
        body = api.parse_body(body_of(request), embedding.FIELDS)
        self._require_model(body.get("model", ""))
        texts, num_ctx = embedding.inputs_of(body), self._context_length(body.get("options", {}))
        return sending.large({"model": body["model"], **await self._embedder.embed(texts, num_ctx)})

    async def generate(self, request: web.Request) -> web.StreamResponse:
        started = time.perf_counter_ns()
        body = api.parse_body(body_of(request), api.GENERATE_FIELDS)
        name = body.get("model", "")
        if not self.model.is_named(name):
            raise ApiError(404, f"model '{name}' not found")
        self._refuse_unsupported(body, ("suffix", "insert"), ("context", "context; use /api/chat"))
        if body.get("raw") and (body.get("template") or body.get("system")):
            raise ApiError(400, "raw mode does not support template, system, or context")
        return await self._answer(request, body, self._generate_prompt(body), started, chat=False)

    async def chat(self, request: web.Request) -> web.StreamResponse:
        started = time.perf_counter_ns()
        body = api.parse_body(body_of(request), api.CHAT_FIELDS)
        if not body.get("model"):
            raise ApiError(400, "model is required")
        self._require_model(body["model"])
        self._refuse_unsupported(body, ("tools", "tools"))
        messages = api.parse_messages(body.get("messages", []))
        prompt = self._template.render(messages) if messages else ""
        return await self._answer(request, body, prompt, started, chat=True)

    async def pass_through(self, request: web.Request) -> web.StreamResponse:
        """Pass an OpenAI-style request on to llama.cpp unchanged."""
        name = api.parse_body(body_of(request), {"model": str}).get("model")
        if name and not self.model.is_named(name):  # llama.cpp itself would answer as whatever it is called
            return sending.openai_error(404, f"model '{name}' not found")
        headers = {"Content-Type": "application/json"}
        path = request.match_info.route.resource
        assert path is not None
        async with (
            self.llama.slot(self.llama.num_ctx) as url,
            # The path is from our own list, never the one that was sent: llama.cpp reads `/v1/../props` as another path.
            self._upstream.request(
                request.method, url + path.canonical, data=body_of(request), headers=headers
            ) as reply,
        ):
            kind = reply.headers.get("Content-Type", "application/json")
            response = web.StreamResponse(status=reply.status, headers={"Content-Type": kind})
            await response.prepare(request)
            async for chunk in reply.content.iter_any():
                await response.write(chunk)
            await response.write_eof()
            return response

    async def models_in_v1(self, _: web.Request) -> web.Response:
        return sending.plain_json({"object": "list", "data": [self._listed_in_v1(self.model.tag)]})

    async def model_alone(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["model"]
        self._require_model(name)
        return web.json_response(self._listed_in_v1(name))

    def _listed_in_v1(self, name: str) -> dict[str, Any]:
        """The served model, as OpenAI's API lists it."""
        created = int(datetime.fromisoformat(self.model.modified_at).timestamp())
        return {"id": name, "object": "model", "created": created, "owned_by": "library"}

    async def _answer(
        self, request: web.Request, body: dict[str, Any], prompt: str, started: int, *, chat: bool
    ) -> web.StreamResponse:
        """The reply to a generate or chat request: load or unload only, one object, or a stream of lines."""
        api.check_think(body, self.model.tag)
        keep = api.keeps_alive(body)
        if not prompt and not keep:
            await self.llama.unload()
            return web.json_response({**api.piece(body["model"], "", chat=chat), "done": True, "done_reason": "unload"})
        num_ctx = self._context_length(body.get("options", {}))
        async with self.llama.slot(num_ctx) as url:
            loaded = time.perf_counter_ns()
            if not prompt:
                return web.json_response(
                    {**api.piece(body["model"], "", chat=chat), "done": True, "done_reason": "load"}
                )
            events = self._complete(url, body, prompt, num_ctx)
            timing = (started, loaded - started)
            send = self._send_stream if body.get("stream", True) else self._send_whole
            async with aclosing(events):
                response = await send(request, body["model"], events, timing, chat)
        if not keep:
            await self.llama.unload()
        return response

    async def _send_whole(
        self, _: web.Request, name: str, events: Events, timing: tuple[int, int], chat: bool
    ) -> web.StreamResponse:
        pieces: list[str] = []
        last: dict[str, Any] = {}
        async for last in events:
            pieces.append(last["content"])
        closing = api.final_fields(last, time.perf_counter_ns() - timing[0], timing[1])
        return web.json_response({**api.piece(name, "".join(pieces), chat=chat), **closing})

    async def _send_stream(
        self, request: web.Request, name: str, events: Events, timing: tuple[int, int], chat: bool
    ) -> web.StreamResponse:
        response: web.StreamResponse | None = None
        try:
            async for event in events:
                if response is None:  # only now: an error before the first event still gets its own status
                    response = await sending.start_lines(request)
                if event["content"]:
                    await response.write(
                        sending.line_of({**api.piece(name, event["content"], chat=chat), "done": False})
                    )
                if event["stop"]:
                    closing = api.final_fields(event, time.perf_counter_ns() - timing[0], timing[1])
                    await response.write(sending.line_of({**api.piece(name, "", chat=chat), **closing}))
        except ApiError as error:
            if response is None:
                return sending.stream_error(error)
            await response.write(sending.line_of({"error": error.message}))
        assert response is not None
        await response.write_eof()
        return response

    async def _complete(self, url: str, body: dict[str, Any], prompt: str, num_ctx: int) -> Events:
        """llama.cpp's events for the prompt; the last one has `stop`.

        Raises:
            ApiError: 400 for a prompt that does not fit and may not be cut, 500 when llama.cpp fails.
        """
        parameters = {**api.sampling(body.get("options", {})), **api.constraint(body.get("format"))}
        fixed = {"stream": True, "response_fields": _WANTED, "cache_prompt": self.llama.settings.cache_prompt}
        payload: dict[str, Any] = {**parameters, **fixed, "prompt": prompt}
        guard = "{" if parameters.get("json_schema", {}).get("type") == "object" else ""
        for attempt in (1, 2):
            async with self._upstream.post(f"{url}/completion", json=payload) as reply:
                if reply.status == 200:
                    async for event in _events(reply.content, guard):
                        yield event
                    return
                status, kind, message = await _read_error(reply)
            if kind != "exceed_context_size_error":
                raise ApiError(status, message)
            if attempt == 2 or not body.get("truncate", True):
                raise ApiError(400, "the input length exceeds the context length")
            payload["prompt"] = await self._cut(url, prompt, num_ctx, parameters["n_keep"])

    async def _cut(self, url: str, prompt: str, num_ctx: int, keep: int) -> list[int]:
        """The prompt's first tokens and its end, together half a context, as Ollama cuts it by default."""
        async with self._upstream.post(f"{url}/tokenize", json={"content": prompt, "add_special": True}) as reply:
            tokens: list[int] = (await reply.json())["tokens"]
        keep = max(0, min(keep, num_ctx // 4))
        return tokens[:keep] + tokens[keep - num_ctx // 2 :]

    def _generate_prompt(self, body: dict[str, Any]) -> str:
        prompt, system = body.get("prompt", ""), body.get("system", "")
        if body.get("raw") or not prompt:
            return str(prompt)
        if body.get("template"):
            return api.fill_template(body["template"], system, prompt)
        start = [{"role": "system", "content": system}] if system else []
        return self._template.render([*start, {"role": "user", "content": prompt}])

    def _context_length(self, options: dict[str, Any]) -> int:
        asked = options.get("num_ctx")
        if asked is None:
            return self.default_ctx
        # Like Ollama: never below a few tokens, never more than the model was trained for.
        return min(max(api.integer("num_ctx", asked), 4), self.model.max_ctx)

    def _require_model(self, name: str) -> None:
        if not name:
            raise ApiError(400, "model is required")
        if not self.model.is_named(name):
            raise ApiError(404, f"model '{name}' not found")

    def _refuse_unsupported(self, body: dict[str, Any], *fields: tuple[str, str]) -> None:
        for name, capability in fields:
            if body.get(name):
                raise ApiError(400, f"{full_name(self.model.tag)} does not support {capability}")

    def _listing(self) -> dict[str, Any]:
        model = self.model
        return {
            "name": model.tag,
            "model": model.tag,
            "size": model.size_bytes,
            "digest": model.digest,
            "details": model.details,
        }


async def _events(content: aiohttp.StreamReader, guard: str) -> Events:
    """Server-sent events of a completion as objects.

    An answer that does not start with `guard` is an error.

    llama.cpp ignores a schema that its grammar compiler refuses; the first character then shows it.
    """
    async for line in content:
        if line.startswith(b"error:"):
            raise ApiError(500, str(json.loads(line[6:]).get("message", "the model failed")))
        if not line.startswith(b"data:"):
            continue
        event = json.loads(line[5:])
        if "error" in event:
            raise ApiError(500, str(event["error"].get("message", event["error"])))
        if guard and (text := event["content"].lstrip()):
            if not text.startswith(guard):
                raise ApiError(500, "invalid JSON schema in format")
            guard = ""
        yield event
        if event["stop"]:
            return
    raise ApiError(500, "the model stopped without finishing its answer")


async def _read_error(reply: aiohttp.ClientResponse) -> tuple[int, str, str]:
    """Status, type and message of an error from llama.cpp."""
    text = await reply.text()
    try:
        error = json.loads(text)["error"]
        return reply.status, str(error.get("type", "")), str(error.get("message", text))
    except (ValueError, KeyError, TypeError, AttributeError):
        return reply.status, "", text.strip() or f"llama.cpp answered {reply.status}"


def file_time(seconds: float) -> str:
    """A file's modification time in ISO 8601, UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat()
