"""Checks that every request passes first: who may ask, how much, and what pages may read."""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Awaitable, Callable

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from ai_dev_tools.benchmark.endpoints.embedded import origins
from ai_dev_tools.benchmark.endpoints.embedded.limits import Bodies, ServerLimits, request_began
from ai_dev_tools.benchmark.endpoints.embedded.ollama_api import ApiError

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_BODY = "body"


class Admission:
    """Middlewares of one application; they raise ApiError for refused requests."""

    def __init__(self, limits: ServerLimits) -> None:
        self._bodies = Bodies(limits)
        self._origins = origins.allowed_origins()
        self.middlewares = (self._admit, self._receive)

    @web.middleware
    async def _admit(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Refuse requests from pages that are not allowed, and answer browsers that ask first."""
        request_began(request)
        if any(len(request.headers.getall(name, ())) > 1 for name in ("Host", "Origin")):
            raise ApiError(400, "the header Host or Origin is given twice")
        local = _is_loopback(request)
        if local and "Host" in request.headers and not origins.is_allowed_host(request.host):  # or that of a whole URL
            raise ApiError(403, "the Host header does not name this machine: use localhost or its address")
        if problem := origins.problem(request.method, request.headers, self._origins, reached_locally=local):
            raise ApiError(403, problem)
        if request.method == "OPTIONS" and "Origin" in request.headers:
            return web.Response(status=204, headers=origins.PREFLIGHT_HEADERS)
        return await handler(request)

    @web.middleware
    async def _receive(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Read the body, within the limits; it is held until the request has been answered."""
        async with self._bodies.received(request) as body:
            if body and origins.needs_json(request.headers):
                raise ApiError(415, "a request from a page must have the content type application/json")
            request[_BODY] = body
            return await handler(request)

    async def say_who_may_read(self, request: web.Request, response: web.StreamResponse) -> None:
        """Let the page that asked read the reply, if its origin is allowed."""
        origin = request.headers.get("Origin")
        if origin is not None and origins.is_allowed_origin(origin, self._origins):
            response.headers["Access-Control-Allow-Origin"] = origin
            response.headers["Vary"] = "Origin"


def body_of(request: web.Request) -> bytes:
    """The body of a request that was admitted."""
    body: bytes = request[_BODY]
    return body


def silence_malformed_requests() -> None:
    """Keep client errors out of the server's log, where aiohttp would print a traceback for each."""
    logging.getLogger("aiohttp.server").addFilter(_is_worth_a_line)


def _is_worth_a_line(record: logging.LogRecord) -> bool:
    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(error, HttpProcessingError | ConnectionError)


def _is_loopback(request: web.Request) -> bool:
    """Whether the request came in on this machine's own address; True if that is unknown."""
    name = request.transport.get_extra_info("sockname") if request.transport else None
    return not isinstance(name, tuple) or ipaddress.ip_address(name[0].partition("%")[0]).is_loopback
