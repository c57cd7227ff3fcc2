"""Gateway in front of the meter services: who calls, for which tenant, how often."""

from __future__ import annotations

import logging
import re
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import httpx
import jwt
from jwt import PyJWKClient

log = logging.getLogger(__name__)

ISSUER = "https://id.example.org/"
AUDIENCE = "meters"
BACKENDS = {"readings": "http://readings:8000", "tariffs": "http://tariffs:8000"}


@dataclass(frozen=True)
class Caller:
    subject: str
    tenant: str
    scopes: frozenset[str]


class Refused(Exception):
    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class Gateway:
    def __init__(self, client: httpx.AsyncClient) -> None:
        self._keys = PyJWKClient(ISSUER + "jwks.json", cache_keys=True)
        self._client = client
        self._recent: OrderedDict[str, list[float]] = OrderedDict()

    def authenticate(self, header: str) -> Caller:
        kind, _, token = header.partition(" ")
        if kind.lower() != "bearer" or not token:
            raise Refused(401, "no token")
        try:
            key = self._keys.get_signing_key_from_jwt(token)
            claims = jwt.decode(token, key.key, algorithms=["RS256"], audience=AUDIENCE, issuer=ISSUER)
        except jwt.PyJWTError as error:
            raise Refused(401, str(error)) from error
        return Caller(claims["sub"], claims["tenant"], frozenset(claims.get("scope", "").split()))

    def impersonated(self, caller: Caller, header: str | None) -> Caller:
        """Support staff pass on the token of the customer they help."""
        if not header:
            return caller
        claims = jwt.decode(header, options={"verify_signature": False}, audience=AUDIENCE)
        if claims.get("exp", 0) < time.time():
            raise Refused(401, "the customer's token is too old")
        log.info("%s acts for %s", caller.subject, claims["sub"])
        return Caller(claims["sub"], claims["tenant"], caller.scopes)

    def limit(self, caller: Caller, per_minute: int = 120) -> None:
        now = time.monotonic()
        calls = [at for at in self._recent.pop(caller.subject, []) if now - at < 60]
        if len(calls) >= per_minute:
            raise Refused(429, "too many calls")
        self._recent[caller.subject] = [*calls, now]
        while len(self._recent) > 10_000:
            self._recent.popitem(last=False)

    async def forward(self, service: str, path: str, headers: dict[str, str]) -> dict[str, Any]:
        caller = self.authenticate(headers.get("authorization", ""))
        caller = self.impersonated(caller, headers.get("x-on-behalf-of"))
        self.limit(caller)
        base = BACKENDS.get(service)
        if base is None or f"{service}:read" not in caller.scopes:
            raise Refused(403, "not for you")
        if not re.fullmatch(r"/?[a-z0-9-]+(?:/[a-z0-9-]+){0,5}", path):
            raise Refused(404, "no such resource")
        reply = await self._client.get(
            f"{base}/{path.lstrip('/')}", headers={"x-tenant": caller.tenant, "x-subject": caller.subject}, timeout=10
        )
        return {"status": reply.status_code, "body": reply.json()}


def key_id(token: str) -> str | None:
    """For the log only: which key a token claims to be signed with."""
    return jwt.get_unverified_header(token).get("kid")
