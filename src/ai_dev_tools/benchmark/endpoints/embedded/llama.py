"""The llama.cpp server behind the façade.

Loaded when needed and unloaded when asked. Its slots are given out in order.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ai_dev_tools.benchmark._util.json_values import JsonFields
from ai_dev_tools.benchmark.errors import ModelError

MAX_PENDING = 512
"""Requests that may wait; Ollama's default. More get 503."""

_MAX_THREADS = 8
"""More threads than this gain nothing for a model of this size."""


class BusyError(Exception):
    """Too many requests wait already."""


@dataclass(frozen=True)
class LlamaSettings:
    """How to load the model.

    Attributes:
        num_ctx: context length in tokens of each slot.
        parallel: slots, i.e. requests computed at once.
        embedding: make vectors of texts instead of answers.
        cache_prompt: keep evaluated prompt prefixes; off, so that token counts and times are of the whole prompt.
    """

    model_file: Path
    tag: str
    num_ctx: int
    parallel: int = 1
    cache_prompt: bool = False
    embedding: bool = False


class Llama:
    """One model in one llama.cpp server, inside this process."""

    def __init__(self, settings: LlamaSettings) -> None:
        self.settings = settings
        self.num_ctx = settings.num_ctx
        self._server: Any = None
        self._active = 0
        self._pending = 0
        self._changed = asyncio.Condition()

    @property
    def loaded(self) -> bool:
        """Whether the model is in memory."""
        return self._server is not None

    @asynccontextmanager
    async def slot(self, num_ctx: int) -> AsyncIterator[str]:
        """Wait for a free slot with the model loaded at this context length; yields the server's base URL.

        Like Ollama, another context length than the loaded one reloads the model once running requests have ended.

        Raises:
            BusyError: too many wait already.
            ModelError: the model cannot be loaded.
        """
        if self._pending >= MAX_PENDING:
            raise BusyError
        self._pending += 1
        try:
            async with self._changed:
                await self._changed.wait_for(lambda: self._has_room(num_ctx))
                if not self.loaded or num_ctx != self.num_ctx:
                    await self._load(num_ctx)
                self._active += 1
        finally:
            self._pending -= 1
        try:
            yield self._server.listening_address
        finally:
            # Not under the condition's lock: this must not wait, even when the request is being cancelled.
            self._active -= 1
            self._wake = asyncio.ensure_future(self._notify())

    async def unload(self) -> None:
        """Free the model's memory once running requests have ended."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._active == 0)
            await self._drop()

    async def properties(self) -> JsonFields:
        """What llama.cpp says of the loaded model: n_params, chat_template, quantization, and its own version."""
        # these take 0.1 s
        import aiohttp
        import xllamacpp

        url = self._server.listening_address
        async with aiohttp.ClientSession() as session:
            async with session.get(f"{url}/props") as reply:
                properties = await reply.json()
            async with session.get(f"{url}/v1/models") as reply:
                listed = (await reply.json())["data"][0]["meta"]
        return {
            "n_params": listed["n_params"],
            "quantization": listed.get("ftype", properties.get("model_ftype", "unknown")),
            "chat_template": properties["chat_template"],
            "bos": properties.get("bos_token", ""),
            "eos": properties.get("eos_token", ""),
            "version": f"0.0.0-xllamacpp.{xllamacpp.__version__}",
        }

    def _has_room(self, num_ctx: int) -> bool:
        if self._active == 0:
            return True
        return self.loaded and num_ctx == self.num_ctx and self._active < self.settings.parallel

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def _load(self, num_ctx: int) -> None:
        await self._drop()
        self._server = await asyncio.to_thread(start_server, self.settings, num_ctx)
        self.num_ctx = num_ctx

    async def _drop(self) -> None:
        server, self._server = [self._server], None
        # The last reference goes away in the thread: ending llama.cpp's own threads takes some 30 ms.
        await asyncio.to_thread(server.clear)


def usable_cores() -> int:
    """Cores that this process may use.

    llama.cpp itself counts those of the machine, which is very slow in a container.
    """
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def start_server(settings: LlamaSettings, num_ctx: int) -> Any:
    """A llama.cpp server with the model, in this process; it ends with its last reference.

    Raises ModelError.
    """
    import xllamacpp  # takes 20 ms

    params = xllamacpp.CommonParams()
    params.model.path = str(settings.model_file)
    params.model_alias = {settings.tag}
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.n_ctx = num_ctx * settings.parallel
    params.n_parallel = settings.parallel
    params.n_threads_http = settings.parallel + 4
    threads = min(usable_cores(), _MAX_THREADS)
    params.cpuparams.n_threads = threads
    params.cpuparams_batch.n_threads = threads
    params.cache_prompt = settings.cache_prompt
    if not settings.cache_prompt:
        params.cache_ram_mib = 0
        params.n_ctx_checkpoints = 0
    if settings.embedding:
        params.embedding = True
        params.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_LAST
        params.n_batch = params.n_ubatch = num_ctx
    params.ctx_shift = False
    params.fit_params = False
    params.endpoint_slots = False
    params.ui = False
    params.verbosity = 1
    try:
        return xllamacpp.Server(params)
    except RuntimeError:
        raise ModelError(f"llama.cpp cannot load {settings.model_file}", remedy="See the server's log") from None
