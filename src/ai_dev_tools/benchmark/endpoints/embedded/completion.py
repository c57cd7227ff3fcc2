"""A prompt completed by llama.cpp: its events, its errors in Ollama's form, and cut prompts."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator

import aiohttp

from ai_dev_tools.benchmark._util.json_values import JsonFields
from ai_dev_tools.benchmark.endpoints.embedded import ollama_api as api
from ai_dev_tools.benchmark.endpoints.embedded.ollama_api import ApiError

_WANTED = ["content", "stop", "stop_type", "timings", "tokens_evaluated"]

Events = AsyncGenerator[JsonFields, None]


class Completer:
    """Asks llama.cpp, always for a stream.

    Args:
        upstream: the session that reaches it.
        cache_prompt: whether it may reuse what it computed for an earlier prompt.
    """

    def __init__(self, upstream: aiohttp.ClientSession, cache_prompt: bool) -> None:
        self._upstream, self._cache_prompt = upstream, cache_prompt

    async def complete(self, url: str, body: JsonFields, prompt: str, num_ctx: int) -> Events:
        """llama.cpp's events for the prompt; the last one has `stop`.

        Raises:
            ApiError: 400 for a prompt that does not fit and may not be cut, 500 when llama.cpp fails.
        """
        parameters = {**api.sampling(body.get("options", {})), **api.constraint(body.get("format"))}
        fixed = {"stream": True, "response_fields": _WANTED, "cache_prompt": self._cache_prompt}
        payload: JsonFields = {**parameters, **fixed, "prompt": prompt}
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
