"""Ask a server who it is and what it serves, and wait until it really answers."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Mapping

import urllib3

from ai_dev_tools.benchmark._util import wire
from ai_dev_tools.benchmark._util.deadline import Deadline, pool
from ai_dev_tools.benchmark._util.json_values import JsonObject, JsonValue
from ai_dev_tools.benchmark._util.model_names import same_model
from ai_dev_tools.benchmark.endpoints.base import ReadyEndpoint
from ai_dev_tools.benchmark.errors import (
    ConfigurationError,
    EndpointConnectionError,
    ModelError,
    StartupTimeoutError,
)

_TIMEOUT = urllib3.Timeout(connect=2.0, read=10.0)
QUICK_TIMEOUT = urllib3.Timeout(connect=1.0, read=2.0)
_POLL_S = 0.2
_MAX_BYTES = 32 << 20
"""Largest reply that is read; `/api/show` of a large model is some megabytes."""


@functools.cache
def _pool() -> urllib3.PoolManager:
    return pool()


def ask(
    method: str,
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    json: object = None,
    timeout: urllib3.Timeout = _TIMEOUT,
    limit_s: float = 40.0,
) -> tuple[int, JsonValue]:
    """One request; the status, and the reply's JSON (None when it is not JSON), secrets hidden.

    Args:
        limit_s: for the whole exchange, unlike `timeout`, which restarts with each read.

    Raises:
        EndpointConnectionError: no answer; the message says whether the name, the connection, TLS or the time failed.
    """
    secrets = wire.Secrets(headers)
    try:
        with Deadline(limit_s):
            reply = _pool().request(
                method, url, headers=dict(headers or {}), json=json, timeout=timeout, preload_content=False
            )
            data = _whole(reply, url)
    except urllib3.exceptions.HTTPError as error:
        raise EndpointConnectionError(f"{url} does not answer ({reason(error)})") from None
    except (ValueError, UnicodeError) as error:
        raise ConfigurationError(f"{url} is not a usable address ({secrets.text(str(error))})") from None
    try:
        return reply.status, secrets.hide(wire.decoded(data))
    except ValueError:
        return reply.status, None


def _whole(reply: urllib3.BaseHTTPResponse, url: str) -> bytes:
    data = bytearray()
    with wire.stream(reply) as chunks:
        for chunk in chunks:
            data += chunk
            if len(data) > _MAX_BYTES:
                reply.close()
                raise EndpointConnectionError(
                    f"{url} answers, but its answer does not end (after {_MAX_BYTES >> 20} MB)"
                )
    reply.release_conn()
    return bytes(data)


def reason(error: Exception) -> str:
    """Why a connection failed, in two or three words."""
    match error:
        case urllib3.exceptions.NameResolutionError():
            return "the host does not resolve"
        case urllib3.exceptions.SSLError():
            return "TLS error: the certificate or protocol is not accepted"
        case urllib3.exceptions.NewConnectionError():
            return "connection refused" if "refused" in str(error) else "no connection"
        case urllib3.exceptions.TimeoutError():
            return "no answer in time"
        case _:
            return "the connection broke"


def is_ollama(base_url: str, headers: Mapping[str, str] | None = None) -> bool:
    """Whether a server with Ollama's API answers there."""
    try:
        status, reply = ask("GET", f"{base_url}/api/version", headers=headers, timeout=QUICK_TIMEOUT, limit_s=8.0)
    except EndpointConnectionError:
        return False
    return status == 200 and isinstance(reply, dict) and "version" in reply


def wait_until_ready(base_url: str, timeout_s: float, has_ended: Callable[[], bool] | None = None) -> None:
    """Return when the server answers `/api/version`; `has_ended()` being true ends the wait early.

    Raises:
        StartupTimeoutError: it does not within the time.
        ModelError: it ended instead.
    """
    deadline = time.monotonic() + timeout_s
    while not is_ollama(base_url):
        if has_ended is not None and has_ended():
            raise ModelError(f"the server for {base_url} ended while starting")
        if time.monotonic() > deadline:
            raise StartupTimeoutError(f"{base_url} was not ready within {timeout_s:g} s")
        time.sleep(_POLL_S)


