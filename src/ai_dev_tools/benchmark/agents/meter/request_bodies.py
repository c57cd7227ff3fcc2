"""Read the episode's key and the body of a request, before the meter knows that it is a valid one."""

from __future__ import annotations

import logging

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from ai_dev_tools.benchmark._util import wire
from ai_dev_tools.benchmark._util.json_values import JsonObject
from ai_dev_tools.benchmark.agents.meter.request_rules import DeclinedRequest

MAX_BODY_BYTES = 64 << 20
LOG = logging.getLogger(__name__)
"""What the web server says, except of bytes that are not HTTP: those are the agent's mistake, and the agent is told."""
LOG.addFilter(lambda record: not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError)))
_WHOLE = wire.Secrets()


def key_of(request: web.Request) -> tuple[str, str]:
    """The key of an episode, and the path without it."""
    path = request.path
    if path.startswith("/e/"):
        key, _, rest = path.removeprefix("/e/").partition("/")
        return key, f"/{rest}"
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return (token.strip() if scheme.lower() == "bearer" else ""), path


async def body_of(request: web.Request) -> JsonObject:
    """The object in a request's body, with whole characters only, as it can be sent and recorded."""
    try:
        data = await request.read()
        body = wire.decoded(data)
        if b"\\u" in data:
            body = _WHOLE.hide(body)
    except web.HTTPRequestEntityTooLarge:
        line = f"the agent's request is larger than {MAX_BODY_BYTES >> 20} MiB"
        raise DeclinedRequest(413, "body", line) from None
    except (ValueError, web.RequestPayloadError):  # not JSON, or not compressed as it says
        body = None
    if not isinstance(body, dict):
        raise DeclinedRequest(400, "body", "the agent's request is not a JSON object")
    return body
