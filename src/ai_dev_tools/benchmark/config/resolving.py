"""Profiles with inheritance and defaults applied: what a run asks of each instance."""

from __future__ import annotations

from pathlib import Path

from ai_dev_tools.benchmark._util.model_names import full_name
from ai_dev_tools.benchmark.config.models import ALL, TASK_TIMEOUT_S, Config, Profile, check_endpoint
from ai_dev_tools.benchmark.config.parsing import StrictModel, nearest
from ai_dev_tools.benchmark.errors import ConfigurationError
from ai_dev_tools.benchmark.records.archive_names import path_key
from ai_dev_tools.benchmark.records.paths import safe_model

__all__ = ["ResolvedInstance", "ResolvedProfile", "resolve_profile"]


class ResolvedInstance(StrictModel):
    """An instance with every default filled in."""

    name: str
    model: str
    host: str
    port: int
    max_concurrent: int
    endpoint: str
    replicas: tuple[str, ...]
    memory_gb: float | None
    file: Path | None = None
    api: str | None = None
    key_env: str | None = None


class ResolvedProfile(StrictModel):
    """A profile with inheritance and defaults applied."""

    name: str
    description: str
    best_for: str
    min_ram_gb: float
    min_cores: int
    samples: int
    sizes: tuple[str, ...]
    task_timeout: float
    models: tuple[str, ...]
    instances: tuple[ResolvedInstance, ...]


def resolve_profile(config: Config, name: str) -> ResolvedProfile:
    """A profile with its inherited settings and those of the run applied.

    Raises:
        ConfigurationError: unknown profile, inheritance in a circle, instances that clash, or none.
    """
    merged = _inherit(config, name, seen=())
    endpoint = (config.endpoint or merged.endpoint or "auto").rstrip("/")
    try:
        if not config.every_plugin:
            check_endpoint(endpoint)
    except ValueError as error:
        raise ConfigurationError(f"config: profiles.{name}.endpoint: {error}") from None
    slots = merged.max_concurrent or 4
    instances = tuple(
        ResolvedInstance(
            name=key,
            model=instance.model,
            host=instance.host,
            port=instance.port or 11434,
            max_concurrent=instance.max_concurrent or slots,
            endpoint=(config.endpoint or instance.base_url or "").rstrip("/") or endpoint,
            replicas=instance.replicas,
            memory_gb=instance.memory_gb,
            file=instance.file,
            api=instance.api,
            key_env=instance.key_env,
        )
        for key, instance in merged.instances.items()
        if instance is not None
    )
    _check_instances(name, instances)
    return ResolvedProfile(
        name=name,
        description=merged.description or "",
        best_for=merged.best_for or "",
        min_ram_gb=merged.min_ram_gb or 1,
        min_cores=merged.min_cores or 1,
        samples=config.samples or merged.samples or 3,
        sizes=merged.sizes or ("S", "L"),
        task_timeout=config.task_timeout or merged.task_timeout or TASK_TIMEOUT_S,
        models=config.models or merged.models or (ALL,),
        instances=instances,
    )


def _inherit(config: Config, name: str, seen: tuple[str, ...]) -> Profile:
    if name not in config.profiles:
        raise ConfigurationError(f"unknown profile '{name}', {nearest(name, config.profiles)}")
    if name in seen:
        raise ConfigurationError(f"config: profiles.{name}.extends is circular: {' -> '.join([*seen, name])}")
    profile = config.profiles[name]
    if profile.extends is None:
        return profile
    parent = _inherit(config, profile.extends, (*seen, name))
    own = {field: getattr(profile, field) for field in profile.model_fields_set - {"instances"}}
    return parent.model_copy(update=own | {"instances": parent.instances | profile.instances})


def _check_instances(profile: str, instances: tuple[ResolvedInstance, ...]) -> None:
    if not instances:
        raise ConfigurationError(f"config: profiles.{profile}.instances is empty: name at least one model")
    places: dict[tuple[str, int], str] = {}
    models: dict[str, str] = {}
    for instance in instances:
        place = (instance.host, instance.port)
        own_place = instance.endpoint not in ("embedded", "replay") and "://" not in instance.endpoint
        if place in places and own_place:
            raise ConfigurationError(
                f"config: profiles.{profile}: instances '{places[place]}' and '{instance.name}' share port "
                f"{instance.port}: give each its own, or serve all from one with endpoint=http://host:port"
            )
        names = (full_name(instance.model), path_key(safe_model(instance.model)))
        if twice := next((models[name] for name in names if name in models), None):
            raise ConfigurationError(
                f"config: profiles.{profile}: instances '{twice}' and '{instance.name}' "
                f"both serve {instance.model}: results are stored in a folder per model, so name it once"
            )
        places |= {place: instance.name} if own_place else {}
        models |= dict.fromkeys(names, instance.name)
