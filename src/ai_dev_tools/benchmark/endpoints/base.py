"""The one interface of all endpoint kinds: a spec (plain data), a registry, and a context manager."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from ai_dev_tools.benchmark._util.addresses import join
from ai_dev_tools.benchmark._util.credentials import problem_of
from ai_dev_tools.benchmark.errors import ConfigurationError
from ai_dev_tools.benchmark.plugins import ENDPOINT_KINDS, SHIPPED_ENDPOINT_KINDS, add_plugin, endpoint_kind

__all__ = ["EndpointSpec", "ReadyEndpoint", "endpoint_kind", "find_kind", "open_endpoint", "register_kinds_from"]
_OWN_MODULES = "ai_dev_tools.benchmark.endpoints"


@dataclass(frozen=True)
class EndpointSpec:
    """How one model instance is to be served. Plain data, so that it travels to a job as JSON.

    Attributes:
        kind: one of `plugins.SHIPPED_ENDPOINT_KINDS`, one that a plugin registered, or the base URL (`http(s)://…`) of
            a running server.
        instance: name of the instance in the config, used in messages.
        model: model tag, as the server knows it.
        host, port: where the instance is served; port 0 picks a free one (embedded only).
        num_ctx: context length in tokens.
        max_concurrent: requests that are in flight at most; also the slots of a server started here.
        startup_timeout_s: how long a server may take until it truly answers, pulling a model excluded.
        model_file: weights of the embedded kind; default: the catalogue's for this model, below `resources/`.
        model_sha256, model_size_bytes: what they must be; None: not pinned, whatever they hash to is recorded.
        cache_prompt: let the server keep prompt prefixes (a declared warm-cache condition; embedded and process).
        image: image reference of the container kind, its tag pinned.
        image_digests: file that remembers each image's digest from its first use on.
        gpus: what the container may use of GPUs, as `docker run --gpus` takes it.
        memory_gb: memory that a server started here needs; a start that would exceed the free memory waits.
        models_dir: folder (process) or volume name (container) that keeps pulled models.
        token_env: name of the environment variable that holds a bearer token; the token itself is never stored.
        replicas: further base URLs that serve the same model.
        environment: extra environment of a server started here.
        log_dir: where server logs are kept; default: a temporary folder, removed after a clean run.
        kind_file: plugin file that registers the kind.
        replay_from: samples folder of the replay kind.
        api: dialect in which requests are put, `ollama` or `openai`; None: by the address, else found out on contact.
    """

    kind: str = "embedded"
    instance: str = "small"
    model: str = "smollm2:135m"
    host: str = "127.0.0.1"
    port: int = 0
    num_ctx: int = 8192
    max_concurrent: int = 1
    startup_timeout_s: float = 180.0
    model_file: str | None = None
    model_sha256: str | None = None
    model_size_bytes: int | None = None
    cache_prompt: bool = False
    image: str | None = None
    image_digests: str = "resources/images.json"
    gpus: str | None = None
    memory_gb: float | None = None
    models_dir: str | None = None
    token_env: str | None = None
    replicas: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    log_dir: str | None = None
    kind_file: str | None = None
    replay_from: str | None = None
    api: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """JSON-serialisable form; `EndpointSpec.from_dict` is its inverse."""
        return {**asdict(self), "replicas": list(self.replicas), "environment": dict(self.environment)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> EndpointSpec:
        """Raises ConfigurationError on a field that does not exist."""
        if unknown := sorted(set(data) - {f.name for f in fields(cls)}):
            raise ConfigurationError(f"unknown endpoint setting {unknown[0]!r}")
        return cls(**{**data, "replicas": tuple(data.get("replicas", ()))})

    @property
    def base_url(self) -> str:
        """Where the instance is expected: the URL in `kind` if there is one, else host and port."""
        if is_url(self.kind):
            return self.kind.rstrip("/")
        return f"http://{join(self.host, self.port)}"


@dataclass
class ReadyEndpoint:
    """A server that answers and has the model.

    Attributes:
        base_url: `http://host:port`, without a trailing slash; `restart` may change it.
        kind: the kind that serves (never `auto`).
        version: what the server says of its version.
        model, model_digest: tag, and digest of what is served under it.
        pid: the server process on this machine, for CPU and memory accounting; None where it cannot be seen.
        details: template, quantization, parameter_size, family, context_length, model_context_length, offload share,
            settings … as far as the server tells.
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
    details: dict[str, Any] = field(default_factory=dict)
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
        """Whether the server was started by this run, so that this run may start it anew."""
        return self._restart is not None

    def restart(self) -> None:
        """Stop the server and start it anew; updates `base_url`, `pid` and `restarts` in place.

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


def is_url(kind: str) -> bool:
    """Whether an endpoint setting is the address of a server rather than the name of a kind."""
    return kind.startswith(("http://", "https://"))


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
        if spec.api and endpoint.kind != "replay":  # which plays what was recorded, in whatever dialect that was
            endpoint.api = spec.api
        yield endpoint


def _refuse_credentials(instance: str, *addresses: str) -> None:
    for address in addresses:
        if problem := problem_of(address):
            raise ConfigurationError(f"{instance}: the address of its server: {problem}")


def with_kind(spec: EndpointSpec, kind: str) -> EndpointSpec:
    """The same instance, served by another kind."""
    return replace(spec, kind=kind)
