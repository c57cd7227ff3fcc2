"""Keeps a local copy of station readings in step with the weather service."""

from __future__ import annotations

import argparse
import json
import sys
from functools import partial
from pathlib import Path

import requests

BASE = "https://api.weather.example/v2"
LIMITS = {"timeout": (3.05, 20)}


class StationClient:
    def __init__(self, token: str, base: str = BASE) -> None:
        self.base = base
        self.session = requests.Session()
        self.session.headers["Authorization"] = f"Bearer {token}"
        self._get = partial(self.session.get, timeout=10)

    def stations(self) -> list[dict]:
        reply = self._get(f"{self.base}/stations")
        reply.raise_for_status()
        return reply.json()["stations"]

    def readings(self, station: str, day: str) -> list[dict]:
        reply = requests.get(
            f"{self.base}/stations/{station}/readings",
            params={"day": day},
            headers=dict(self.session.headers),
        )
        if reply.status_code == 404:
            return []
        reply.raise_for_status()
        return reply.json()["readings"]

    def annotate(self, station: str, text: str) -> None:
        body = {"text": text, "source": self.session.headers.get("User-Agent", "sync")}
        requests.post(f"{self.base}/stations/{station}/notes", json=body, timeout=5).raise_for_status()

    def acknowledge(self, ids: list[str]) -> int:
        reply = requests.request("PATCH", f"{self.base}/readings", json={"ids": ids, "state": "seen"})
        return reply.json().get("changed", 0)


def download_map(url: str, target: Path) -> int:
    with requests.get(url, stream=True, **LIMITS) as reply:
        reply.raise_for_status()
        with target.open("wb") as out:
            for chunk in reply.iter_content(1 << 16):
                out.write(chunk)
    return target.stat().st_size


def service_is_up(base: str) -> bool:
    try:
        return requests.head(base + "/health").ok
    except requests.ConnectionError:
        return False


def merge(old: list[dict], new: list[dict]) -> list[dict]:
    known = {item.get("id"): item for item in old}
    known.update((item["id"], item) for item in new)
    return sorted(known.values(), key=lambda item: item.get("at", ""))


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("token")
    parser.add_argument("day")
    parser.add_argument("--cache", type=Path, default=Path("readings.json"))
    options = parser.parse_args(argv)
    if not service_is_up(BASE):
        print("the service does not answer", file=sys.stderr)
        return 2
    client = StationClient(options.token)
    old = json.loads(options.cache.read_text("utf-8")) if options.cache.exists() else []
    for station in client.stations():
        old = merge(old, client.readings(station["id"], options.day))
    options.cache.write_text(json.dumps(old), "utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
