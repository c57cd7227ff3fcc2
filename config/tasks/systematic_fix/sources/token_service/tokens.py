"""Access tokens: issue, refresh, revoke, clean up."""

from __future__ import annotations

import datetime as dt
import secrets
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone


@dataclass(frozen=True)
class Token:
    value: str
    subject: str
    scopes: frozenset[str]
    expires: datetime
    issued: datetime = field(default_factory=lambda: datetime.now(timezone.utc))

    def expired(self, at: datetime | None = None) -> bool:
        return (at or datetime.utcnow()) >= self.expires


class TokenStore:
    def __init__(self, lifetime: timedelta = timedelta(hours=8)) -> None:
        self.lifetime = lifetime
        self._tokens: dict[str, Token] = {}
        self._revoked: dict[str, datetime] = {}

    def issue(self, subject: str, scopes: set[str]) -> Token:
        token = Token(
            value=secrets.token_urlsafe(32),
            subject=subject,
            scopes=frozenset(scopes),
            expires=datetime.utcnow() + self.lifetime,
        )
        self._tokens[token.value] = token
        return token

    def refresh(self, value: str, now: datetime) -> Token:
        old = self._tokens[value]
        if old.expired(now):
            raise PermissionError("the token has expired")
        fresh = replace(old, expires=now + self.lifetime)
        self._tokens[value] = fresh
        return fresh

    def revoke(self, value: str) -> None:
        self._revoked[value] = datetime.now(tz=timezone.utc)
        self._tokens.pop(value, None)

    def revoked_since(self, stamp: float) -> list[str]:
        since = dt.datetime.utcfromtimestamp(stamp)
        return [value for value, at in self._revoked.items() if at >= since]

    def clean(self) -> int:
        cutoff = dt.datetime.utcnow()
        dead = [value for value, token in self._tokens.items() if token.expires < cutoff]
        for value in dead:
            del self._tokens[value]
        return len(dead)

    def holders(self, scope: str) -> list[str]:
        return sorted({token.subject for token in self._tokens.values() if scope in token.scopes})


def age(token: Token) -> timedelta:
    return datetime.now(timezone.utc) - token.issued


def header(token: Token, clock=datetime.utcnow) -> str:
    left = int((token.expires - clock()).total_seconds())
    return f"Bearer {token.value}; max-age={max(left, 0)}"


def parse_stamp(text: str) -> datetime:
    """Stamps of the old export have no zone and are in UTC."""
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S").replace(tzinfo=timezone.utc)
