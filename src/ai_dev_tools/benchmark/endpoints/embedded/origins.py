"""Which requests a server on this machine accepts from web pages.

`Host` and `Origin` are checked by Ollama's rules.

A page that you visit can send requests to your machine. Its browser says in `Origin` where the page came from. A name
that was made to resolve to this machine (DNS rebinding) shows in `Host`. Programs send no `Origin` and are accepted.
"""

from __future__ import annotations

import functools
import ipaddress
import os
import socket
from collections.abc import Mapping
from urllib.parse import urlsplit

from ai_dev_tools.benchmark.errors import ConfigurationError

VARIABLE = "OLLAMA_ORIGINS"

_LOCAL_NAMES = ("localhost", "127.0.0.1", "0.0.0.0", "[::1]")
_APPLICATIONS = ("app://*", "file://*", "tauri://*", "vscode-webview://*", "vscode-file://*")
_LOCAL_DOMAINS = (".localhost", ".local", ".internal")
_JSON = ("application/json", "text/json")

PREFLIGHT_HEADERS = {
    "Access-Control-Allow-Methods": "GET,POST,PUT,PATCH,DELETE,HEAD,OPTIONS",
    "Access-Control-Allow-Headers": (
        "Authorization,Content-Type,User-Agent,Accept,X-Requested-With,OpenAI-Beta,x-stainless-arch,x-stainless-async,"
        "x-stainless-custom-poll-interval,x-stainless-helper-method,x-stainless-lang,x-stainless-os,"
        "x-stainless-package-version,x-stainless-poll-helper,x-stainless-retry-count,x-stainless-runtime,"
        "x-stainless-runtime-version,x-stainless-timeout"
    ),
    "Access-Control-Max-Age": "43200",
}


def allowed_origins(setting: str | None = None) -> tuple[str, ...]:
    """The patterns of `OLLAMA_ORIGINS`, and then those of Ollama.

    The latter are this machine's names on any port, and applications.

    Raises:
        ConfigurationError: an entry is neither an origin with its scheme nor a pattern with one `*`.
    """
    text = os.environ.get(VARIABLE, "") if setting is None else setting
    given = [entry.strip().rstrip("/").lower() for entry in text.strip("\"' ").split(",")]
    given = [entry for entry in given if entry]
    for entry in given:
        if entry.count("*") > 1 or ("*" not in entry and "://" not in entry):
            raise ConfigurationError(
                f"{VARIABLE} has {entry!r}, which is not an origin",
                remedy="Write it like https://example.org, http://localhost:* or *",
            )
    own = [f"{scheme}://{name}{port}" for name in _LOCAL_NAMES for scheme in ("http", "https") for port in ("", ":*")]
    return (*given, *own, *_APPLICATIONS)


def is_allowed_origin(origin: str, patterns: tuple[str, ...]) -> bool:
    """Whether an `Origin` header matches one of the patterns; the origin `null` only matches `*`."""
    origin = origin.lower()
    for pattern in patterns:
        start, star, end = pattern.partition("*")
        fits = origin.startswith(start) and origin.endswith(end) and len(origin) >= len(start) + len(end)
        if fits if star else origin == pattern:
            return True
    return False


def is_allowed_host(host: str) -> bool:
    """Whether a `Host` header names this machine.

    That is a local address or one of its own, its name, or a local domain.
    """
    name = _host_name(host)
    if name is None:
        return False
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return name in ("", "localhost", socket.gethostname().lower()) or name.endswith(_LOCAL_DOMAINS)
    return address.is_loopback or address.is_private or address.is_unspecified or str(address) in _own_addresses()


def problem(method: str, headers: Mapping[str, str], patterns: tuple[str, ...], *, reached_locally: bool) -> str | None:
    """Why a request is refused, in one line; None if it is accepted.

    Args:
        headers: `Host`, `Origin` and `Sec-Fetch-Site` are looked at, without regard to case.
        reached_locally: the connection came in on a loopback address. Others may know this machine by any name.
    """
    host_fits = is_allowed_host(headers.get("Host", ""))
    if reached_locally and not host_fits:
        return "the Host header does not name this machine: use localhost or its address"
    origin = headers.get("Origin")
    if origin is None:
        refused = headers.get("Sec-Fetch-Site") == "cross-site" and method not in ("GET", "HEAD")
    else:
        refused = not is_allowed_origin(origin, patterns) and not (host_fits and _same_place(origin, headers))
    return f"pages of this origin may not use this server: allow them with {VARIABLE}" if refused else None


def needs_json(headers: Mapping[str, str]) -> bool:
    """Whether a body comes from a page, with a type that browsers send without asking first."""
    from_page = "Origin" in headers or headers.get("Sec-Fetch-Site", "none") != "none"
    return from_page and headers.get("Content-Type", "").partition(";")[0].strip().lower() not in _JSON


def _same_place(origin: str, headers: Mapping[str, str]) -> bool:
    return origin.lower() in (f"{scheme}://{headers.get('Host', '').lower()}" for scheme in ("http", "https"))


def _host_name(host: str) -> str | None:
    """The name or address in a `Host` header, in lower case; None if it is malformed."""
    host = host.strip()
    try:
        parts = urlsplit(f"//[{host}]" if host.count(":") > 1 and not host.startswith("[") else f"//{host}")
        _ = parts.port
    except ValueError:
        return None
    if "@" in parts.netloc or parts.path or parts.query or parts.fragment:
        return None
    return parts.hostname or ""


@functools.cache
def _own_addresses() -> frozenset[str]:
    import psutil  # takes 10 ms

    return frozenset(item.address.partition("%")[0] for found in psutil.net_if_addrs().values() for item in found)
