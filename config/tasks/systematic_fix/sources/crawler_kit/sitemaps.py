"""Finds the pages of a site: site maps, feeds, links."""

from __future__ import annotations

import gzip
import re
from collections import deque
from collections.abc import Callable, Iterator
from datetime import datetime
from html.parser import HTMLParser
from urllib.parse import urldefrag, urljoin, urlsplit
from urllib.request import Request, urlopen

import requests

LOC = re.compile(rb"<loc>\s*([^<\s]+)\s*</loc>")
LASTMOD = re.compile(rb"<lastmod>\s*([^<\s]+)\s*</lastmod>")


class Links(HTMLParser):
    def __init__(self, base: str) -> None:
        super().__init__()
        self.base = base
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        href = dict(attrs).get("href")
        if tag == "a" and href:
            self.found.append(urldefrag(urljoin(self.base, href)).url)


def sitemap(url: str) -> Iterator[str]:
    """Addresses of a site map and of the maps it refers to."""
    reply = requests.get(url, headers={"Accept": "application/xml"})
    if not reply.ok:
        return
    body = gzip.decompress(reply.content) if url.endswith(".gz") else reply.content
    for match in LOC.finditer(body):
        address = match[1].decode()
        if address.endswith((".xml", ".xml.gz")):
            yield from sitemap(address)
        else:
            yield address


def feed_dates(url: str) -> list[datetime]:
    request = Request(url, headers={"Accept": "application/rss+xml"})
    with urlopen(request, timeout=15) as reply:
        stamps = LASTMOD.findall(reply.read())
    return sorted(datetime.fromisoformat(stamp.decode()) for stamp in stamps)


def same_site(first: str, second: str) -> bool:
    return urlsplit(first).hostname == urlsplit(second).hostname


def walk(start: str, load: Callable[[str], str | None], limit: int = 500) -> Iterator[tuple[str, str]]:
    """Breadth first over the links of one host."""
    queue, seen = deque([start]), {start}
    while queue and limit > 0:
        url = queue.popleft()
        text = load(url)
        if text is None:
            continue
        limit -= 1
        yield url, text
        links = Links(url)
        links.feed(text)
        for link in links.found:
            if link not in seen and same_site(start, link):
                seen.add(link)
                queue.append(link)
