"""Where settings come from: `--config`, then pyproject.toml, then config.yaml, then defaults.

Snakemake passes on config.yaml already updated with `--config`. Applying the section to that and then `--config`
once more gives the same result as applying all three in order. Light imports: the
command line starts with this.
"""

from __future__ import annotations

import copy
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ai_dev_tools.benchmark._util.json_values import JsonObject, JsonValue
from ai_dev_tools.benchmark.config.as_written import parse_value
from ai_dev_tools.benchmark.errors import ConfigurationError

COMMAND_LINE = "--config"
SECTION = "pyproject.toml"
CONFIG_FILE = "config/config.yaml"
DEFAULT = "default"

SECTION_NAME = "tool.ai-dev-tools.benchmark"
_OLD_INSTANCE_KEYS = ("model", "host", "port", "max_concurrent")


@dataclass(frozen=True)
class Merged:
    """All settings together, and where each came from, by dotted name."""

    settings: JsonObject
    sources: dict[str, str]


def merge(
    config: Mapping[str, JsonValue], section: Mapping[str, JsonValue], overrides: Mapping[str, JsonValue]
) -> Merged:
    """Apply the section to the config file, and then the command line to both.

    Args:
        config: the content of config.yaml; it may already be updated with `overrides`.
        section: the table `[tool.ai-dev-tools.benchmark]` as written, including old names.
        overrides: the settings of `--config` and `--configfile`.

    Raises:
        ConfigurationError: the profiles of the config or of the section are not tables.
    """
    settings: JsonObject = copy.deepcopy(dict(config))
    sources = dict.fromkeys(leaves(settings), CONFIG_FILE)
    plain, profiles = translate(section, _profiles(settings))
    update(settings, plain)
    sources |= dict.fromkeys(leaves(plain), SECTION)
    for name, profile in profiles.items():
        settings["profiles"] = {**_profiles(settings), name: profile}
        prefix = f"profiles.{name}."
        before = {key for key in sources if key.startswith(prefix)}
        for key in before:
            del sources[key]
        for key in leaves(profile, prefix):
            mine = key.startswith(f"{prefix}instances.") or key == f"{prefix}samples"
            sources[key] = SECTION if mine or key not in before else CONFIG_FILE
    update(settings, overrides)
    given = set(leaves(overrides))
    sources = {key: COMMAND_LINE if key in given else source for key, source in sources.items()}
    sources |= dict.fromkeys(given, COMMAND_LINE)
    _drop_instances(settings)
    present = set(leaves(settings))
    return Merged(settings, {key: source for key, source in sorted(sources.items()) if key in present})


def translate(
    section: Mapping[str, JsonValue], base_profiles: Mapping[str, JsonValue]
) -> tuple[JsonObject, dict[str, JsonObject]]:
    """The section with today's names.

    The settings to apply, and the profiles that replace those with the same name.

    `ollama_profiles` lists all instances of a profile, so the profile no longer inherits any; its other settings stay.

    Raises:
        ConfigurationError: `ollama_profiles` or `sample_sizes` do not have the structure of the previous system.
    """
    plain: JsonObject = {
        key: copy.deepcopy(value) for key, value in section.items() if key not in ("ollama_profiles", "sample_sizes")
    }
    listed = _table(section, "ollama_profiles")
    sizes = _table(section, "sample_sizes")
    own = _table(section, "profiles")
    for name in own:
        _table(own, name, "profiles.")
    profiles: dict[str, JsonObject] = {}
    for name, instances in listed.items():
        profiles[name] = flatten(name, base_profiles) | {"extends": None, "instances": _instances(name, instances)}
    for name, samples in sizes.items():
        if name in profiles:
            profiles[name]["samples"] = samples
        else:
            update(plain, {"profiles": {name: {"samples": samples}}})
    return plain, profiles


def flatten(name: str, profiles: Mapping[str, JsonValue], seen: Sequence[str] = ()) -> JsonObject:
    """A profile's own and inherited settings, without instances; empty if the profile does not exist."""
    profile = profiles.get(name)
    if not isinstance(profile, Mapping) or name in seen:
        return {}
    parent = flatten(str(profile.get("extends")), profiles, (*seen, name)) if profile.get("extends") else {}
    own = {key: copy.deepcopy(value) for key, value in profile.items() if key not in ("extends", "instances")}
    return parent | own


def read_section(root: Path) -> JsonObject:
    """The section of the folder's pyproject.toml; empty if there is none.

    Raises:
        ConfigurationError: the file is not TOML.
    """
    return read_section_of(root / SECTION)


