"""The one interface of all endpoint kinds: a spec (plain data), a registry, and a context manager."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from msgspec.structs import replace

from ai_dev_tools.benchmark._util.credentials import problem_of
from ai_dev_tools.benchmark._util.json_values import JsonObject
from ai_dev_tools.benchmark.errors import ConfigurationError
from ai_dev_tools.benchmark.plugins import ENDPOINT_KINDS, SHIPPED_ENDPOINT_KINDS, add_plugin, endpoint_kind
from ai_dev_tools.benchmark.records.endpoint_spec import EndpointSpec, is_url

__all__ = ["EndpointSpec", "ReadyEndpoint", "endpoint_kind", "find_kind", "open_endpoint", "register_kinds_from"]
_OWN_MODULES = "ai_dev_tools.benchmark.endpoints"
REPLAY_OF = "replay of "
"""What the version of a replay begins with; the recorded one follows."""


@dataclass
class ReadyEndpoint:
    """A server that answers and has the model.

    Attributes:
        base_url: `http://host:port`, without a trailing slash; `restart` may change it.
        kind: the kind that serves (never `auto`).
        version: what the server says of its version.
        model, model_digest: tag, and digest of what is served under it.
        pid: the server process on this machine, for CPU and memory accounting; None if it cannot be seen.
        details: template, quantization, parameter_size, family, context_length, model_context_length, offload share,
            settings … if the server reports them.
        replicas: all base URLs that may be asked, `base_url` first.
        headers: sent with every request (holds the bearer token: never record it).
        restarts: how often it was restarted.
        slots: requests that each of `replicas` is known to serve at once; None: it is found out on contact.
        api: dialect in which requests are put.
        told_by: dialect in which the server says what it is and has loaded; a server that a run starts has told in Ollama's.
    """

    base_url: str
    kind: str
    version: str
    model: str
    model_digest: str | None
    pid: int | None = None
    details: JsonObject = field(default_factory=dict)
    replicas: tuple[str, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    restarts: int = 0
    slots: int | None = None
    api: str = "ollama"
    told_by: str = "ollama"
    _restart: Callable[[ReadyEndpoint], None] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        self.replicas = self.replicas or (self.base_url,)

    @property
    def can_restart(self) -> bool:
        """Whether the server was started by this run, so that this run may restart it."""
        return self._restart is not None

    def restart(self) -> None:
        """Stop the server and start it again; updates `base_url`, `pid` and `restarts` in place.

        Raises:
            ConfigurationError: the server is not ours to restart.
            StartupTimeoutError: it does not come back.
        """
        if self._restart is None:
            raise ConfigurationError(
                f"the {self.kind} endpoint {self.base_url} was not started here and is not restarted"
            )
        self._restart(self)
        self.restarts += 1


Opener = Callable[[EndpointSpec], AbstractContextManager[ReadyEndpoint]]


def register_kinds_from(file: str | Path) -> None:
    """Load a plugin file, whose `@endpoint_kind` functions are then available.

    Raises:
        ConfigurationError: there is no such file, or it fails to import.
    """
    add_plugin(str(file))


def find_kind(spec: EndpointSpec) -> Opener:
    """The function that opens this spec.

    Raises:
        ConfigurationError: no such kind; the message names those that exist.
    """
    if spec.kind_file:
        register_kinds_from(spec.kind_file)
    name = "external" if is_url(spec.kind) else spec.kind
    if name not in ENDPOINT_KINDS and name in SHIPPED_ENDPOINT_KINDS:
        importlib.import_module(f"{_OWN_MODULES}.{name}")
    if name not in ENDPOINT_KINDS:
        known = ", ".join(sorted({*SHIPPED_ENDPOINT_KINDS, *ENDPOINT_KINDS}))
        raise ConfigurationError(
            f"{spec.instance}: unknown endpoint {spec.kind!r}", remedy=f"Use one of {known}, or a URL"
        )
    return ENDPOINT_KINDS[name].function


@contextmanager
def open_endpoint(spec: EndpointSpec) -> Iterator[ReadyEndpoint]:
    """Start or reach the endpoint, wait until it truly answers and has the model, and clean up at the end.

    Raises:
        ConfigurationError, StartupTimeoutError, ModelError, EndpointConnectionError: one line with what to do.
    """
    _refuse_credentials(spec.instance, spec.kind, spec.host, *spec.replicas)
    opener = find_kind(spec)
    with opener(spec) as endpoint:
        _refuse_credentials(spec.instance, *endpoint.replicas)
        if spec.api and endpoint.kind != "replay":  # which replays what was recorded, in the dialect of the recording
            endpoint.api = spec.api
        yield endpoint


def _refuse_credentials(instance: str, *addresses: str) -> None:
    for address in addresses:
        if problem := problem_of(address):
            raise ConfigurationError(f"{instance}: the address of its server: {problem}")


def with_kind(spec: EndpointSpec, kind: str) -> EndpointSpec:
    """The same instance, served by another kind."""
    return replace(spec, kind=kind)
