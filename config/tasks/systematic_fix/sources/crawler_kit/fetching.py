"""Polite fetching: robots, pauses per host, retries."""

from __future__ import annotations

import logging
import random
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit
from urllib.robotparser import RobotFileParser

import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

log = logging.getLogger(__name__)

AGENT = "archive-crawler/2 (+https://archive.example/crawler)"
HEADERS = {"User-Agent": AGENT, "Accept": "text/html,application/xhtml+xml;q=0.9"}


@dataclass
class Politeness:
    pause: float = 2.0
    last: dict[str, float] = field(default_factory=dict)

    def wait(self, host: str) -> None:
        ready = self.last.get(host, 0.0) + self.pause * random.uniform(0.9, 1.3)
        delay = ready - time.monotonic()
        if delay > 0:
            time.sleep(delay)
        self.last[host] = time.monotonic()


class Robots:
    """Rules of the hosts, read once."""

    def __init__(self) -> None:
        self._rules: dict[str, RobotFileParser] = {}

    def _load(self, base: str) -> RobotFileParser:
        rules = RobotFileParser()
        try:
            with urllib.request.urlopen(f"{base}/robots.txt") as reply:
                rules.parse(reply.read(500_000).decode("utf-8", "replace").splitlines())
        except OSError:
            rules.parse([])
        return rules

    def allowed(self, url: str) -> bool:
        parts = urlsplit(url)
        base = f"{parts.scheme}://{parts.netloc}"
        if base not in self._rules:
            self._rules[base] = self._load(base)
        return self._rules.get(base, RobotFileParser()).can_fetch(AGENT, url)


def make_session(retries: int = 3) -> requests.Session:
    session = requests.Session()
    session.headers.update(HEADERS)
    policy = Retry(total=retries, backoff_factor=0.5, status_forcelist=(429, 502, 503))
    session.mount("https://", HTTPAdapter(max_retries=policy))
    return session


class Fetcher:
    def __init__(self, session: requests.Session, robots: Robots, politeness: Politeness) -> None:
        self.session = session
        self.robots = robots
        self.politeness = politeness

    def page(self, url: str) -> requests.Response | None:
        if not self.robots.allowed(url):
            log.info("%s is off limits", url)
            return None
        self.politeness.wait(urlsplit(url).netloc)
        try:
            reply = self.session.get(url, timeout=(5, 30))
        except requests.RequestException as error:
            log.warning("%s: %s", url, error)
            return None
        return reply if reply.ok else None

    def changed(self, url: str, etag: str) -> bool:
        self.politeness.wait(urlsplit(url).netloc)
        reply = self.session.head(url, headers={"If-None-Match": etag}, allow_redirects=True)
        return reply.status_code != 304

    def stream(self, url: str, limit: int = 50_000_000) -> Iterator[bytes]:
        with self.session.get(url, stream=True, timeout=30) as reply:
            reply.raise_for_status()
            size = 0
            for block in reply.iter_content(65536):
                size += len(block)
                if size > limit:
                    raise ValueError(f"{url} is longer than {limit} bytes")
                yield block
