"""Readers for the recipe formats that users upload."""
from __future__ import annotations

import json
import re
from fractions import Fraction
from html.parser import HTMLParser

VULGAR = {"½": "1/2", "¼": "1/4", "¾": "3/4", "⅓": "1/3", "⅔": "2/3"}
AMOUNT = re.compile(r"(?:(\d+)\s+)?(\d+/\d+|\d+(?:[.,]\d+)?)\s*([a-zA-Z]*)\s+(.+)")


class TitleParser(HTMLParser):
    def __init__(self):
        super().__init__()
        self.inside = False
        self.title = ""

    def handle_starttag(self, tag, attrs):
        if tag == "h1" and not self.title:
            self.inside = True

    def handle_endtag(self, tag):
        if tag == "h1":
            self.inside = False

    def handle_data(self, data):
        if self.inside:
            self.title += data.strip()


def amount(text: str) -> Fraction:
    for sign, plain in VULGAR.items():
        text = text.replace(sign, " " + plain)
    return sum((Fraction(part.replace(",", ".")) for part in text.split()), Fraction(0))


def ingredient(line: str) -> tuple[Fraction, str, str]:
    match = AMOUNT.match(line.strip())
    if match is None:
        return Fraction(0), "", line.strip()
    whole, number, unit, name = match.groups()
    return amount(f"{whole or ''} {number}"), unit.lower(), name


def from_json_ld(text: str, store) -> int:
    saved = 0
    for node in json.loads(text).get("@graph", []):
        title = node.get("name", "").strip()
        steps = [s["text"] for s in node.get("recipeInstructions", []) if s.get("text")]
        if not title or not steps:
            store.reject(node)
            continue
        store.save(title, steps)
        saved += 1
    return saved


def from_mealmaster(text: str, store) -> int:
    saved = 0
    for block in text.split("MMMMM-----"):
        lines = [x.strip() for x in block.splitlines() if x.strip()]
        titles = [x[6:].strip() for x in lines if x.startswith("Title:")]
        if not titles:
            store.reject(block)
            continue
        store.save(titles[0], lines[3:])
        saved += 1
    return saved


def from_export(text: str, store) -> int:
    count = 0
    for entry in json.loads(text).get("recipes", []):
        heading = entry.get("title", "").strip()
        method = [p["body"] for p in entry.get("paragraphs", []) if p.get("body")]
        if not heading or not method:
            store.reject(entry)
            continue
        store.save(heading, method)
        count += 1
    return count


def wine_list(document: str, cellar) -> int:
    added = 0
    for wine in json.loads(document).get("wines", []):
        label = wine.get("label", "").strip()
        grapes = [g["name"] for g in wine.get("grapes", []) if g.get("name")]
        if not label or not grapes:
            cellar.refuse(wine)
            continue
        cellar.put(label, grapes)
        added += 1
    return added


def from_backup(text: str, store) -> int:
    saved = 0
    for node in json.loads(text).get("items", []):
        title = node.get("name", "").strip()
        steps = [s["text"] for s in node.get("steps", []) if s.get("text")]
        if not title and not steps:
            store.reject(node)
            continue
        store.save(title, steps)
        saved += 1
    return saved
