"""The meter: a local server between agents and the model that counts what agents ask.

An agent's own report of its tokens is not evidence; what the server says at the end of each answer is. Every episode has a key,
in the path (`http://127.0.0.1:PORT/e/KEY/v1`) or as bearer token, so that episodes that run at once are told apart. What the
plan fixed is forced on each request (`request_rules`), which is then passed on (`exchange`), and each answer is read as it
passes through (`answer_reader`).
"""

from __future__ import annotations

import asyncio
import secrets
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, ExitStack, contextmanager
from types import TracebackType
from typing import Self

import aiohttp
from aiohttp import web

from ai_dev_tools.benchmark._util.scratch import scratch_folder
from ai_dev_tools.benchmark.agents.meter.episode_account import EpisodeAccount, Upstream
from ai_dev_tools.benchmark.agents.meter.exchange import Exchange
from ai_dev_tools.benchmark.agents.meter.pages import SHOW, loaded, model_description, own_page, refusal
from ai_dev_tools.benchmark.agents.meter.payment import pay_for_request
from ai_dev_tools.benchmark.agents.meter.request_bodies import LOG, MAX_BODY_BYTES, body_of, key_of
from ai_dev_tools.benchmark.agents.meter.request_rules import (
    ASKED_AT,
    DeclinedRequest,
    RequestRules,
    loads_only,
    require_model,
)
from ai_dev_tools.benchmark.errors import ConfigurationError

MOST_WAITING = 1000
"""Requests that wait to be paid: one of each episode, and a thread for each."""


class MeterServer:
    """The meter of a block, a context manager.

    It answers on a free port of this machine, from its own thread.

    Attributes:
        url: where it answers.
        socket: a Unix socket that leads to it too, for agents in a sandbox without a network.
    """

    def __init__(self) -> None:
        self._episodes: dict[str, EpisodeAccount] = {}
        self._opened, self._serving = ExitStack(), AsyncExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as opening:
            self.socket = opening.enter_context(scratch_folder("meter")) / "socket"
            self._loop = asyncio.new_event_loop()
            opening.callback(self._loop.close)
            self._reserving = ThreadPoolExecutor(MOST_WAITING, thread_name_prefix="reserving")
            opening.callback(self._reserving.shutdown, wait=False)
            self._settling = opening.enter_context(ThreadPoolExecutor(1, thread_name_prefix="settling"))
            opening.callback(lambda: self._loop.run_until_complete(self._serving.aclose()))
            try:
                self._loop.run_until_complete(self._start())
            except OSError as error:
                raise ConfigurationError(
                    f"the meter cannot open a port of this machine and {self.socket}: {error}",
                    remedy="Set TMPDIR to a folder with a short path in which sockets can be made",
                ) from None
            thread = threading.Thread(target=self._loop.run_forever, name="meter", daemon=True)
            thread.start()
            opening.callback(thread.join)
            opening.callback(self._loop.call_soon_threadsafe, self._loop.stop)
            self._opened = opening.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._opened.close()

    @contextmanager
    def episode(self, rules: RequestRules, upstream: Upstream) -> Iterator[tuple[str, EpisodeAccount]]:
        """Count for one episode; yields its key and its account.

        Afterwards, the key opens nothing and no request is in flight.
        """
        key, account = secrets.token_urlsafe(12), EpisodeAccount(rules, upstream)
        self._episodes[key] = account
        try:
            yield key, account
        finally:
            del self._episodes[key]
            asyncio.run_coroutine_threadsafe(account.close(), self._loop).result()

    async def _start(self) -> None:
        # A connection for each request. A server may close a kept one at the moment when the next request is sent (llama.cpp
        # does so after each stream), and nobody could tell whether it had begun with it: sent again, a request would be answered
        # twice, and counted and paid once. On a fresh connection a break is a failure, which the episode records.
        self._client = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, force_close=True),
            timeout=aiohttp.ClientTimeout(total=None),
            read_bufsize=1 << 20,
        )
        self._serving.push_async_callback(self._client.close)
        app = web.Application(client_max_size=MAX_BODY_BYTES)
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, access_log=None, logger=LOG, handler_cancellation=True, shutdown_timeout=0.0)
        self._serving.push_async_callback(self._runner.cleanup)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        await web.UnixSite(self._runner, str(self.socket)).start()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        key, path = key_of(request)
        account = self._episodes.get(key)
        if account is None:
            return refusal(path, DeclinedRequest(401, "key", "the request has no key of an episode in progress"))
        try:
            return await self._episode_answer(request, path, account)
        except DeclinedRequest as declined:
            account.refuse(declined)
            return refusal(path, declined)

    async def _episode_answer(self, request: web.Request, path: str, account: EpisodeAccount) -> web.StreamResponse:
        if request.method in ("GET", "HEAD"):
            return own_page(path, account)
        if request.method != "POST":
            line = (
                f"the agent sent a request with {request.method} to {path[:80]}, but the meter takes only GET and POST"
            )
            raise DeclinedRequest(405, "path", line)
        if path == SHOW:
            return await model_description(self._client, await body_of(request), account)
        if path not in ASKED_AT:
            raise DeclinedRequest(
                404,
                "path",
                f"the agent sent a request to {path[:80]}, but the meter only answers at {', '.join(ASKED_AT)}",
            )
        body = await body_of(request)
        if loads_only(path, body):
            require_model(body, account.rules)
            return loaded(path, account)
        account.requests += 1
        async with account.one_at_a_time():
            account.admit()
            exchange = Exchange(path, body, account)
            async with pay_for_request(account, exchange.as_chat, exchange.fill, self._reserving, self._settling):
                return await exchange.pass_on(self._client, request)
