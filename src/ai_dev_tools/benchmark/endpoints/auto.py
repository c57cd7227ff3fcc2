"""The best available endpoint: a running Ollama, else `ollama` on PATH, else a container engine."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack

from msgspec.structs import replace

from ai_dev_tools.benchmark._util.addresses import OLLAMA_PORT, host_url, join
from ai_dev_tools.benchmark.endpoints.base import (
    EndpointSpec,
    ReadyEndpoint,
    endpoint_kind,
    find_kind,
    with_kind,
)
from ai_dev_tools.benchmark.endpoints.dialects import found_at
from ai_dev_tools.benchmark.endpoints.external import authorization
from ai_dev_tools.benchmark.endpoints.launching import say
from ai_dev_tools.benchmark.endpoints.ollama_client import OllamaClient
from ai_dev_tools.benchmark.endpoints.probing import is_ollama
from ai_dev_tools.benchmark.errors import BenchmarkError, ConfigurationError

WAYS_OUT = "Start Ollama, or choose endpoint=container with Docker or Podman running, or choose profile=embedded"


@endpoint_kind("auto")
def open_auto(spec: EndpointSpec) -> Iterator[ReadyEndpoint]:
    """Choose a kind and open it."""
    chosen = choose(spec)
    with ExitStack() as stack:
        try:
            endpoint = stack.enter_context(find_kind(chosen)(chosen))
        except BenchmarkError as error:
            if chosen.kind != "container":
                raise
            # The user did not ask for a container, so say why one is used.
            tried = f"tried a running Ollama at {spec.base_url} and `ollama` on PATH, then a container"
            raise type(error)(f"{error.args[0]} ({tried})", remedy=WAYS_OUT) from None
        yield endpoint


def choose(spec: EndpointSpec) -> EndpointSpec:
    """The spec with `auto` replaced by the kind that is available.

    Raises:
        ConfigurationError: none is; the message says what was tried and what to do.
    """
    headers = authorization(spec)
    if spec.api not in (None, OllamaClient.api):  # nobody here starts such a server
        return with_kind(spec, spec.base_url)
    if found := found_at(spec.base_url, headers):
        if found is OllamaClient:  # said, so that it is not asked again
            spec = replace(spec, api=OllamaClient.api)
        return with_kind(spec, spec.base_url)
    named = host_url(os.environ.get("OLLAMA_HOST", ""))
    if named and is_ollama(named, headers):
        return with_kind(spec, named)
    common = f"http://{join(spec.host, OLLAMA_PORT)}"
    hint = f"an Ollama answers at {common}: endpoint={common} serves all instances from it, one model after the other"
    only_common = spec.port != OLLAMA_PORT and is_ollama(common)  # nobody named it: it gets no token
    chosen, engine_problem = ("process", "") if shutil.which("ollama") else _container()
    if chosen is not None:
        if only_common:
            say(spec.instance, hint)
        return with_kind(spec, chosen)
    raise ConfigurationError(
        f"{spec.instance}: nothing serves {spec.model} (tried a running Ollama at {spec.base_url}, `ollama` on PATH, "
        f"and a container engine: {engine_problem})",
        remedy=hint[0].upper() + hint[1:] if only_common else WAYS_OUT,
    )


def _container() -> tuple[str | None, str]:
    """The kind, if a container engine works; else why none does."""
    from ai_dev_tools.benchmark.endpoints.container import find_engine  # takes 20 ms

    try:
        find_engine()
    except ConfigurationError as error:
        return None, str(error.args[0])
    return "container", ""
