"""The meter: a local server between agents and the model that counts what agents ask.

An agent's own report of its tokens is not evidence; what the server says at the end of each answer is. Every episode has a
key, in the path (`http://127.0.0.1:PORT/e/KEY/v1`) or as bearer token, so that episodes that run at once are told apart. What
the plan fixed is forced on each request (`forcing`), and each answer is read as it passes through (`counting`).
"""

from __future__ import annotations

import asyncio
import math
import secrets
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, ExitStack, contextmanager
from types import TracebackType
from typing import Self

import aiohttp
import msgspec
from aiohttp import web

from ai_dev_tools.benchmark._util import wire
from ai_dev_tools.benchmark._util.json_values import JsonObject, JsonValue
from ai_dev_tools.benchmark._util.scratch import scratch_folder
from ai_dev_tools.benchmark.agents.meter.counting import Reader
from ai_dev_tools.benchmark.agents.meter.forcing import (
    ASKED_AT,
    CHAT,
    COMPLETIONS,
    DeclinedRequest,
    Rules,
    forced,
    is_streamed,
    loads_only,
    require_model,
    wants_usage,
)
from ai_dev_tools.benchmark.agents.meter.metered import Metered, Upstream
from ai_dev_tools.benchmark.agents.meter.paying import paid
from ai_dev_tools.benchmark.agents.meter.request_bodies import LOG, MAX_BODY_BYTES, body_of, key_of
from ai_dev_tools.benchmark.agents.meter.translating import Translator, in_ollamas_words
from ai_dev_tools.benchmark.endpoints.chat import Chat, Message, Reply
from ai_dev_tools.benchmark.endpoints.ollama_client import server_error, status_error
from ai_dev_tools.benchmark.endpoints.openai_errors import error_of, refused
from ai_dev_tools.benchmark.endpoints.pacing import MOST_WAIT_S
from ai_dev_tools.benchmark.errors import BenchmarkError, ConfigurationError, EndpointConnectionError
from ai_dev_tools.benchmark.records.conversation import messages_of
from ai_dev_tools.benchmark.records.sample_error import SampleError

MOST_REFUSAL_BYTES = 100_000
MOST_WAITING = 1000
"""Requests that wait to be paid: one of each episode, and a thread for each."""
CREATED = 1_700_000_000
"""When a model came to be, for a field that clients expect and nobody needs."""


LEFT = "the agent went away before the answer was complete"


class AgentLeftError(Exception):
    """The agent's connection is closing: that is not the fault of the model's server."""


class MeterServer:
    """The meter of a block, a context manager.

    It answers on a free port of this machine, from its own thread.

    Attributes:
        url: where it answers.
        socket: a Unix socket that leads to it too, for agents in a sandbox without a network.
    """

    def __init__(self) -> None:
        self._episodes: dict[str, Metered] = {}
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
    def episode(self, rules: Rules, upstream: Upstream) -> Iterator[tuple[str, Metered]]:
        """Count for one episode; yields its key and its account.

        Afterwards, the key opens nothing and no request is in flight.
        """
        key, account = secrets.token_urlsafe(12), Metered(rules, upstream)
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

    async def _episode_answer(self, request: web.Request, path: str, account: Metered) -> web.StreamResponse:
        if request.method in ("GET", "HEAD"):
            return _own_page(path, account)
        if request.method != "POST":
            line = (
                f"the agent sent a request with {request.method} to {path[:80]}, but the meter takes only GET and POST"
            )
            raise DeclinedRequest(405, "path", line)
        if path == "/api/show":
            return await self._show(request, account)
        if path not in ASKED_AT:
            raise DeclinedRequest(
                404,
                "path",
                f"the agent sent a request to {path[:80]}, but the meter only answers at {', '.join(ASKED_AT)}",
            )
        body = await body_of(request)
        if loads_only(path, body):
            require_model(body, account.rules)
            return web.json_response({"model": account.rules.model, "done": True, "done_reason": "load"} | _empty(path))
        account.requests += 1
        async with account.one_at_a_time():
            account.admit()
            exchange = _Exchange(path, body, account)
            async with paid(account, exchange.as_chat, exchange.fill, self._reserving, self._settling):
                return await self._pass_on(request, exchange)

    async def _pass_on(self, request: web.Request, exchange: _Exchange) -> web.StreamResponse:
        """Send a request, pass the answer on as it comes, and count it.

        A request that the agent gives up is also given up at the server.
        """
        account = exchange.account
        try:
            async with asyncio.timeout(max(0.0, account.seconds_left)):
                return await exchange.run(self._client, request)
        except TimeoutError:
            exchange.failed("timeout", f"the episode's limit of {account.rules.limits.seconds:g} s was reached")
            account.out_of_time()
            return exchange.broken_off(request, 403)
        except asyncio.CancelledError:
            exchange.failed("interrupted", LEFT)
            raise
        except AgentLeftError:
            exchange.failed("interrupted", LEFT)
            return exchange.broken_off(request, 502)
        except (aiohttp.ClientError, OSError, wire.TooLongError) as error:
            exchange.failed(
                "connection", f"the connection to the model's server broke: {error or type(error).__name__}"
            )
            return exchange.broken_off(request, 502)

    async def _show(self, request: web.Request, account: Metered) -> web.StreamResponse:
        body = await body_of(request)
        require_model({"model": body.get("model") or body.get("name")}, account.rules)
        root, headers = _ollama("/api/show", account.upstream), dict(account.upstream.headers)
        sent, hidden = {"model": account.rules.model}, wire.Secrets(headers)
        try:
            async with (
                asyncio.timeout(max(0.0, account.seconds_left)),
                self._client.post(f"{root}/api/show", json=sent, headers=headers, allow_redirects=False) as reply,
            ):
                status, data = reply.status, await _whole(reply.content)
            said = hidden.hide(wire.decoded(data))
        except TimeoutError:
            account.out_of_time()
            line = f"the episode's limit of {account.rules.limits.seconds:g} s was reached"
            return refusal("/api/show", DeclinedRequest(403, "limit", line))
        except (aiohttp.ClientError, OSError, ValueError) as error:
            line = hidden.text(f"the model's server does not describe the model: {error or type(error).__name__}")
            return refusal("/api/show", DeclinedRequest(502, "server", line[:1000]))
        return web.json_response(said, status=status)


