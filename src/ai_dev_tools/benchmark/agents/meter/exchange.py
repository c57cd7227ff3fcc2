"""One request of an agent, passed on to the model's server; its answer is counted and passed back."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Mapping

import aiohttp
import msgspec
from aiohttp import web

from ai_dev_tools.benchmark._util import wire
from ai_dev_tools.benchmark._util.json_values import JsonObject
from ai_dev_tools.benchmark.agents.meter.answer_reader import AnswerReader
from ai_dev_tools.benchmark.agents.meter.episode_account import EpisodeAccount
from ai_dev_tools.benchmark.agents.meter.pages import refusal
from ai_dev_tools.benchmark.agents.meter.request_rules import (
    CHAT,
    COMPLETIONS,
    DeclinedRequest,
    forced,
    is_streamed,
    wants_usage,
)
from ai_dev_tools.benchmark.agents.meter.translation import Translator, in_ollamas_words
from ai_dev_tools.benchmark.endpoints.chat import Chat, Message, Reply
from ai_dev_tools.benchmark.endpoints.ollama_client import server_error, status_error
from ai_dev_tools.benchmark.endpoints.openai_errors import error_of, read_refusal
from ai_dev_tools.benchmark.endpoints.pacing import MOST_WAIT_S
from ai_dev_tools.benchmark.errors import BenchmarkError, EndpointConnectionError
from ai_dev_tools.benchmark.records.conversation import messages_of
from ai_dev_tools.benchmark.records.sample_error import SampleError

MOST_REFUSAL_BYTES = 100_000
LEFT = "the agent went away before the answer was complete"


class AgentLeftError(Exception):
    """The agent's connection is closing: that is not the fault of the model's server."""


class Exchange:
    """One request that is passed on, and its answer."""

    def __init__(self, path: str, body: JsonObject, account: EpisodeAccount) -> None:
        self._path, self._account = path, account
        upstream = account.upstream
        self._streamed = is_streamed(path, body)
        self._reader: AnswerReader | Translator
        if path == COMPLETIONS and upstream.openai is None:
            self._url = f"{upstream.ollama_root(path)}{CHAT}"
            self._sent = forced(CHAT, in_ollamas_words(body), account.rules, upstream.accepted)
            self._reader = Translator({**body, "model": account.rules.model})
        else:
            root = upstream.openai if path == COMPLETIONS else upstream.ollama_root(path)
            self._url = f"{root}{path.removeprefix('/v1')}"
            self._sent = forced(path, body, account.rules, upstream.accepted)
            hidden = path == COMPLETIONS and self._streamed and not wants_usage(body)
            self._reader = AnswerReader(path, streamed=self._streamed, hide_usage=hidden)
        self._secrets = wire.Secrets(upstream.headers)
        self._opening = account.begin(messages_of(body))
        self._response: web.StreamResponse | None = None
        self._first: float | None = None
        self._noted = False
        self._started = time.perf_counter()

    def as_chat(self) -> Chat:
        """The request as a budget sees it."""
        text = msgspec.json.encode(self._sent).decode()
        chat = Chat(self._account.rules.model, "", None, self._account.rules.options, messages=(Message("user", text),))
        return chat.without_context() if self._account.upstream.ollama is None else chat

    def fill(self, reply: Reply) -> EndpointConnectionError | None:
        """Fill a reply with what the server counted; an error if nothing came at all."""
        heard = self._reader.heard
        reply.final, reply.pieces = dict(heard.final), len(heard.pieces)
        reply.duration_s = time.perf_counter() - self._started
        return None if self._begun else EndpointConnectionError("nothing came")

    @property
    def _begun(self) -> bool:
        """Whether the agent has got something of the answer."""
        return self._response is not None

    async def pass_on(self, client: aiohttp.ClientSession, request: web.Request) -> web.StreamResponse:
        """Send the request, pass the answer on as it comes, and count it.

        A request that the agent gives up is also given up at the server.
        """
        account = self._account
        try:
            async with asyncio.timeout(max(0.0, account.seconds_left)):
                return await self._run(client, request)
        except TimeoutError:
            self._failed("timeout", f"the episode's limit of {account.rules.limits.seconds:g} s was reached")
            account.out_of_time()
            return self._broken_off(request, 403)
        except asyncio.CancelledError:
            self._failed("interrupted", LEFT)
            raise
        except AgentLeftError:
            self._failed("interrupted", LEFT)
            return self._broken_off(request, 502)
        except (aiohttp.ClientError, OSError, wire.TooLongError) as error:
            self._failed("connection", f"the connection to the model's server broke: {error or type(error).__name__}")
            return self._broken_off(request, 502)

    async def _paced(self) -> None:
        """Wait as long as the server asked anybody of this block to wait."""
        while (seconds := self._account.upstream.pace.pause_s) > 0:
            await asyncio.sleep(seconds)

    async def _run(self, client: aiohttp.ClientSession, request: web.Request) -> web.StreamResponse:
        """Send it, and hand on what comes."""
        headers = {"Content-Type": "application/json", **self._account.upstream.headers}
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
        if isinstance(self._reader, AnswerReader):
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
        self._failed(error.error_class, str(error))
        headers = {name: reply.headers[name] for name in ("Retry-After",) if name in reply.headers}
        if 0 < (wait_s := error.retry_after_s or 0.0) <= MOST_WAIT_S:  # for all episodes and requests of the block
            self._account.upstream.pace.hold(wait_s)
            headers.setdefault("Retry-After", f"{math.ceil(wait_s)}")
        self._account.long_wait_s = wait_s if wait_s > MOST_WAIT_S else None
        return refusal(self._path, DeclinedRequest(reply.status, "server", str(error)), headers)

    def _finish(self) -> bytes:
        """The server has sent everything; returns what has not been passed on to the agent yet."""
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

    def _failed(self, error_class: str, message: str) -> None:
        """The exchange did not come to its end.

        An agent that leaves after the last word has got its answer.
        """
        self._reader.end()
        complete = bool(self._reader.heard.final) and not self._reader.heard.error
        self._note(None if complete else SampleError(error_class, self._secrets.text(message)[:1000]))

    def _error_of(self, status: int, data: bytes, headers: Mapping[str, str]) -> BenchmarkError:
        if self._path == COMPLETIONS and isinstance(self._reader, AnswerReader):
            return error_of(read_refusal(status, data, self._secrets), headers)
        return status_error(status, data, headers, self._secrets)

    def _note(self, error: SampleError | None) -> None:
        if self._noted:
            return
        self._noted = True
        heard = self._reader.heard
        heard.pieces = [self._secrets.text(heard.text)]
        seconds = time.perf_counter() - self._started
        self._account.note(heard, self._opening, seconds, self._first, error)

    def _broken_off(self, request: web.Request, status: int) -> web.StreamResponse:
        """What is left to say to an agent whose answer does not come to its end."""
        turn = self._account.turns[-1]
        line = turn.error.message if turn.error else "the answer broke off"
        if self._response is None or not self._response.prepared:
            return refusal(self._path, DeclinedRequest(status, "server", line))
        if request.transport is not None:
            request.transport.close()  # a stream cannot take back its status: only its end can say that it broke
        return self._response
