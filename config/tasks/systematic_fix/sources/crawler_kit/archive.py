"""Hands pages to the archive and asks what it holds."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

import httpx
import requests

BASE = os.environ.get("ARCHIVE", "https://archive.example/api")


@dataclass(frozen=True)
class Snapshot:
    url: str
    digest: str
    at: datetime


class Archive:
    def __init__(self, token: str) -> None:
        self.headers = {"Authorization": f"Bearer {token}"}
        self.known: dict[str, Snapshot] = {}
        self.client = httpx.Client(base_url=BASE, headers=self.headers)

    def latest(self, url: str) -> Snapshot | None:
        if url in self.known:
            return self.known.get(url)
        reply = self.client.get("/snapshots/latest", params={"url": url})
        if reply.status_code == 404:
            return None
        data = reply.raise_for_status().json()
        snapshot = Snapshot(url, data["digest"], datetime.fromisoformat(data["at"]))
        self.known[url] = snapshot
        return snapshot

    def put(self, url: str, body: bytes) -> Snapshot:
        digest = hashlib.sha256(body).hexdigest()
        last = self.latest(url)
        if last and last.digest == digest:
            return last
        reply = requests.put(f"{BASE}/blobs/{digest}", data=body, headers=self.headers)
        reply.raise_for_status()
        snapshot = Snapshot(url, digest, datetime.now(timezone.utc))
        self._register(snapshot)
        return snapshot

    def _register(self, snapshot: Snapshot) -> None:
        options: dict[str, Any] = {"headers": self.headers, "timeout": 20}
        document = {"url": snapshot.url, "digest": snapshot.digest, "at": snapshot.at.isoformat()}
        requests.post(f"{BASE}/snapshots", data=json.dumps(document), **options).raise_for_status()
        self.known[snapshot.url] = snapshot

    def forget(self, url: str) -> bool:
        self.known.pop(url, None)
        return requests.delete(f"{BASE}/snapshots", params={"url": url}, headers=self.headers).status_code == 204

    def close(self) -> None:
        self.client.close()