def installed_models(base_url: str, headers: Mapping[str, str] | None = None) -> dict[str, JsonObject]:
    """What `/api/tags` lists, by tag.

    Raises:
        EndpointConnectionError: the server does not answer as Ollama does.
        ConfigurationError: it wants authentication.
    """
    status, reply = ask("GET", f"{base_url}/api/tags", headers=headers)
    if status in (401, 403):
        raise ConfigurationError(
            f"{base_url} refuses access (HTTP {status})",
            remedy="Name the environment variable that holds the bearer token in the instance's `token_env`",
        )
    if status != 200 or not isinstance(reply, dict) or not isinstance(reply.get("models"), list):
        raise EndpointConnectionError(f"{base_url} answers, but not as Ollama does (HTTP {status} for /api/tags)")
    return _by_name(reply)


def find_model(models: Mapping[str, JsonObject], tag: str) -> JsonObject | None:
    """The listed model that a tag refers to, however it is written: `name` is `library/name:latest`."""
    return models.get(tag) or next((found for name, found in models.items() if same_model(name, tag)), None)


def identify(
    base_url: str,
    kind: str,
    model: str,
    *,
    pid: int | None = None,
    headers: Mapping[str, str] | None = None,
    listed: JsonObject | None = None,
) -> ReadyEndpoint:
    """What the server says of itself and of the model, as a ReadyEndpoint.

    Args:
        listed: what it has just listed of the model; else it is asked.

    Raises:
        ModelError: the server does not have the model.
        EndpointConnectionError, ConfigurationError: it does not answer as Ollama does.
    """
    listed = listed or _listed(base_url, model, headers)
    _, version = ask("GET", f"{base_url}/api/version", headers=headers)
    _, shown = ask("POST", f"{base_url}/api/show", headers=headers, json={"model": model})
    said = version.get("version") if isinstance(version, dict) else None
    return ReadyEndpoint(
        base_url=base_url,
        kind=kind,
        version=str(said or "unknown"),
        model=model,
        model_digest=digest if isinstance(digest := listed.get("digest"), str) else None,
        pid=pid,
        details=_details(listed, shown if isinstance(shown, dict) else {}),
        headers=dict(headers or {}),
    )


def _listed(base_url: str, model: str, headers: Mapping[str, str] | None) -> JsonObject:
    models = installed_models(base_url, headers)
    if (listed := find_model(models, model)) is not None:
        return listed
    there = ", ".join(sorted(models)) or "none"
    raise ModelError(
        f"{base_url} has no model {model!r} (it has: {there})",
        remedy=f"Pull it with: ollama pull {model}",
    )


def _details(listed: Mapping[str, JsonValue], shown: Mapping[str, JsonValue]) -> JsonObject:
    details = {**_table(listed, "details"), **_table(shown, "details")}
    info = _table(shown, "model_info")
    trained = next((value for key, value in info.items() if key.endswith(".context_length")), None)
    return {
        "template": shown.get("template"),
        "quantization": details.get("quantization_level"),
        "parameter_size": details.get("parameter_size"),
        "family": details.get("family"),
        "model_context_length": trained,
        "model_parameters": shown.get("parameters"),
        "size_bytes": listed.get("size"),
        "capabilities": shown.get("capabilities"),
    }


def _table(reply: Mapping[str, JsonValue], key: str) -> JsonObject:
    value = reply.get(key)
    return value if isinstance(value, dict) else {}


def running(base_url: str, model: str, headers: Mapping[str, str] | None = None) -> JsonObject:
    """`context_length` (tokens) and `offload_share` (0..1: part in GPU memory) of the model.

    {} if not loaded.
    """
    status, reply = ask("GET", f"{base_url}/api/ps", headers=headers)
    loaded = find_model(_by_name(reply), model) if status == 200 else None
    if loaded is None:
        return {}
    size, in_gpu = loaded.get("size") or 0, loaded.get("size_vram") or 0
    share = None
    if isinstance(size, int | float) and isinstance(in_gpu, int | float):
        share = in_gpu / size if size else 0.0
    return {"context_length": loaded.get("context_length"), "offload_share": share}


def _by_name(reply: object) -> dict[str, JsonObject]:
    """The models of a listing; what has another form than Ollama's is left out."""
    listed = reply.get("models") if isinstance(reply, dict) else None
    return {str(m.get("name")): m for m in listed if isinstance(m, dict)} if isinstance(listed, list) else {}
