"""Addresses of servers, in every form that Ollama accepts.

They come from `OLLAMA_HOST`, an instance's `host`, and base URLs.

Light imports: the command line uses this.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

from ai_dev_tools.benchmark._util.credentials import problem_of
from ai_dev_tools.benchmark.errors import ConfigurationError

OLLAMA_PORT = 11434
_HOST = re.compile(r"[^\s/\\?#@\[\]<>\"']*")
_DEFAULT_PORTS = {"http": 80, "https": 443}
_REACHED_AT = {"0.0.0.0": "127.0.0.1", "::": "::1"}


@dataclass(frozen=True)
class Address:
    """Where a server is. Scheme and port are None if the text names none; a path begins with a slash."""

    scheme: str | None
    host: str
    port: int | None
    path: str = ""

    @property
    def url(self) -> str:
        """The base URL, without a trailing slash; the default port is Ollama's, or with a scheme the scheme's."""
        default = _DEFAULT_PORTS[self.scheme] if self.scheme else OLLAMA_PORT
        return f"{self.scheme or 'http'}://{join(self.host, self.port or default)}{self.path}"


def join(host: str, port: int) -> str:
    """`host:port`, an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def parse_address(text: str, setting: str) -> Address | None:
    """What an address means to Ollama: scheme, host and port may be left out; None for an empty text.

    Args:
        setting: what holds the text, for messages.

    Raises:
        ConfigurationError: it is not an address. Ollama would silently take its default port for a wrong one.
    """
    given = text.strip().strip("\"'").strip()
    if not given:
        return None
    if problem := problem_of(given):
        raise ConfigurationError(f"{setting}: {problem}")
    named, separator, rest = given.partition("://")
    scheme, rest = (named.lower(), rest) if separator else (None, given)
    if scheme is not None and scheme not in _DEFAULT_PORTS:
        raise _wrong(setting, given, f"{scheme}:// is not http:// or https://")
    place, _, path = rest.partition("/")
    host, port_text = _split(place)
    if host is None or not _HOST.fullmatch(host):
        raise _wrong(setting, given, "the host is malformed")
    port = _port(port_text, setting, given)
    path = path.strip("/")
    return Address(scheme, _shortest(host) or "127.0.0.1", port, f"/{path}" if path else "")


def ends_in_v1(url: str) -> bool:
    """Whether an address is where servers that speak OpenAI's API have it."""
    return url.rstrip("/").endswith("/v1")


def is_this_machine(host: str) -> bool:
    """Whether a host is this machine by its very name; a tunnel may lead from there to anywhere."""
    name = host.lower().strip("[]").rstrip(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    return _is_ip(name) and (ipaddress.ip_address(name).is_loopback or ipaddress.ip_address(name).is_unspecified)


def host_url(text: str, setting: str = "OLLAMA_HOST") -> str | None:
    """The base URL at which a server with this `OLLAMA_HOST` is reached; None if it is empty.

    Raises:
        ConfigurationError: as `parse_address`.
    """
    address = parse_address(text, setting)
    if address is None:
        return None
    return Address(address.scheme, _REACHED_AT.get(address.host, address.host), address.port, address.path).url


def _split(place: str) -> tuple[str | None, str]:
    """Host and port of `host`, `host:port`, `[::1]`, `[::1]:port`, `::1` or `:port`.

    No host where it is malformed.
    """
    if place.startswith("["):
        inside, closed, after = place[1:].partition("]")
        return (inside if closed and after[:1] in ("", ":") and ":" in inside else None), after[1:]
    if place.count(":") > 1:
        return (place if _is_ip(place) else None), ""
    host, _, port = place.partition(":")
    return host, port


def _port(text: str, setting: str, given: str) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= 65535):
        raise _wrong(setting, given, f"the port must be 1 to 65535, not {text[:20]!r}")
    return int(text)


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _shortest(host: str) -> str:
    """A host as it is compared: addresses in their shortest form, names in lower case."""
    return str(ipaddress.ip_address(host)) if _is_ip(host) else host.lower()


def _wrong(setting: str, given: str, why: str) -> ConfigurationError:
    shown = given if len(given) <= 80 else f"{given[:77]}..."
    return ConfigurationError(
        f"{setting}={shown!r} is not an address: {why}", remedy="Give it as host, host:port or http://host:port"
    )
