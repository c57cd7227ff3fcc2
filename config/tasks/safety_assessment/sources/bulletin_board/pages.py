"""Pages of the village's bulletin board, built without a template engine."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from html import escape
from urllib.parse import quote, urlencode, urlsplit

from markupsafe import Markup

STYLE = "body{font:16px/1.5 sans-serif;max-width:46em;margin:2em auto}"
URL = re.compile(r"https?://[^\s<>\"']{1,300}")


def tag(name: str, *children: str, **attributes: str) -> Markup:
    """An element; children and attribute values that are not Markup are escaped."""
    written = "".join(f' {key.rstrip("_")}="{escape(str(value))}"' for key, value in attributes.items())
    inner = "".join(child if isinstance(child, Markup) else escape(child) for child in children)
    return Markup(f"<{name}{written}>{inner}</{name}>")


def linked(text: str) -> Markup:
    """Text with its addresses made into links."""
    parts: list[str] = []
    position = 0
    for match in URL.finditer(text):
        parts.append(escape(text[position : match.start()]))
        host = urlsplit(match.group()).hostname or "link"
        parts.append(tag("a", host, href=match.group(), rel="nofollow ugc"))
        position = match.end()
    parts.append(escape(text[position:]))
    return Markup("".join(parts))


def notice(item: dict) -> Markup:
    posted = datetime.fromisoformat(item["posted"])
    return tag(
        "article",
        tag("h2", item["title"]),
        tag("p", linked(item["text"])),
        tag("small", f"{item['author']}, {posted:%d %B %Y}"),
        tag("a", "answer", href="/answer?" + urlencode({"to": item["id"]})),
        id=f"n{int(item['id'])}",
    )


def page(title: str, body: Iterable[Markup]) -> str:
    head = f"<title>{escape(title)}</title><style>{STYLE}</style>"
    return f"<!doctype html><meta charset=utf-8>{head}<h1>{escape(title)}</h1>" + "".join(body)


def board(items: list[dict], word: str = "") -> str:
    shown = [item for item in items if word.lower() in (item["title"] + item["text"]).lower()]
    title = f"Notices with “{word}”" if word else "Notices"
    form = (
        f'<form action="/board"><input name="word" value="{escape(word)}">'
        "<button>search</button></form>"
    )
    return page(title, [Markup(form), *map(notice, shown)])


def feed(items: list[dict], base: str) -> str:
    lines = ["<?xml version='1.0' encoding='utf-8'?><rss version='2.0'><channel>"]
    for item in items:
        lines.append(
            f"<item><title>{escape(item['title'])}</title>"
            f"<link>{escape(base)}/board#n{quote(str(item['id']))}</link>"
            f"<description>{escape(item['text'][:300])}</description></item>"
        )
    return "\n".join([*lines, "</channel></rss>"])
