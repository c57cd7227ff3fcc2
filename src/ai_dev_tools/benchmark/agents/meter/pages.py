"""Requests that the meter answers itself: about the model, or because they are refused."""

from __future__ import annotations

import asyncio

import aiohttp
from aiohttp import web

from ai_dev_tools.benchmark._util import wire
from ai_dev_tools.benchmark._util.json_values import JsonObject, JsonValue
from ai_dev_tools.benchmark.agents.meter.episode_account import EpisodeAccount
from ai_dev_tools.benchmark.agents.meter.request_rules import CHAT, DeclinedRequest, require_model

SHOW = "/api/show"
CREATED = 1_700_000_000
"""Creation time of a model, for a field that clients expect."""


def own_page(path: str, account: EpisodeAccount) -> web.Response:
    """What the meter says about itself: it has one model, whatever else the server has."""
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


def loaded(path: str, account: EpisodeAccount) -> web.Response:
    """The answer to a request that only has the model loaded, or unloaded."""
    empty: JsonObject = {"message": {"role": "assistant", "content": ""}} if path == CHAT else {"response": ""}
    return web.json_response({"model": account.rules.model, "done": True, "done_reason": "load"} | empty)


async def model_description(
    client: aiohttp.ClientSession, body: JsonObject, account: EpisodeAccount
) -> web.StreamResponse:
    """What the model's server says about the model, without the server's key."""
    require_model({"model": body.get("model") or body.get("name")}, account.rules)
    root, headers = account.upstream.ollama_root(SHOW), dict(account.upstream.headers)
    sent, hidden = {"model": account.rules.model}, wire.Secrets(headers)
    try:
        async with (
            asyncio.timeout(max(0.0, account.seconds_left)),
            client.post(f"{root}{SHOW}", json=sent, headers=headers, allow_redirects=False) as reply,
        ):
            status, data = reply.status, await _whole(reply.content)
        said = hidden.hide(wire.decoded(data))
    except TimeoutError:
        account.out_of_time()
        line = f"the episode's limit of {account.rules.limits.seconds:g} s was reached"
        return refusal(SHOW, DeclinedRequest(403, "limit", line))
    except (aiohttp.ClientError, OSError, ValueError) as error:
        line = hidden.text(f"the model's server does not describe the model: {error or type(error).__name__}")
        return refusal(SHOW, DeclinedRequest(502, "server", line[:1000]))
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


def refusal(path: str, declined: DeclinedRequest, headers: dict[str, str] | None = None) -> web.Response:
    """A refused request, in the words of the API that it came in."""
    error: JsonValue = declined.line
    if path.startswith("/v1"):
        error = {"message": declined.line, "type": "invalid_request_error", "param": None, "code": declined.about}
    return web.json_response({"error": error}, status=declined.status, headers=headers)
