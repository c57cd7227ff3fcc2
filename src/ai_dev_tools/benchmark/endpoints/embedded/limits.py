"""Limits of one server: connections, bodies in memory, time until a request has arrived."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiohttp import web

from ai_dev_tools.benchmark.endpoints.embedded.ollama_api import ApiError

MAX_BODY_BYTES = 64 << 20
_BUSY = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nRetry-After: 1\r\nConnection: close\r\n\r\n"


@dataclass(frozen=True)
class ServerLimits:
    """Bounds of a server; none is near what a benchmark or a person needs.

    Attributes:
        connections: open at once; more are told 503.
        body_bytes: of one request.
        all_bodies_bytes: of all requests that are being received, wait or are computed, beyond `free_bytes` of each.
        free_bytes: with no more than this, a request is taken however many large ones there are.
        arrival_s: seconds until the headers of a connection's first request have arrived, and again until a body has.
        idle_s: seconds for which a connection without a request is kept.
    """

    connections: int = 640
    body_bytes: int = MAX_BODY_BYTES
    all_bodies_bytes: int = 2 * MAX_BODY_BYTES
    free_bytes: int = 256 << 10
    arrival_s: float = 30.0
    idle_s: float = 120.0


class Bodies:
    """The request bodies that are in memory."""

    def __init__(self, limits: ServerLimits) -> None:
        self._limits = limits
        self._held = 0

    @asynccontextmanager
    async def received(self, request: web.Request) -> AsyncIterator[bytes]:
        """The body of a request; it counts as held until the request has been answered.

        Raises:
            ApiError: 413 too large, 503 too much is held already, 408 too slow.
        """
        counted = 0
        body = bytearray()
        self._check(request.content_length or 0)
        try:
            try:
                async with asyncio.timeout(self._limits.arrival_s):
                    async for chunk in request.content.iter_any():
                        self._check(len(body) + len(chunk))
                        more = max(0, len(body) + len(chunk) - self._limits.free_bytes) - counted
                        if more and self._held + more > self._limits.all_bodies_bytes:
                            raise ApiError(503, "server busy, please try again.  too many large requests")
                        counted += more
                        self._held += more
                        body += chunk
            except TimeoutError:
                raise ApiError(408, f"the request body did not arrive within {self._limits.arrival_s:g} s") from None
            yield bytes(body)
        finally:
            self._held -= counted

    def _check(self, size: int) -> None:
        if size > self._limits.body_bytes:
            raise ApiError(413, f"request body is larger than {self._limits.body_bytes >> 20} MB")


class ConnectionGuard:
    """Counts connections, and refuses those that are too many or too slow."""

    def __init__(self, limits: ServerLimits) -> None:
        self.limits = limits
        self.open = 0

    def guarding(self, factory: Callable[[], asyncio.Protocol]) -> Callable[[], asyncio.Protocol]:
        """The factory of guarded protocols."""
        return lambda: _Guarded(self, factory())


class _Guarded(asyncio.Protocol):
    """One connection: hands everything on to the server's own protocol."""

    def __init__(self, door: ConnectionGuard, inner: asyncio.Protocol) -> None:
        self._door, self._inner = door, inner
        self._admitted = False
        self._too_slow: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        if self._door.open >= self._door.limits.connections:
            transport.write(_BUSY)
            transport.close()
            return
        self._admitted = True
        self._door.open += 1
        self._too_slow = asyncio.get_running_loop().call_later(self._door.limits.arrival_s, transport.abort)
        self._inner.connection_made(transport)

    def request_began(self) -> None:
        """The headers of a request are there."""
        if self._too_slow:
            self._too_slow.cancel()

    def data_received(self, data: bytes) -> None:
        if self._admitted:
            self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        return self._inner.eof_received() if self._admitted else None

    def pause_writing(self) -> None:
        if self._admitted:
            self._inner.pause_writing()

    def resume_writing(self) -> None:
        if self._admitted:
            self._inner.resume_writing()

    def connection_lost(self, error: Exception | None) -> None:
        self.request_began()
        if self._admitted:
            self._door.open -= 1
            self._inner.connection_lost(error)


def request_began(request: web.Request) -> None:
    """Tell the connection's guard, if there is one, that its client is not too slow."""
    protocol = request.transport.get_protocol() if request.transport else None
    if isinstance(protocol, _Guarded):
        protocol.request_began()
