"""A verdict as a badge: a small SVG picture for a README."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from xml.sax.saxutils import escape

from ai_dev_tools.benchmark._util.text import shorten, xml_text
from ai_dev_tools.benchmark.reporting import document

COLOURS = {"saves": "#00664c", "costs": "#a84300", "inconclusive": "#5c636b", "invalid": "#8a2f6f"}
WIDTH_PER_CHARACTER = 6.6


def render(verdict: document.Verdict) -> str:
    """The SVG text: claim and model on the left, verdict word on the right."""
    left, right = shorten(_clean(f"{verdict.claim} · {verdict.model}"), 60), _clean(verdict.word)
    if verdict.label not in ("", "planned"):
        right += f" ({_clean(verdict.label)})"
    if verdict.reach:
        right += f", {_clean(verdict.reach)}"
    a, b = (round(len(text) * WIDTH_PER_CHARACTER + 14) for text in (left, right))
    colour = COLOURS.get(verdict.word, COLOURS["inconclusive"])
    name = f"{escape(left)}: {escape(right)}"
    edge = f"M{a} 0h{b - 4}a4 4 0 0 1 4 4v12a4 4 0 0 1-4 4h-{b - 4}z"
    font = 'fill="#fff" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11" text-anchor="middle"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{a + b}" height="20" role="img" aria-label="{name}">'
        f'<title>{name}</title><rect width="{a + b}" height="20" rx="4" fill="#2d333a"/>'
        f'<path d="{edge}" fill="{colour}"/><g {font}>'
        f'<text x="{a / 2}" y="14" textLength="{a - 14}">{escape(left)}</text>'
        f'<text x="{a + b / 2}" y="14" textLength="{b - 14}">{escape(right)}</text></g></svg>\n'
    )


def file_names(verdicts: Iterable[document.Verdict]) -> Iterator[tuple[str, document.Verdict]]:
    """A path-safe name for each verdict's badge.

    Those that would share one (models `a:b` and `a-b`) get a number.
    """
    taken: Counter[str] = Counter()
    for verdict in verdicts:
        name = re.sub(r"[^A-Za-z0-9._-]+", "-", verdict.id).strip("-.")[:120] or "verdict"
        taken[name.lower()] += 1
        number = taken[name.lower()]
        yield f"{name}.svg" if number == 1 else f"{name}.{number}.svg", verdict


def _clean(text: str) -> str:
    return xml_text(text).replace('"', "'")