async def _whole(content: aiohttp.StreamReader) -> bytes:
    """All of an answer that is not passed on as it comes.

    Raises:
        TooLongError: it does not end.
    """
    pieces, size = [], 0
    async for piece in content.iter_any():
        pieces.append(piece)
        size += len(piece)
        if size > wire.MAX_LINE_BYTES:
            raise wire.TooLongError("the answer does not end")
    return b"".join(pieces)


class _Exchange:
    """One request that is passed on, and its answer."""

    def __init__(self, path: str, body: JsonObject, account: Metered) -> None:
        self._path, self.account = path, account
        upstream = account.upstream
        self._streamed = is_streamed(path, body)
        self._reader: Reader | Translator
        if path == COMPLETIONS and upstream.openai is None:
            self._url = f"{_ollama(path, upstream)}{CHAT}"
            self._sent = forced(CHAT, in_ollamas_words(body), account.rules, upstream.accepted)
            self._reader = Translator({**body, "model": account.rules.model})
        else:
            root = upstream.openai if path == COMPLETIONS else _ollama(path, upstream)
            self._url = f"{root}{path.removeprefix('/v1')}"
            self._sent = forced(path, body, account.rules, upstream.accepted)
            hidden = path == COMPLETIONS and self._streamed and not wants_usage(body)
            self._reader = Reader(path, streamed=self._streamed, hide_usage=hidden)
        self._secrets = wire.Secrets(account.upstream.headers)
        self._opening = account.begin(messages_of(body))
        self._response: web.StreamResponse | None = None
        self._first: float | None = None
        self._noted = False
        self._started = time.perf_counter()

    def as_chat(self) -> Chat:
        """The request as a budget sees it."""
        text = msgspec.json.encode(self._sent).decode()
        chat = Chat(self.account.rules.model, "", None, self.account.rules.options, messages=(Message("user", text),))
        return chat.without_context() if self.account.upstream.ollama is None else chat

    def fill(self, reply: Reply) -> EndpointConnectionError | None:
        """Fill a reply with what the server counted; an error if nothing came at all."""
        heard = self._reader.heard
        reply.final, reply.pieces = dict(heard.final), len(heard.pieces)
        reply.duration_s = time.perf_counter() - self._started
        return None if self.begun else EndpointConnectionError("nothing came")

    @property
    def begun(self) -> bool:
        """Whether the agent has got something of the answer."""
        return self._response is not None

    async def _paced(self) -> None:
        """Wait as long as the server asked anybody of this block to wait."""
        while (seconds := self.account.upstream.pace.pause_s) > 0:
            await asyncio.sleep(seconds)

    async def run(self, client: aiohttp.ClientSession, request: web.Request) -> web.StreamResponse:
        """Send it, and hand on what comes."""
        headers = {"Content-Type": "application/json", **self.account.upstream.headers}
        await self._paced()
        self._started = time.perf_counter()
        async with client.post(
            self._url, data=msgspec.json.encode(self._sent), headers=headers, allow_redirects=False
        ) as reply:
            if reply.status != 200:
                return await self._failure(reply)
            self._response = response = web.StreamResponse()
            response.content_type = self._content_type(reply)
            async for piece in reply.content.iter_any():
                await self._hand_on(request, response, self._reader.feed(piece))
            rest = self._finish()
        await self._hand_on(request, response, rest)
        await response.write_eof()
        return response

    def _content_type(self, reply: aiohttp.ClientResponse) -> str:
        if isinstance(self._reader, Reader):
            return reply.content_type
        return "text/event-stream" if self._streamed else "application/json"

    async def _hand_on(self, request: web.Request, response: web.StreamResponse, data: bytes) -> None:
        if self._first is None and self._streamed and self._reader.heard.begun:
            self._first = time.perf_counter() - self._started
        try:
            if not response.prepared:
                await response.prepare(request)
            if data:
                await response.write(data)
        except (aiohttp.ClientError, OSError):
            raise AgentLeftError from None

    async def _failure(self, reply: aiohttp.ClientResponse) -> web.Response:
        data = await reply.content.read(MOST_REFUSAL_BYTES)
        error = self._error_of(reply.status, data, reply.headers)
        self.failed(error.error_class, str(error))
        headers = {name: reply.headers[name] for name in ("Retry-After",) if name in reply.headers}
        if 0 < (wait_s := error.retry_after_s or 0.0) <= MOST_WAIT_S:  # for all episodes and requests of the block
            self.account.upstream.pace.hold(wait_s)
            headers.setdefault("Retry-After", f"{math.ceil(wait_s)}")
        self.account.long_wait_s = wait_s if wait_s > MOST_WAIT_S else None
        return refusal(self._path, DeclinedRequest(reply.status, "server", str(error)), headers)

    def _finish(self) -> bytes:
        """The answer is complete as far as the connection goes; returns what the agent has not got yet."""
        rest = self._reader.end()
        heard = self._reader.heard
        if heard.error:
            error = server_error(self._secrets.text(heard.error), may_pass=True)
            self._note(SampleError(error.error_class, str(error)[:1000]))
        elif not heard.final:
            self._note(SampleError("malformed_response", "the answer ended without saying that it was done"))
        else:
            self._note(None)
        return rest

    def failed(self, error_class: str, message: str) -> None:
        """The exchange did not come to its end.

        An agent that leaves after the last word has got its answer.
        """
        self._reader.end()
        complete = bool(self._reader.heard.final) and not self._reader.heard.error
        self._note(None if complete else SampleError(error_class, self._secrets.text(message)[:1000]))

    def _error_of(self, status: int, data: bytes, headers: Mapping[str, str]) -> BenchmarkError:
        if self._path == COMPLETIONS and isinstance(self._reader, Reader):
            return error_of(refused(status, data, self._secrets), headers)
        return status_error(status, data, headers, self._secrets)

    def _note(self, error: SampleError | None) -> None:
        if self._noted:
            return
        self._noted = True
        heard = self._reader.heard
        heard.pieces = [self._secrets.text(heard.text)]
        seconds = time.perf_counter() - self._started
        self.account.note(heard, self._opening, seconds, self._first, error)

    def broken_off(self, request: web.Request, status: int) -> web.StreamResponse:
        """What is left to say to an agent whose answer does not come to its end."""
        turn = self.account.turns[-1]
        line = turn.error.message if turn.error else "the answer broke off"
        if self._response is None or not self._response.prepared:
            return refusal(self._path, DeclinedRequest(status, "server", line))
        if request.transport is not None:
            request.transport.close()  # a stream cannot take back its status: only its end can say that it broke
        return self._response


