"""A server that someone else runs: it is reached, checked, given the model, and left as it was."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from ai_dev_tools.benchmark._util.addresses import host_url
from ai_dev_tools.benchmark.endpoints.base import EndpointSpec, ReadyEndpoint, endpoint_kind
from ai_dev_tools.benchmark.endpoints.chat import ChatClient
from ai_dev_tools.benchmark.endpoints.dialects import declared, found_at
from ai_dev_tools.benchmark.endpoints.launching import say
from ai_dev_tools.benchmark.endpoints.ollama_client import OllamaClient
from ai_dev_tools.benchmark.endpoints.probing import ask, is_ollama
from ai_dev_tools.benchmark.errors import ConfigurationError, EndpointConnectionError
from ai_dev_tools.benchmark.records.endpoint_spec import is_url

EMBEDDED = "ai_dev_tools.benchmark.endpoints.embedded"
SERVERS = frozenset(("ollama", "llama-server"))
_SOUNDS_LIKE_SERVER = re.compile("|".join((*SERVERS, EMBEDDED)).encode(), re.IGNORECASE)
_HERE = ("127.0.0.1", "0.0.0.0", "::1", "::", "::ffff:127.0.0.1")


@endpoint_kind("external")
def open_external(spec: EndpointSpec) -> Iterator[ReadyEndpoint]:
    """Reach the server, and its replicas, which must serve the same weights."""
    headers = authorization(spec)
    urls = [find_url(spec), *(url.rstrip("/") for url in spec.replicas)]
    endpoints = [_reach(spec, url, headers) for url in urls]
    first = endpoints[0]
    for other in endpoints[1:]:
        if (other.model_digest, other.version, other.api) != (first.model_digest, first.version, first.api):
            raise ConfigurationError(
                f"{spec.instance}: the replica {other.base_url} serves other weights or another version",
                remedy=f"Pull {spec.model} again on both and run the same server version",
            )
    first.replicas = tuple(urls)
    yield first


def find_url(spec: EndpointSpec) -> str:
    """The URL in the setting, or else the address of an Ollama.

    The latter is OLLAMA_HOST of the environment, or else the instance's host and port.
    """
    if is_url(spec.kind) or spec.api not in (None, OllamaClient.api):
        return spec.base_url
    return host_url(os.environ.get("OLLAMA_HOST", "")) or spec.base_url


def authorization(spec: EndpointSpec) -> dict[str, str]:
    """The header of a server behind a lock; its secret is only ever read from the environment.

    The variable holds a bearer token, or a scheme and credentials: `Basic dXNlcjpwYXNz`.
    """
    if spec.token_env is None:
        return {}
    if not (token := os.environ.get(spec.token_env, "").strip()):
        raise ConfigurationError(
            f"{spec.instance}: the environment variable {spec.token_env} is not set",
            remedy="It must contain the server's key (a bearer token)",
        )
    if not (token.isascii() and token.isprintable()):
        raise ConfigurationError(
            f"{spec.instance}: the environment variable {spec.token_env} contains characters that a header cannot carry",
            remedy="It must contain only the bearer token, in one line of ASCII",
        )
    named = token.lower().startswith(("bearer ", "basic "))
    return {"Authorization": token if named else f"Bearer {token}"}


def _reach(spec: EndpointSpec, url: str, headers: Mapping[str, str]) -> ReadyEndpoint:
    endpoint = find_dialect(spec, url, headers).reach(spec, url, headers)
    endpoint.pid = _local_pid(url)
    return endpoint


def find_dialect(spec: EndpointSpec, url: str, headers: Mapping[str, str]) -> type[ChatClient]:
    """The dialect of the server at this address: what the settings say, else what it answers in.

    Raises:
        EndpointConnectionError, ConfigurationError: nothing is there, or something else.
    """
    if named := declared(spec, url):
        if spec.api is None:
            say(spec.instance, f"{url} ends in /v1, so OpenAI's API is used (api: {named.api})")
        if named is not OllamaClient and is_ollama(url.removesuffix("/v1"), headers):
            say(
                spec.instance,
                f"{url} is an Ollama: its /v1 silently cuts prompts that are longer than its context, and reports less. "
                "Leave out /v1 and `api` to use Ollama's own API",
            )
        return named
    try:
        status, reply = ask("GET", f"{url}/api/version", headers=headers)
    except EndpointConnectionError as error:
        raise EndpointConnectionError(
            f"{spec.instance}: {error}",
            remedy="Start Ollama there, or choose endpoint=container or profile=embedded",
        ) from None
    if isinstance(reply, dict) and "version" in reply:
        return OllamaClient
    found = found_at(url, headers)
    if found is None and status in (401, 403):  # reported when its models are asked for
        return OllamaClient
    if found is None:
        raise ConfigurationError(
            f"{spec.instance}: {url} answers, but is not Ollama (HTTP {status} for /api/version)",
            remedy="Check host and port in the config",
        )
    say(spec.instance, f"{url} does not answer /api/version, so OpenAI's API is used (api: {found.api})")
    return found


def _local_pid(url: str) -> int | None:
    """The process that serves there.

    None unless it is on this machine, can be seen, and is known to serve models.

    What else listens there (a proxy, a tunnel, a container's port) passes requests on, and its use of the machine is not
    the server's.
    """
    parts = urlsplit(url)
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    if parts.hostname not in ("localhost", "127.0.0.1", "::1") or not _may_serve_here():
        return None
    import psutil  # takes 10 ms

    try:
        listening = [c for c in psutil.net_connections("tcp") if c.status == psutil.CONN_LISTEN]
    except psutil.Error:
        return None
    here = {c.pid for c in listening if c.laddr and c.laddr.port == port and c.laddr.ip in _HERE and c.pid}
    return here.pop() if len(here) == 1 and serves_models(min(here)) else None


def _may_serve_here() -> bool:
    """Whether any process of this machine may be a server of models.

    To list the sockets of all processes takes as much CPU as ten requests, in every block; this a tenth of it.
    """
    try:
        pids = [entry.name for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    except OSError:  # not Linux
        return True
    return not pids or any(_command_names_server(pid) for pid in pids)


def _command_names_server(pid: str) -> bool:
    try:
        command, name = _beginning(f"/proc/{pid}/cmdline"), _beginning(f"/proc/{pid}/comm")
    except OSError:  # ended, or hidden from us: then its sockets are, too
        return False
    if not (_SOUNDS_LIKE_SERVER.search(command) or _SOUNDS_LIKE_SERVER.search(name)):
        return False
    return _is_server(os.fsdecode(name).strip(), os.fsdecode(command).split("\0"))


def _beginning(path: str) -> bytes:
    """Of a small file, without what `open` adds: there may be a thousand processes."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return os.read(descriptor, 1 << 16)
    finally:
        os.close(descriptor)


def _is_server(name: str, command: Sequence[str]) -> bool:
    programs = {Path(program).stem.lower() for program in (name, *command[:1])}
    return bool(programs & SERVERS) or EMBEDDED in command


def serves_models(pid: int) -> bool:
    """Whether a process serves models.

    An Ollama (`ollama serve`, its app), llama.cpp's server, or an embedded endpoint of this project.
    """
    import psutil  # takes 10 ms

    try:
        process = psutil.Process(pid)
        command, name = process.cmdline(), process.name()
    except psutil.Error:
        return False
    return _is_server(name, command)
