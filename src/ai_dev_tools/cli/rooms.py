"""The picture of the rooms in docs/design.md, drawn from the import contract in pyproject.toml."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from html import escape
from pathlib import Path

ROOMS = {
    "cli": ("the command line", "entry"),
    "runner": ("runs from Python, with progress and results", "entry"),
    "comparison": ("runs side by side, archives pooled, the regression gate", "derive"),
    "workflow": ("what the Snakefile needs", "steer"),
    "legacy": ("files of the previous system", "steer"),
    "archive": ("a run as one file", "steer"),
    "planning": ("what a run asks, how large it must be, how long it takes", "steer"),
    "reporting": ("the report: content, sections, figures, formats", "derive"),
    "analysis": ("tables and verdicts from samples", "derive"),
    "execution": ("asks the requests of a block", "ask"),
    "agents": ("runs episodes: what an agent can do, and how its turns go", "ask"),
    "prompts": ("runs tools and renders prompts for every arm", "ask"),
    "tasks": ("tasks, cases, corpora, answers and scores", "ask"),
    "endpoints": ("starts and reaches servers; the client; the embedded server", "ask"),
    "config": ("settings and where they come from", "base"),
    "plugins": ("one registry per kind of extension", "base"),
    "records": ("what is kept in files, and where", "base"),
    "_util": ("knows nothing about benchmarks", "base"),
    "errors": ("every exception", "base"),
}
"""What each room is for, and which colour it has."""
COLOURS = {
    "entry": ("#f2f4f6", "#57606a"),
    "steer": ("#fdf5e2", "#a8791c"),
    "derive": ("#f3eef9", "#75509f"),
    "ask": ("#eaf6ee", "#3b8457"),
    "base": ("#eef4fb", "#3a6ea5"),
}
LEGEND = (
    ("entry", "ways in"),
    ("steer", "plan and steer"),
    ("derive", "compute and show"),
    ("ask", "ask"),
    ("base", "base"),
)
WIDTH, LEFT, RIGHT, GAP = 860, 64, 836, 8
STYLE = """<style>
.t { font-size: 16px; font-weight: 600; fill: #1b1f24 }
.l { font-size: 13.5px; fill: #3d444d }
.c { text-anchor: middle }
</style>"""


def floors(pyproject: Path) -> list[list[str]]:
    """The names of the rooms on each floor, the top one first."""
    (contract,) = tomllib.loads(pyproject.read_text(encoding="utf-8"))["tool"]["importlinter"]["contracts"]
    return [[name.strip().split(".")[-1] for name in re.split(r"[|:]", layer)] for layer in contract["layers"]]


def rooms_picture(pyproject: Path = Path(__file__).parents[3] / "pyproject.toml") -> str:
    """An SVG file with one row per floor; every import leads from a room to one further down."""
    rows: list[str] = []
    top = 24
    for names in floors(pyproject):
        height = 40 if len(names) == 1 else 58
        rows += _floor(names, top, height)
        top += height + GAP
    bottom = top - GAP
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {bottom + 52}" role="img" '
        'aria-labelledby="title" font-family="system-ui, sans-serif">',
        '<title id="title">The rooms of the package, from the command line at the top to the base at the bottom; '
        "a room imports only from rooms further down.</title>",
        STYLE,
        f'<rect width="{WIDTH}" height="{bottom + 52}" rx="12" fill="#ffffff"/>',
        f'<path d="M34 24V{bottom - 12}" stroke="#57606a" stroke-width="2"/>',
        f'<path d="M27 {bottom - 14}h14l-7 14z" fill="#57606a"/>',
        f'<text class="l c" transform="translate(22 {(24 + bottom) // 2}) rotate(-90)">imports only lead down</text>',
        *rows,
        *_legend(bottom + 20),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _floor(names: list[str], top: int, height: int) -> Iterator[str]:
    width = (RIGHT - LEFT - GAP * (len(names) - 1)) / len(names)
    for place, name in enumerate(names):
        text, colour = ROOMS[name]
        fill, stroke = COLOURS[colour]
        x = LEFT + place * (width + GAP)
        yield (
            f'<rect x="{x:g}" y="{top}" width="{width:g}" height="{height}" rx="8" fill="{fill}" stroke="{stroke}" '
            'stroke-width="1.5"/>'
        )
        if len(names) == 1:
            yield f'<text class="t" x="{x + 16:g}" y="{top + 26}">{name}</text>'
            yield f'<text class="l" x="{x + 132:g}" y="{top + 26}">{escape(text)}</text>'
        else:
            yield f'<text class="t c" x="{x + width / 2:g}" y="{top + 24}">{name}</text>'
            yield f'<text class="l c" x="{x + width / 2:g}" y="{top + 44}">{escape(text)}</text>'


def _legend(top: int) -> Iterator[str]:
    for place, (colour, text) in enumerate(LEGEND):
        fill, stroke = COLOURS[colour]
        x = LEFT + place * 165
        yield f'<rect x="{x}" y="{top}" width="16" height="16" rx="3" fill="{fill}" stroke="{stroke}" stroke-width="1.5"/>'
        yield f'<text class="l" x="{x + 24}" y="{top + 13}">{text}</text>'
