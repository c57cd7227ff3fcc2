"""How a profile's instances are served: weights, endpoints, and which of them share a server."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

from ai_dev_tools.benchmark._util.addresses import host_url, join
from ai_dev_tools.benchmark.config.models import Config, ExecutionMode
from ai_dev_tools.benchmark.config.resolving import ResolvedInstance
from ai_dev_tools.benchmark.endpoints.embedded.catalogue import CatalogueModel, Weights, lookup, unknown_model
from ai_dev_tools.benchmark.errors import ConfigurationError, ConfigurationErrors
from ai_dev_tools.benchmark.records import paths
from ai_dev_tools.benchmark.records.endpoint_spec import EndpointSpec, is_url


def find_weights(
    instances: Iterable[ResolvedInstance], catalogue: Mapping[str, CatalogueModel], where: str
) -> dict[str, Weights]:
    """Weights of the models that the embedded endpoint serves, by tag.

    Args:
        where: names the instances' place in messages.

    Raises:
        ConfigurationErrors: one line per instance whose weights nobody knows, or that names a file in vain.
    """
    found: dict[str, Weights] = {}
    lines: list[str] = []
    for instance in instances:
        named = f"{where}.{instance.name}"
        if instance.endpoint != "embedded":
            if instance.file and instance.endpoint != "replay":
                lines.append(f"{named}: only endpoint=embedded serves a `file`, not {instance.endpoint}")
        elif instance.file:
            found[instance.model] = Weights(instance.file)
        elif pinned := lookup(instance.model, catalogue):
            found[instance.model] = pinned.weights
        else:
            lines.append(f"{named}: {unknown_model(instance.model, catalogue)}")
    if lines:
        raise ConfigurationErrors(lines)
    return found


def endpoint_spec(config: Config, profile: str, instance: ResolvedInstance, weights: Weights | None) -> EndpointSpec:
    """How an instance of a profile's run is served."""
    server = config.server
    embedded = instance.endpoint == "embedded"
    return EndpointSpec(
        image=server.image,
        gpus=server.gpus,
        models_dir=server.models_dir,
        token_env=instance.key_env or server.token_env,
        environment=server.environment,
        cache_prompt=server.cache_prompt,
        kind=instance.endpoint,
        instance=instance.name,
        model=instance.model,
        host="127.0.0.1" if embedded else instance.host,
        port=0 if embedded else instance.port,
        num_ctx=config.options.num_ctx,
        max_concurrent=instance.max_concurrent if config.execution_mode is ExecutionMode.ASYNC else 1,
        startup_timeout_s=config.container_startup_timeout,
        replicas=instance.replicas,
        memory_gb=instance.memory_gb,
        kind_file=None,
        log_dir=paths.SERVER_LOGS.format(profile=profile),
        model_file=str(weights.path) if weights else None,
        model_sha256=weights.sha256 if weights else None,
        model_size_bytes=weights.size_bytes if weights else None,
        api=instance.api,
        replay_from=paths.RUN.format(profile=profile.removesuffix(paths.REPLAY)),
    )


def server_of(instance: ResolvedInstance) -> str:
    """The server of an instance.

    Embedded servers share the cores of this machine, so they count as one; `OLLAMA_HOST` makes it one and the same for
    all that take a running Ollama.
    """
    if instance.endpoint == "embedded" or is_url(instance.endpoint):
        return instance.endpoint
    named = os.environ.get("OLLAMA_HOST", "").strip() if instance.endpoint in ("external", "auto") else ""
    try:
        return host_url(named) or join(instance.host, instance.port)
    except ConfigurationError:  # reported when the server is used; other profiles do not need it
        return named
