"""Refuse user names and passwords in addresses of servers.

They are refused in settings, and removed from texts that are kept.

A setting travels far (jobs, plans, archives, error messages), so a secret in one is stored in a dozen places. It belongs
in an environment variable, which `server.token_env` names.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

REMEDY = "Put it into an environment variable, as `Bearer …` or `Basic …`, and name that one in server.token_env"
_IN_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*://)[^\s\"'<>]*@")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def without_passwords(text: str) -> str:
    """A text without the user names and passwords that addresses of servers in it may hold."""
    return _IN_ADDRESS.sub(r"\1", text)


def problem_of(address: object) -> str | None:
    """Why an address of a server cannot be taken because it may hold a secret, without showing it.

    None if it can.
    """
    if not isinstance(address, str):
        return None
    if "@" in address:
        return f"it holds a user name or password, which would be stored with every result. {REMEDY}"
    if "://" in address and ("?" in address or "#" in address):
        return f"an address of a server has no `?` and no `#`. If that is a secret: {REMEDY}"
    return None


def problem_of_variable(name: object) -> str | None:
    """Why a text is not a name of an environment variable, or looks like a key itself, without showing it.

    None if it is one.
    """
    if not isinstance(name, str) or (_VARIABLE.fullmatch(name) and not _looks_secret(name)):
        return None
    return (
        "it is not the name of an environment variable. Never write a key into the settings: export it, and name that"
    )


def _looks_secret(name: str) -> bool:
    """Long, with small and with large letters or digits: names of variables are not like that, keys are."""
    return len(name) > 20 and re.search(r"[a-z]", name) is not None and re.search(r"[A-Z0-9]", name) is not None


def secrets_in_settings(settings: Mapping[str, object]) -> list[str]:
    """A line for each setting that may hold a secret. Looks before types are checked, which shows values."""
    addresses = [f"'{place}': {problem}" for place, address in _addresses(settings) if (problem := problem_of(address))]
    names = [f"'{place}': {problem}" for place, name in _variables(settings) if (problem := problem_of_variable(name))]
    return addresses + names


def _addresses(settings: Mapping[str, object]) -> Iterator[tuple[str, object]]:
    yield "endpoint", settings.get("endpoint")
    for name, profile in _items(settings.get("profiles")):
        yield f"profiles.{name}.endpoint", profile.get("endpoint")
        for key, instance in _items(profile.get("instances")):
            where = f"profiles.{name}.instances.{key}"
            yield f"{where}.host", instance.get("host")
            yield f"{where}.base_url", instance.get("base_url")
            replicas = instance.get("replicas")
            for replica in replicas if isinstance(replicas, list | tuple) else [replicas]:
                yield f"{where}.replicas", replica


def _variables(settings: Mapping[str, object]) -> Iterator[tuple[str, object]]:
    if isinstance(server := settings.get("server"), Mapping):
        yield "server.token_env", server.get("token_env")
    for name, profile in _items(settings.get("profiles")):
        for key, instance in _items(profile.get("instances")):
            yield f"profiles.{name}.instances.{key}.key_env", instance.get("key_env")


def _items(value: object) -> Iterator[tuple[object, Mapping[str, object]]]:
    if isinstance(value, Mapping):
        yield from ((key, item) for key, item in value.items() if isinstance(item, Mapping))
