"""Batches: a named set of profiles and a sample count, run as one and reported together."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Annotated

from pydantic import Field, PositiveFloat, PositiveInt

from ai_dev_tools.benchmark._util.json_values import JsonObject, JsonValue
from ai_dev_tools.benchmark.config.as_written import spell
from ai_dev_tools.benchmark.config.parsing import StrictModel, nearest, parse_settings
from ai_dev_tools.benchmark.errors import ConfigurationError


class Batch(StrictModel):
    """What a batch runs. Its nominal time is only compared with the estimate; it is not a limit."""

    description: str = Field(default="", description="for people")
    profiles: Annotated[tuple[str, ...], Field(min_length=1)] = Field(description="hardware profiles, smallest first")
    samples: PositiveInt = Field(description="samples per approach")
    tasks: tuple[str, ...] | None = Field(default=None, description="task ids; default: those of the config")
    nominal_minutes: tuple[PositiveFloat, PositiveFloat] | None = Field(default=None, description="from, to")


BATCHES: dict[str, Batch] = {
    "quick": Batch(description="Fast validation", profiles=("light",), samples=2, nominal_minutes=(5, 10)),
    "standard": Batch(description="Regular benchmarking", profiles=("medium",), samples=8, nominal_minutes=(15, 30)),
    "comprehensive": Batch(description="Thorough analysis", profiles=("heavy",), samples=20, nominal_minutes=(45, 90)),
    "scaling": Batch(description="Model scaling comparison", profiles=("light", "medium", "heavy"), samples=5),
}
"""The built-in batches; `batches:` in the config adds others or replaces these."""


def find_batches(settings: Mapping[str, JsonValue]) -> dict[str, Batch]:
    """All batches by name, including those of the settings.

    Raises:
        ConfigurationError: a batch of the settings is not valid.
    """
    own = settings.get("batches") or {}
    if not isinstance(own, Mapping):
        raise ConfigurationError("config: 'batches' is not a table with one entry per batch")
    return BATCHES | {str(name): parse_settings(Batch, data, f"config: batches.{name}") for name, data in own.items()}


def find_batch(settings: Mapping[str, JsonValue], name: str) -> Batch:
    """The batch with this name.

    Raises:
        ConfigurationError: it does not exist, or it names a profile that does not exist.
    """
    batches = find_batches(settings)
    if name not in batches:
        raise ConfigurationError(f"unknown batch '{name}', {nearest(name, batches)}")
    profiles = settings.get("profiles")
    known = profiles if isinstance(profiles, Mapping) else {}
    for profile in batches[name].profiles:
        if profile not in known:
            raise ConfigurationError(f"batch '{name}' names unknown profile '{profile}', {nearest(profile, known)}")
    return batches[name]


def apply_batch(settings: Mapping[str, JsonValue], overrides: Mapping[str, JsonValue]) -> JsonObject:
    """The settings with those of the batch that `batch` names; the command line wins over the batch.

    Args:
        overrides: the settings of the command line.

    Raises:
        ConfigurationError: no such batch.
    """
    applied: JsonObject = copy.deepcopy(dict(settings))
    if not applied.get("batch"):
        return applied
    batch = find_batch(settings, spell(applied["batch"]))
    given: JsonObject = {"profile": batch.profiles[0], "samples": batch.samples}
    if batch.tasks:
        given["tasks"] = list(batch.tasks)
    return applied | {key: value for key, value in given.items() if key not in overrides}
