"""Convert the previous system's section of pyproject.toml to a config file of this project.

Writes one new file and nothing else: a config to lay over config/config.yaml (`snakemake --configfile FILE`).
What cannot be converted is reported with the reason; nothing is guessed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from ai_dev_tools.benchmark._util.json_values import JsonObject, JsonValue, table_in
from ai_dev_tools.benchmark.config.models import Config, load_config
from ai_dev_tools.benchmark.config.parsing import read_settings
from ai_dev_tools.benchmark.config.resolving import resolve_profile
from ai_dev_tools.benchmark.config.sources import CONFIG_FILE, SECTION_NAME, merge, read_section_of, translate, update
from ai_dev_tools.benchmark.errors import ConfigurationError

CARRIED = (
    "execution_mode", "output_format", "max_concurrent_batches", "container_startup_timeout", "task_timeout",
    "retry_attempts",
)  # fmt: skip
"""Settings of the previous system that have the same name and meaning here."""
GONE = {
    "container_image": "choose how a model is served with `endpoint:` (container pulls the image it knows)",
    "output_dir": "results are always in results/{profile}",
    "results_dir": "results are always in results/{profile}",
    "max_concurrent_requests": "set `max_concurrent` of a profile or an instance",
}
"""Settings that have no counterpart, and what to do instead."""


@dataclass(frozen=True)
class Migration:
    """The new settings, and one line for each setting that could not be converted."""

    settings: JsonObject
    carried: tuple[str, ...]
    left: tuple[str, ...]

    def yaml(self, source: str) -> str:
        """The file to write."""
        head = f"# Settings converted from [{SECTION_NAME}] in {source}. Use: snakemake --configfile THIS_FILE\n"
        notes = "".join(f"# not carried: {line}\n" for line in self.left)
        return head + notes + yaml.safe_dump(self.settings, sort_keys=False, allow_unicode=True)


def migrate_section(section: Mapping[str, JsonValue], base: Mapping[str, JsonValue]) -> Migration:
    """Translate a section.

    Args:
        base: config.yaml's settings, whose profiles a section's profiles replace, and whose names are known.

    Raises:
        ConfigurationError: `ollama_profiles` or `sample_sizes` do not have the structure of the previous system.
    """
    known = table_in(base.get("profiles"))
    plain, profiles = translate(section, known)
    settings: JsonObject = {}
    left: list[str] = []
    sizes = table_in(plain.pop("profiles", {}))
    for key, value in plain.items():
        if key in CARRIED or key in Config.model_fields:
            if problem := _problem(key, value, base):
                left.append(f"{key} = {value!r}: {problem}")
            else:
                settings[key] = value
        else:
            left.append(f"{key}: {GONE.get(key, 'unknown here; config/README.md lists the settings')}")
    for name, profile in sizes.items():
        if name in known:
            update(settings, {"profiles": {name: profile}})
        else:
            left.append(f"sample_sizes.{name}: ollama_profiles has no profile with that name")
    for name, profile in profiles.items():
        unlisted = dict.fromkeys(table_in(table_in(known.get(name)).get("instances")))
        instances = {**unlisted, **table_in(profile["instances"])}
        update(settings, {"profiles": {name: profile | {"instances": instances}}})
    carried = tuple(key for key in section if key in settings or key in ("ollama_profiles", "sample_sizes"))
    return Migration(settings, carried, tuple(left))


def _problem(key: str, value: JsonValue, base: Mapping[str, JsonValue]) -> str | None:
    """Why a value cannot be used here, or None."""
    try:
        load_config({"profiles": dict(table_in(base.get("profiles"))), key: value}, "here")
    except ConfigurationError as error:
        return str(error).splitlines()[0].removeprefix("here: ")
    return None


def migrate_file(source: Path, root: Path) -> Migration:
    """Translate the section of a pyproject.toml; writes nothing.

    Raises:
        ConfigurationError: the file or section does not exist, or its settings contradict each other.
    """
    if not source.is_file():
        raise ConfigurationError(f"{source} does not exist", remedy="Name the old project's pyproject.toml")
    section = read_section_of(source)
    if not section:
        raise ConfigurationError(f"{source} has no section [{SECTION_NAME}]: there is nothing to migrate")
    base = read_settings(root / CONFIG_FILE)
    migration = migrate_section(section, base)
    config = load_config(merge(base, {}, migration.settings).settings, f"{source}, migrated")
    for name in table_in(migration.settings.get("profiles")):
        resolve_profile(config, name)
    return migration
