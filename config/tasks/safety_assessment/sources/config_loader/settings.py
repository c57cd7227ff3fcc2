"""Settings of a plugin host: YAML files of users, layered, with includes and placeholders."""

from __future__ import annotations

import importlib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

PLACEHOLDER = re.compile(r"\$\{([a-z_]+(?:\.[a-z_]+)*)\}")
PASSWORD_FIELD = "password"
DRIVERS = {"csv": "drivers.csv_driver", "parquet": "drivers.parquet_driver", "sql": "drivers.sql_driver"}
TOKEN_URL = "https://login.example/oauth/token"


class SettingsError(ValueError):
    pass


class Loader(yaml.SafeLoader):
    """SafeLoader with one more tag: !size 10MB."""


def _size(loader: Loader, node: yaml.Node) -> int:
    match = re.fullmatch(r"([0-9]+)(k|M|G)?B?", loader.construct_scalar(node))
    if match is None:
        raise SettingsError(f"not a size: {node.value}")
    return int(match[1]) * {None: 1, "k": 10**3, "M": 10**6, "G": 10**9}[match[2]]


Loader.add_constructor("!size", _size)


def read(path: Path) -> dict[str, Any]:
    with path.open(encoding="utf-8") as handle:
        data = yaml.load(handle, Loader=Loader)
    if not isinstance(data, dict):
        raise SettingsError(f"{path}: a mapping is expected")
    return data


def merge(low: Mapping[str, Any], high: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(low)
    for key, value in high.items():
        old = merged.get(key)
        merged[key] = merge(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return merged


def lookup(settings: Mapping[str, Any], dotted: str) -> Any:
    value: Any = settings
    for part in dotted.split("."):
        value = value[part]
    return value


def expand(value: Any, settings: Mapping[str, Any]) -> Any:
    if isinstance(value, dict):
        return {key: expand(item, settings) for key, item in value.items()}
    if isinstance(value, list):
        return [expand(item, settings) for item in value]
    if isinstance(value, str):
        return PLACEHOLDER.sub(lambda match: str(lookup(settings, match[1])), value)
    return value


def driver(settings: Mapping[str, Any]) -> Any:
    """The module that reads the user's data."""
    name = settings.get("driver", "csv")
    try:
        return importlib.import_module(DRIVERS[name])
    except KeyError:
        raise SettingsError(f"driver {name!r} is none of {sorted(DRIVERS)}") from None


def public(settings: Mapping[str, Any]) -> dict[str, Any]:
    """For the log and the support page."""
    hidden = {PASSWORD_FIELD, "token", "secret"}
    return {
        key: "***" if key in hidden else public(value) if isinstance(value, dict) else value
        for key, value in settings.items()
    }


def load(user_file: Path, site_file: Path = Path("/etc/host/site.yaml")) -> dict[str, Any]:
    settings = merge(read(site_file) if site_file.exists() else {}, read(user_file))
    settings.setdefault("scratch", os.environ.get("SCRATCH", "scratch"))
    return expand(settings, settings)
