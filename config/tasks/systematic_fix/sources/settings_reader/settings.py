"""Settings of the edge nodes: files, environment, command line; with errors people can read."""

from __future__ import annotations

import ipaddress
import json
import os
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

UNITS = {"s": 1, "m": 60, "h": 3600}


class SettingsError(Exception):
    def __init__(self, where: str, what: str) -> None:
        super().__init__(f"{where}: {what}")
        self.where = where


@dataclass(frozen=True)
class Node:
    name: str
    address: str
    poll: float
    labels: dict[str, str]


def read_file(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise SettingsError(str(path), error.strerror or "unreadable") from error
    try:
        return tomllib.loads(text) if path.suffix == ".toml" else json.loads(text)
    except ValueError as error:
        raise SettingsError(str(path), f"syntax error: {error}")


def seconds(text: str, where: str) -> float:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smh]?)", text)
    if match is None:
        raise SettingsError(where, f"{text!r} is not a duration")
    return float(match[1]) * UNITS[match[2] or "s"]


def address(text: str, where: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise SettingsError(where, f"{text!r} is not an address") from None


class Section:
    def __init__(self, values: Mapping[str, Any], where: str) -> None:
        self.values = values
        self.where = where

    def get(self, key: str, convert: Callable[[Any], Any], default: Any = ...) -> Any:
        try:
            raw = self.values[key]
        except KeyError:
            if default is ...:
                raise SettingsError(self.where, f"{key} is missing")
            return default
        try:
            return convert(raw)
        except SettingsError:
            raise
        except (TypeError, ValueError) as error:
            raise SettingsError(f"{self.where}.{key}", str(error)) from error

    def section(self, key: str) -> Section:
        values = self.values.get(key, {})
        if not isinstance(values, Mapping):
            raise SettingsError(f"{self.where}.{key}", "a table is expected")
        return Section(values, f"{self.where}.{key}")


def labels(text: str, where: str) -> dict[str, str]:
    """'site=north, rack=3' as a dict."""
    try:
        return dict(part.strip().split("=", 1) for part in text.split(",") if part.strip())
    except ValueError:
        message = "labels look like name=value, name=value"
        raise SettingsError(where, message)


def environment(prefix: str = "NODE_") -> dict[str, str]:
    return {key[len(prefix) :].lower(): value for key, value in os.environ.items() if key.startswith(prefix)}


def node(section: Section) -> Node:
    where = section.where
    return Node(
        name=section.get("name", str),
        address=section.get("address", lambda text: address(text, where)),
        poll=section.get("poll", lambda text: seconds(str(text), where), 30.0),
        labels=section.get("labels", lambda text: labels(text, where), {}),
    )


def port(section: Section) -> int:
    try:
        value = int(section.values["port"])
    except (KeyError, ValueError):
        value = 0
    if not 0 < value < 65536:
        raise SettingsError(section.where, "port is missing or out of range")
    return value


def load(path: Path) -> tuple[Node, int]:
    section = Section({**read_file(path), **environment()}, path.name)
    try:
        return node(section), port(section)
    except SettingsError:
        raise
    except Exception as error:
        raise SettingsError(path.name, f"unexpected: {type(error).__name__}")
