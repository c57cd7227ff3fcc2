"""How replies are framed and errors are sent: in both cases as Ollama does."""

from __future__ import annotations

import json

import aiohttp
from aiohttp import web

from ai_dev_tools.benchmark._util.json_values import JsonObject
from ai_dev_tools.benchmark.endpoints.embedded.admission import Handler
from ai_dev_tools.benchmark.endpoints.embedded.llama import BusyError
from ai_dev_tools.benchmark.endpoints.embedded.ollama_api import ApiError
from ai_dev_tools.benchmark.errors import ModelError

_PLAIN = {"Content-Type": "text/plain"}


@web.middleware
async def errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except ApiError as error:
        return web.json_response({"error": error.message}, status=error.status)
    except BusyError:
        message = "server busy, please try again.  maximum pending requests exceeded"
        return web.json_response({"error": message}, status=503)
    except (ModelError, aiohttp.ClientError) as error:
        return web.json_response({"error": str(error) or type(error).__name__}, status=500)
    except web.HTTPNotFound:
        return web.Response(status=404, body=b"404 page not found", headers=_PLAIN)
    except web.HTTPMethodNotAllowed as error:
        allowed = {"Allow": error.headers["Allow"]}
        return web.Response(status=405, body=b"405 method not allowed", headers=_PLAIN | allowed)
    except web.HTTPException as error:
        return web.json_response({"error": error.reason}, status=error.status)
    except RecursionError:
        return web.json_response({"error": "invalid JSON: exceeded max depth"}, status=400)


def stream_error(error: ApiError) -> web.Response:
    """An error instead of a stream, which Ollama also sends without a length."""
    headers = {"Content-Type": "application/json"}
    response = web.Response(status=error.status, body=line_of({"error": error.message}), headers=headers)
    response.enable_chunked_encoding()
    return response


def plain_json(content: JsonObject, status: int = 200) -> web.Response:
    """A reply of the OpenAI-style paths, which Ollama sends without a charset."""
    return web.Response(status=status, body=json.dumps(content).encode(), headers={"Content-Type": "application/json"})


def openai_error(status: int, message: str) -> web.Response:
    """An error of the OpenAI-style paths."""
    about = {"message": message, "type": "not_found_error", "param": None, "code": None}
    return plain_json({"error": about}, status)


def large(content: JsonObject) -> web.Response:
    """A reply that is so large that Ollama sends it without a length."""
    response = web.json_response(content)
    response.enable_chunked_encoding()
    return response


async def start_lines(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
    await response.prepare(request)
    return response


async def send_lines(request: web.Request, items: list[JsonObject]) -> web.StreamResponse:
    response = await start_lines(request)
    for item in items:
        await response.write(line_of(item))
    await response.write_eof()
    return response


def line_of(item: JsonObject) -> bytes:
    return json.dumps(item, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
