"""Embeddings of the embedded model, from a separate llama.cpp server that is loaded for one request.

The server that answers is not touched: one that also makes embeddings computes otherwise, and could not be measured.
"""

from __future__ import annotations

import time
from dataclasses import replace

import aiohttp

from ai_dev_tools.benchmark._util.json_values import JsonObject
from ai_dev_tools.benchmark.endpoints.embedded.llama import Llama, LlamaSettings
from ai_dev_tools.benchmark.endpoints.embedded.ollama_api import ApiError

FIELDS: dict[str, type] = {"model": str, "truncate": bool, "options": dict, "dimensions": int}


def inputs_of(body: JsonObject) -> list[str]:
    """The texts of a request.

    Raises:
        ApiError: 400 for anything but a text or a list of texts.
    """
    given = body.get("input", [])
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise ApiError(400, "invalid input type")
    return texts


class Embedder:
    """Makes vectors, one request after the other."""

    def __init__(self, settings: LlamaSettings, upstream: aiohttp.ClientSession) -> None:
        self._llama = Llama(replace(settings, embedding=True, parallel=1))
        self._upstream = upstream

    async def embed(self, texts: list[str], num_ctx: int) -> JsonObject:
        """Ollama's fields for these texts: `embeddings`, counts, and durations in ns."""
        if not texts:
            return {"embeddings": []}
        started = time.perf_counter_ns()
        try:
            async with self._llama.slot(num_ctx) as url:
                loaded = time.perf_counter_ns()
                async with self._upstream.post(f"{url}/v1/embeddings", json={"input": texts}) as reply:
                    answer = await reply.json()
        finally:
            await self._llama.unload()
        if "error" in answer:
            raise ApiError(400, "the input length exceeds the context length")
        return {
            "embeddings": [item["embedding"] for item in answer["data"]],
            "total_duration": time.perf_counter_ns() - started,
            "load_duration": loaded - started,
            "prompt_eval_count": answer["usage"]["prompt_tokens"],
        }