def _ollama(path: str, upstream: Upstream) -> str:
    if upstream.ollama is None:
        raise DeclinedRequest(
            404, "path", f"the agent sent a request to {path}, which the model's server does not have"
        )
    return upstream.ollama


def _empty(path: str) -> JsonObject:
    return {"message": {"role": "assistant", "content": ""}} if path == CHAT else {"response": ""}


def _own_page(path: str, account: Metered) -> web.Response:
    """What the meter says of itself: one model, whatever else the server has."""
    model = account.rules.model
    listed: JsonObject = {"id": model, "object": "model", "created": CREATED, "owned_by": "meter"}
    known: JsonObject = {
        "/api/version": {"version": account.upstream.version or "0.0.0"},
        "/api/tags": {"models": [{"name": model, "model": model}]},
        "/api/ps": {"models": [{"name": model, "model": model}]},
        "/v1/models": {"object": "list", "data": [listed]},
        f"/v1/models/{model}": listed,
    }
    if path == "/":
        return web.Response(text="Ollama is running")
    if path not in known:
        raise DeclinedRequest(404, "path", f"the agent sent a request to {path[:80]}, which the meter does not have")
    return web.json_response(known[path])


def refusal(path: str, declined: DeclinedRequest, headers: dict[str, str] | None = None) -> web.Response:
    """A refused request, in the words of the API that it came in."""
    error: JsonValue = declined.line
    if path.startswith("/v1"):
        error = {"message": declined.line, "type": "invalid_request_error", "param": None, "code": declined.about}
    return web.json_response({"error": error}, status=declined.status, headers=headers)
