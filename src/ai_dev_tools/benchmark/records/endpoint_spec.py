"""How a model instance is to be served. Light imports: block jobs use this module."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from ai_dev_tools.benchmark._util.addresses import join
from ai_dev_tools.benchmark._util.json_values import JsonObject, JsonValue
from ai_dev_tools.benchmark.errors import ConfigurationError

IMAGE_DIGESTS = "resources/images.json"
"""The file that remembers each container image's digest from its first use on."""


class EndpointSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How one model instance is to be served. Travels to a job as JSON, inside its block.

    The order of the fields is that of the JSON: Snakemake runs a block again when its text changes.

    Attributes:
        image: image reference of the container kind, its tag pinned.
        gpus: what the container may use of GPUs, as `docker run --gpus` takes it.
        models_dir: folder (process) or volume name (container) that keeps pulled models.
        token_env: name of the environment variable that holds a bearer token; the token itself is never stored.
        environment: extra environment of a server started here.
        cache_prompt: let the server keep prompt prefixes (a declared warm-cache condition; embedded and process).
        kind: one of `plugins.SHIPPED_ENDPOINT_KINDS`, one that a plugin registered, or the base URL of a running server.
        instance: name of the instance in the config, used in messages.
        model: model tag, as the server knows it.
        host, port: where the instance is served; port 0 picks a free one (embedded only).
        num_ctx: context length in tokens.
        max_concurrent: requests that are in flight at most; also the slots of a server started here.
        startup_timeout_s: how long a server may take until it truly answers, pulling a model excluded.
        replicas: further base URLs that serve the same model.
        memory_gb: memory that a server started here needs; a start that would exceed the free memory waits.
        kind_file: Python file that registers custom kinds.
        log_dir: where server logs are kept; default: a temporary folder, removed after a clean run.
        model_file: weights of the embedded kind; default: the catalogue's for this model, below `resources/`.
        model_sha256, model_size_bytes: the expected values; None: not pinned, and the actual ones are recorded.
        replay_from: samples folder of the replay kind.
        api: dialect in which requests are put, `ollama` or `openai`; None: by the address, else found out on contact.
    """

    image: str | None = None
    gpus: str | None = None
    models_dir: str | None = None
    token_env: str | None = None
    environment: dict[str, str] = {}
    cache_prompt: bool = False
    kind: str = "embedded"
    instance: str = "small"
    model: str = "smollm2:135m"
    host: str = "127.0.0.1"
    port: int = 0
    num_ctx: int = 8192
    max_concurrent: int = 1
    startup_timeout_s: float = 180.0
    replicas: tuple[str, ...] = ()
    memory_gb: float | None = None
    kind_file: str | None = None
    log_dir: str | None = None
    model_file: str | None = None
    model_sha256: str | None = None
    model_size_bytes: int | None = None
    replay_from: str | None = None
    api: str | None = None

    def to_dict(self) -> JsonObject:
        """JSON-serialisable form; `EndpointSpec.from_dict` is its inverse."""
        data: JsonObject = msgspec.to_builtins(self)
        # earlier versions did not write this field, and a block whose text changes runs again
        return {name: value for name, value in data.items() if value is not None or name != "api"}

    @classmethod
    def from_dict(cls, data: Mapping[str, JsonValue]) -> EndpointSpec:
        """Raises ConfigurationError on a field that does not exist or holds something else."""
        try:
            return msgspec.convert(data, cls)
        except msgspec.ValidationError as error:
            raise ConfigurationError(f"endpoint settings: {error}".replace("`", "'")) from None

    @property
    def base_url(self) -> str:
        """Where the instance is expected: the URL in `kind` if there is one, else host and port."""
        if is_url(self.kind):
            return self.kind.rstrip("/")
        return f"http://{join(self.host, self.port)}"


def is_url(kind: str) -> bool:
    """Whether an endpoint setting is the address of a server rather than the name of a kind."""
    return kind.startswith(("http://", "https://"))
