"""Ollama's API over a llama.cpp server: the web application of the embedded endpoint.

Documented requests are answered as Ollama answers them; counts and times are llama.cpp's. Every request is computed
upstream as a stream, so that a client that goes away cancels the computation within one token.
"""

from __future__ import annotations

import time
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import UTC, datetime

import aiohttp
from aiohttp import web

from ai_dev_tools.benchmark._util.json_values import JsonFields
from ai_dev_tools.benchmark._util.model_names import full_name, same_model
from ai_dev_tools.benchmark.endpoints.embedded import embedding, sending
from ai_dev_tools.benchmark.endpoints.embedded import ollama_api as api
from ai_dev_tools.benchmark.endpoints.embedded.admission import Admission, body_of
from ai_dev_tools.benchmark.endpoints.embedded.completion import Completer, Events
from ai_dev_tools.benchmark.endpoints.embedded.limits import ServerLimits
from ai_dev_tools.benchmark.endpoints.embedded.llama import Llama
from ai_dev_tools.benchmark.endpoints.embedded.ollama_api import ApiError

_NEVER = "2318-01-01T00:00:00Z"
"""`expires_at` of a model that stays loaded, about what Ollama says for `keep_alive: -1`."""

_OPENAI_POSTS = ("/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/responses")


@dataclass
class Model:
    """The served model. `digest` is the sha256 of its file in hexadecimal."""

    tag: str
    digest: str
    size_bytes: int
    modified_at: str
    metadata: JsonFields
    template_source: str
    bos: str
    eos: str
    version: str
    max_ctx: int
    quantization: str
    details: JsonFields = field(init=False)

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

    def __init__(self, llama: Llama, model: Model, default_ctx: int, bounds: ServerLimits | None = None) -> None:
        self.llama = llama
        self.model = model
        self.default_ctx = default_ctx
        self._admission = Admission(bounds or ServerLimits())
        self._template = api.ChatTemplate(model.template_source, model.bos, model.eos)
        # llama.cpp closes the connection after a streamed reply without announcing it: pooled ones would fail.
        self._upstream = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(force_close=True, limit=0),
            timeout=aiohttp.ClientTimeout(total=None),
            read_bufsize=1 << 22,
        )
        self._embedder = embedding.Embedder(llama.settings, self._upstream)
        self._completer = Completer(self._upstream, llama.settings.cache_prompt)

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
        layer: JsonFields = {
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
        if name and not self.model.is_named(name):  # llama.cpp itself would answer under any name
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

    def _listed_in_v1(self, name: str) -> JsonFields:
        """The served model, as OpenAI's API lists it."""
        created = int(datetime.fromisoformat(self.model.modified_at).timestamp())
        return {"id": name, "object": "model", "created": created, "owned_by": "library"}

    async def _answer(
        self, request: web.Request, body: JsonFields, prompt: str, started: int, *, chat: bool
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
            events = self._completer.complete(url, body, prompt, num_ctx)
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
        last: JsonFields = {}
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

    def _generate_prompt(self, body: JsonFields) -> str:
        prompt, system = body.get("prompt", ""), body.get("system", "")
        if body.get("raw") or not prompt:
            return str(prompt)
        if body.get("template"):
            return api.fill_template(body["template"], system, prompt)
        start = [{"role": "system", "content": system}] if system else []
        return self._template.render([*start, {"role": "user", "content": prompt}])

    def _context_length(self, options: JsonFields) -> int:
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

    def _refuse_unsupported(self, body: JsonFields, *fields: tuple[str, str]) -> None:
        for name, capability in fields:
            if body.get(name):
                raise ApiError(400, f"{full_name(self.model.tag)} does not support {capability}")

    def _listing(self) -> JsonFields:
        model = self.model
        return {
            "name": model.tag,
            "model": model.tag,
            "size": model.size_bytes,
            "digest": model.digest,
            "details": model.details,
        }


def file_time(seconds: float) -> str:
    """A file's modification time in ISO 8601, UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat()