def read_section_of(path: Path) -> JsonObject:
    """The section of a TOML file; empty if the file or section does not exist.

    Raises:
        ConfigurationError: the file is not TOML, or the section is not a table.
    """
    try:
        section: JsonValue = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigurationError(f"cannot read {path}: {error}") from None
    for part in SECTION_NAME.split("."):
        section = section.get(part, {}) if isinstance(section, dict) else None
    if not isinstance(section, dict):
        raise ConfigurationError(f"{path}: [{SECTION_NAME}] is not a table of settings")
    return section


def load_settings(root: Path, overrides: Mapping[str, JsonValue]) -> Merged:
    """The settings of a workflow folder, as a run there would see them.

    Raises:
        ConfigurationError: a file cannot be read.
    """
    from ai_dev_tools.benchmark.config.parsing import read_settings  # takes 0.1 s

    return merge(read_settings(root / CONFIG_FILE), read_section(root), overrides)


def effective_settings(settings: Mapping[str, JsonValue], overrides: Mapping[str, JsonValue], root: Path) -> JsonObject:
    """The settings that the workflow uses.

    Snakemake's config, with the section between the file and the command line.
    """
    return merge(settings, read_section(root), overrides).settings


def parse_overrides(pairs: Sequence[str]) -> JsonObject:
    """Parse `KEY=VALUE` pairs, with each value as it was typed.

    What Snakemake reads as a number may be a name.

    Raises:
        ConfigurationError: no `=`, or a key that Snakemake would refuse.
    """
    found: JsonObject = {}
    for pair in pairs:
        key, separator, text = pair.partition("=")
        if not separator or not re.fullmatch(r"[a-zA-Z_][\w-]*\w", key):
            raise ConfigurationError(f"--config {pair}: expected KEY=VALUE, for example --config samples=5")
        update(found, {key: parse_value(text)})
    return found


def update(target: JsonObject, other: Mapping[str, JsonValue]) -> None:
    """Update `target` with `other` in place: tables are merged, everything else is replaced."""
    for key, value in other.items():
        inner = target.get(key)
        if isinstance(value, Mapping) and isinstance(inner, dict):
            update(inner, value)
        else:
            target[key] = copy.deepcopy(dict(value) if isinstance(value, Mapping) else value)


def leaves(settings: Mapping[str, JsonValue], prefix: str = "") -> JsonObject:
    """All values that are not tables, by their dotted names."""
    found: JsonObject = {}
    for key, value in settings.items():
        if isinstance(value, Mapping) and value:
            found |= leaves(value, f"{prefix}{key}.")
        else:
            found[f"{prefix}{key}"] = value
    return found


def _drop_instances(settings: JsonObject) -> None:
    """Remove instances that are set to null; a file on top of another could not remove them otherwise.

    In a profile that extends another one the null stays, because the other one may have an instance of that name.
    """
    for profile in _profiles(settings).values():
        instances = profile.get("instances") if isinstance(profile, dict) else None
        if isinstance(profile, dict) and isinstance(instances, dict) and not profile.get("extends"):
            profile["instances"] = {name: value for name, value in instances.items() if value is not None}


def _profiles(settings: Mapping[str, JsonValue]) -> Mapping[str, JsonValue]:
    profiles = settings.get("profiles") or {}
    if not isinstance(profiles, Mapping):
        raise ConfigurationError("config: 'profiles' is not a table with one entry per profile")
    return profiles


def _table(section: Mapping[str, JsonValue], key: str, parents: str = "") -> Mapping[str, JsonValue]:
    value = section.get(key, {})
    if not isinstance(value, Mapping):
        entries = "settings" if parents else "one entry per profile"
        raise ConfigurationError(f"{SECTION}: [{SECTION_NAME}.{parents}{key}] is not a table with {entries}")
    return value


def _instances(profile: str, listed: JsonValue) -> JsonObject:
    where = f"{SECTION}: [{SECTION_NAME}.ollama_profiles] {profile}"
    if not isinstance(listed, list) or not listed:
        raise ConfigurationError(f'{where}: expected a list like [{{ name = "small", model = "llama3.2:1b" }}]')
    found: JsonObject = {}
    for number, item in enumerate(listed, start=1):
        if not isinstance(item, Mapping) or not {"name", "model"} <= item.keys():
            raise ConfigurationError(f"{where}: entry {number} needs 'name' and 'model'")
        if unknown := [key for key in item if key not in ("name", *_OLD_INSTANCE_KEYS)]:
            raise ConfigurationError(f"{where}: entry {number} has unknown key '{unknown[0]}'")
        if item["name"] in found:
            raise ConfigurationError(f"{where}: two entries are named '{item['name']}'")
        found[str(item["name"])] = {key: item[key] for key in _OLD_INSTANCE_KEYS if key in item}
    return found
