"""Short links with previews: create, follow, describe."""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
import secrets
import sqlite3
import time
from html.parser import HTMLParser
from urllib.parse import urlsplit

from flask import Blueprint, abort, current_app, g, jsonify, redirect, render_template, request

from .outbound import NotFetched, Page, fetch

bp = Blueprint("links", __name__)
SLUG = re.compile(r"[A-Za-z0-9_-]{8}")
EXAMPLES = ("https://docs.example/start", "https://news.example/today")


class Head(HTMLParser):
    """Title and description of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.title = ""
        self.description = ""
        self._in_title = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self._in_title = tag == "title"
        if tag == "meta" and values.get("name") == "description":
            self.description = (values.get("content") or "")[:300]

    def handle_endtag(self, tag: str) -> None:
        self._in_title = False

    def handle_data(self, data: str) -> None:
        if self._in_title:
            self.title = (self.title + data)[:200]


def database() -> sqlite3.Connection:
    if "links_db" not in g:
        g.links_db = sqlite3.connect(current_app.config["LINKS_DB"])
    return g.links_db


def describe(page: Page) -> dict[str, str]:
    if page.kind != "text/html":
        return {"title": urlsplit(page.url).hostname or "", "description": page.kind}
    head = Head()
    head.feed(page.body.decode("utf-8", "replace"))
    return {"title": head.title.strip(), "description": head.description.strip()}


def etag(document: dict[str, str]) -> str:
    return hashlib.md5(json.dumps(document, sort_keys=True).encode(), usedforsecurity=False).hexdigest()


@bp.post("/links")
def create():
    url = request.get_json().get("url", "")
    try:
        preview = describe(fetch(url))
    except (NotFetched, ValueError) as error:
        abort(422, str(error))
    slug = secrets.token_urlsafe(6)
    with database() as db:
        db.execute("INSERT INTO link VALUES (?, ?, ?, ?)", (slug, url, json.dumps(preview), time.time()))
    return jsonify(slug=slug, **preview), 201


@bp.get("/l/<slug>")
def show(slug):
    """Visitors see where a link leads before they decide to follow it."""
    row = database().execute("SELECT url, preview FROM link WHERE slug = ?", (slug,)).fetchone()
    if not SLUG.fullmatch(slug) or row is None:
        abort(404)
    preview = json.loads(row[1])
    page = render_template("preview.html", url=row[0], host=urlsplit(row[0]).hostname, **preview)
    return page, 200, {"ETag": etag(preview)}


@bp.get("/random")
def example():
    return redirect(random.choice(EXAMPLES))


def ping(path: str = os.environ.get("HEALTH_FILE", "health")) -> None:
    with open(path, "w", encoding="ascii") as out:
        out.write(str(int(time.time())))
