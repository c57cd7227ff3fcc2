"""Fetches pages on behalf of users: only public addresses, a few kinds of content, little of it."""

from __future__ import annotations

import http.client
import ipaddress
import socket
import ssl
from dataclasses import dataclass
from urllib.parse import SplitResult, urljoin, urlsplit

LIMIT = 500_000
KINDS = ("text/html", "application/json", "application/rss+xml")
PORTS = {"http": 80, "https": 443}


class NotFetched(Exception):
    pass


@dataclass(frozen=True)
class Page:
    url: str
    kind: str
    body: bytes


def public_address(host: str, port: int) -> str:
    """An address of the host that is on the public network."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise NotFetched(f"{host} is not known") from error
    addresses = [ipaddress.ip_address(entry[4][0]) for entry in found]
    if not addresses or not all(address.is_global and not address.is_multicast for address in addresses):
        raise NotFetched(f"{host} is not a public host")
    return str(addresses[0])


class PinnedHTTP(http.client.HTTPConnection):
    """A connection to the very address that was checked, whatever the name resolves to later."""

    def __init__(self, host: str, address: str, port: int) -> None:
        super().__init__(host, port, timeout=8)
        self.address = address

    def connect(self) -> None:
        self.sock = socket.create_connection((self.address, self.port), self.timeout)


class PinnedHTTPS(PinnedHTTP):
    def connect(self) -> None:
        super().connect()
        self.sock = ssl.create_default_context().wrap_socket(self.sock, server_hostname=self.host)


def _parts(url: str) -> SplitResult:
    parts = urlsplit(url)
    if parts.scheme not in PORTS or not parts.hostname or parts.username:
        raise NotFetched("only plain http and https addresses")
    if parts.port not in (None, PORTS[parts.scheme]):
        raise NotFetched("only the usual ports")
    return parts


def _once(url: str) -> tuple[http.client.HTTPResponse, bytes]:
    parts = _parts(url)
    host, port = str(parts.hostname), PORTS[parts.scheme]
    kind = PinnedHTTPS if parts.scheme == "https" else PinnedHTTP
    connection = kind(host, public_address(host, port), port)
    try:
        target = parts.path or "/"
        connection.request("GET", f"{target}?{parts.query}" if parts.query else target, headers={"User-Agent": "links/1"})
        reply = connection.getresponse()
        return reply, reply.read(LIMIT + 1)
    except (OSError, http.client.HTTPException) as error:
        raise NotFetched(f"{host} does not answer") from error
    finally:
        connection.close()


def fetch(url: str, hops: int = 3) -> Page:
    for _ in range(hops + 1):
        reply, body = _once(url)
        if reply.status in (301, 302, 303, 307, 308):
            url = urljoin(url, reply.getheader("Location", ""))
            continue
        kind = reply.headers.get_content_type()
        if reply.status != 200 or kind not in KINDS:
            raise NotFetched(f"status {reply.status}, {kind}")
        if len(body) > LIMIT:
            raise NotFetched("too long")
        return Page(url, kind, body)
    raise NotFetched("too many redirections")
