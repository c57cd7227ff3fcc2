"""Tooltips: the values of each mark of a figure, as a title in its SVG."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any
from weakref import WeakKeyDictionary
from xml.sax.saxutils import escape

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from ai_dev_tools.benchmark._util.text import interval, number, plural, xml_text
from ai_dev_tools.benchmark.reporting.document import PlotOptions

MOST_TIPS = 400
"""Most marks of one series that have a title; in a larger one, this many are spread evenly."""
UNSEEN = 0.001
"""Opacity of a mark that only the pointer finds; 0 would not be drawn at all."""
TITLE = re.compile(r"(<title>.*?</title>)", re.DOTALL)
Row = Mapping[Any, Any]
"""A row of a table as pandas gives it: only the column says what a value is."""
_TIPS: WeakKeyDictionary[Figure, dict[str, Sequence[str]]] = WeakKeyDictionary()
_MARK = re.compile(r"<(use|path)\b([^>]*)/>")
_EDGE = re.compile(r"<g\b|</g>")
_DEFINED = re.compile(r"<defs>.*?</defs>", re.DOTALL)


def tip(artist: Artist, texts: Sequence[str]) -> None:
    """Have an artist's marks, in their order, say these texts; one text is said by all of it."""
    figure = artist.get_figure()
    if isinstance(figure, Figure):
        known = _TIPS.setdefault(figure, {})
        name = f"tip-{len(known)}"
        artist.set_gid(name)
        known[name] = list(texts)


def hover(axes: Axes, x: ArrayLike, y: ArrayLike, texts: Sequence[str], size: float = 9) -> None:
    """Unseen marks at these places, larger than what is drawn there, so that a pointer finds them."""
    across, up = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    known = np.flatnonzero(np.isfinite(across) & np.isfinite(up))
    if not len(known):
        return
    chosen = known[np.unique(np.linspace(0, len(known) - 1, min(len(known), MOST_TIPS)).round().astype(int))]
    (marks,) = axes.plot(
        across[chosen], up[chosen], "o", ls="", ms=size, mew=0, alpha=UNSEEN, zorder=9, label="_values", clip_on=False
    )
    tip(marks, [texts[place] for place in chosen])


def with_tips(figure: Figure, picture: str) -> str:
    """The SVG text of a figure with the titles of its marks."""
    for name, texts in _TIPS.get(figure, {}).items():
        start = picture.find(f'<g id="{name}">')
        if start >= 0:
            end = _end(picture, start)
            picture = picture[:start] + _titled(picture[start:end], texts) + picture[end:]
    return picture


def _end(picture: str, start: int) -> int:
    """Where the group that starts here ends."""
    depth = 0
    for edge in _EDGE.finditer(picture, start):
        depth += 1 if edge[0] == "<g" else -1
        if not depth:
            return edge.end()
    return len(picture)


def _titled(group: str, texts: Sequence[str]) -> str:
    titles = [f"<title>{escape(xml_text(text))}</title>" for text in texts]
    if len(titles) == 1:
        head = group.index(">") + 1
        return group[:head] + titles[0] + group[head:]
    defined = [found.span() for found in _DEFINED.finditer(group)]
    marks = [found for found in _MARK.finditer(group) if not any(a <= found.start() < b for a, b in defined)]
    if len(marks) != len(titles):
        return group  # some lie outside the picture: no title is better than another mark's
    pieces, last = [], 0
    for mark, title in zip(marks, titles, strict=True):
        pieces += [group[last : mark.start()], f"<{mark[1]}{mark[2]}>{title}</{mark[1]}>"]
        last = mark.end()
    return "".join([*pieces, group[last:]])


def forest_tip(row: Row, panel: object) -> str:
    """What a row of the forest plot says, in numbers."""
    clusters = row.get("clusters")
    counted = "" if clusters is None or np.isnan(clusters) else f", {plural(int(clusters), 'cluster')}"
    ends = interval(row["low"], row["high"], 3)
    return f"{row['label']}, {panel}: ratio {number(row['ratio'], 3)} (95 %: {ends}){counted}"


def pareto_tip(row: Row, panel: object) -> str:
    """An arm's cost and quality in numbers."""
    where = "all tasks" if row["overall"] else str(row.get("task", ""))
    digits = 2 if "second" in str(panel) else 0
    ends = interval(row["quality_low"], row["quality_high"], 3)
    who = f"{row['approach']} on {row['model']}, {where}"
    return f"{who}: quality {number(row['quality'], 3)} (95 %: {ends}), {number(row['cost'], digits)} {panel}"


def strip_tip(row: Row, options: PlotOptions) -> str:
    """Which request a dot is, and its value."""
    case = f", {row['case']}" if "case" in row else ""
    cut = " or more (cut off)" if row["censored"] else ""
    return f"{row['row']}{case}, {row['approach']}: {number(row['value'])}{cut} {options.get('xlabel', '')}"


def timeline_tip(row: Row) -> str:
    """Which request a bar is, when and how it went."""
    again = f", {number(row['attempts'])} attempts" if row["attempts"] > 1 else ""
    length = number(row["end"] - row["start"], 2)
    return f"{row['lane']}, {row['approach']}: {length} s from {number(row['start'], 1)} s, {row['status']}{again}"


def dots_tip(row: Row) -> str:
    """What an arm scores in a row."""
    return f"{row['row']}, {row['approach']}: {number(row['value'], 3)} (95 %: {interval(row['low'], row['high'], 3)})"


def ecdf_tip(approach: str, value: float, share: float, panel: object) -> str:
    """How many requests of an arm take at most this."""
    return f"{approach}: {100 * share:.0f} % take at most {number(value, 2 if value < 100 else 0)} {panel}"


def stack_tip(bar: object, part: object, value: float, panel: object) -> str:
    """How much a part of a bar is."""
    return f"{bar}, {part}: {number(value, 2)} {panel}"


def breakeven_tip(row: Row) -> str:
    """What is saved if that many questions share one run of a tool."""
    saved = f"{number(row['net_s'], 2)} s saved (95 %: {interval(row['low'], row['high'], 2)})"
    return f"{row['series']}, {row['task']}: {saved} after {plural(row['questions'], 'question')}"


def scaling_tip(row: Row) -> str:
    """A measure of a model, and the model's size."""
    who = f"{row.get('model', '')} ({row['size']:g} billion), {row['approach']}"
    return f"{who}: {number(row['value'], 3)} {row['panel']}"
