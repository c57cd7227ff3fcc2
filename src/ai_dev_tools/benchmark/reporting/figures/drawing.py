"""How figures are drawn: one style, one place for colours, and pictures that fit a page's theme.

A plot is drawn once, in the colours of the light theme. `inline_svg` then turns those colours into CSS variables, so
that the figure in a page follows its theme, while the files on disk stay plain. Colours are Okabe and Ito's, which
colour-blind readers can distinguish; shapes and line styles repeat what colour says.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FuncFormatter, NullFormatter

from ai_dev_tools.benchmark._util.text import visible
from ai_dev_tools.benchmark.analysis.clusters import Floats
from ai_dev_tools.benchmark.plugins import PLOTS, plot
from ai_dev_tools.benchmark.prompts.approaches import APPROACHES
from ai_dev_tools.benchmark.reporting.document import PlotOptions
from ai_dev_tools.benchmark.reporting.figures.tooltips import TITLE, with_tips

__all__ = ["plot"]
WIDTH = 10.6
"""Width of every figure in inches: what a page has at 1280 pixels, so that text keeps its size."""
INK, MUTED, GRID, PAPER = "#1c2024", "#5c636b", "#d9dde2", "#ffffff"
COLOURS = ("#0072b2", "#d55e00", "#6f7780", "#008563", "#b4569a", "#8f6c00", "#3f8fc4")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
Dash: TypeAlias = "str | tuple[int, tuple[int, ...]]"
DASHES: tuple[Dash, ...] = ("-", "--", ":", "-.", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 1)), (0, (8, 3)))
FIRST = tuple(name for name, arm in APPROACHES.items() if arm.built_in)
THEMED = {INK: "--ink", MUTED: "--muted", GRID: "--line", PAPER: "--paper"} | {
    colour: f"--series-{number}" for number, colour in enumerate(COLOURS)
}
MOST_VECTOR_POINTS = 3000
STRETCH = 4 / 3 * 1.15
"""Pixels of a page that a point of a picture may fill at most."""
PANEL_GAP = 0.06
"""Space between panels as a share of their width, so that the numbers at their ends do not touch."""
LINE_CHARACTERS, SIGN_CHARACTERS = 150, 8
"""Characters that fit into a line of a legend, and how many of them the symbol before a name uses."""
STYLE: Any = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9.5,
    "text.color": INK,
    "text.parse_math": False,
    "axes.labelcolor": MUTED,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.edgecolor": GRID,
    "axes.facecolor": "none",
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "report",
    "figure.facecolor": "none",
    "path.simplify": True,
}


def registered() -> tuple[str, ...]:
    """Names of all plots."""
    return tuple(PLOTS)


def draw(name: str, data: pd.DataFrame, options: PlotOptions | None = None) -> Figure:
    """The drawn figure.

    Raises:
        ConfigurationError: no such plot.
    """
    function = PLOTS.find(name).function
    with rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 3.4), layout=ConstrainedLayoutEngine(wspace=PANEL_GAP))
        function(figure, data, options or PlotOptions())
        return figure


@contextmanager
def _drawing() -> Iterator[None]:
    """Our style, without a warning for each character of untrusted text that the font lacks."""
    with rc_context(STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        yield


def svg(figure: Figure) -> str:
    """The figure as SVG text, the same for the same data."""
    buffer = io.StringIO()
    with _drawing():
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Type": None, "Format": None})
    figure.set_layout_engine(None)  # laid out now: the next format need not do it again, nor draw once more for nothing
    return with_tips(figure, buffer.getvalue())


def save(figure: Figure, stem: Path, picture: str | None = None) -> None:
    """Write `stem`.svg and `stem`.png (on white, 150 dots per inch)."""
    stem.parent.mkdir(parents=True, exist_ok=True)
    stem.with_suffix(".svg").write_text(picture or svg(figure), encoding="utf-8")
    with _drawing():
        figure.savefig(stem.with_suffix(".png"), dpi=150, facecolor=PAPER, metadata={"Software": None})


def inline_svg(picture: str, name: str, title: str, described_by: str) -> str:
    """SVG for the inside of a page: theme colours, unique ids, a size that follows the page, and a name.

    Args:
        name: prefix of all ids in it.
        title, described_by: escaped title, and id of the element that describes the figure.
    """
    size = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', picture)
    box = (float(size.group(1)), float(size.group(2))) if size else (540.0, 240.0)
    body = picture[picture.index(">", picture.index("<svg")) + 1 :]
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    # titles are untrusted text, and stay as they are
    body = "".join(part if part.startswith("<title>") else _themed(part, name) for part in TITLE.split(body))
    names = f'role="img" aria-label="{title}" aria-describedby="{described_by}"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" {names} '
        f'viewBox="0 0 {box[0]:g} {box[1]:g}" style="max-width:{box[0] * STRETCH:.0f}px">{body}'
    )


def _themed(body: str, name: str) -> str:
    """SVG with unique ids and the colours of the page's theme."""
    body = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', body)
    body = re.sub(r"url\(#([^)]+)\)", rf"url(#{name}-\1)", body)
    body = re.sub(r'xlink:href="#([^"]+)"', rf'xlink:href="#{name}-\1"', body)
    body = re.sub(r"font: ([^;\"]*?)'DejaVu Sans'[^;\"]*", r"font: \1var(--font)", body)
    for colour, variable in THEMED.items():
        body = body.replace(colour, f"var({variable},{colour})")
    return body


def series_order(names: Sequence[str]) -> list[str]:
    """Names of arms in one order everywhere, so that an arm has one colour in all figures."""
    known = [name for name in FIRST if name in names]
    return [*known, *sorted(set(names) - set(known))]


def series_look(name: str, names: Sequence[str]) -> tuple[str, str, Dash]:
    """Colour, marker and line style of an arm or other series."""
    fixed = list(FIRST) if set(names) & set(FIRST) else []
    every = [*fixed, *(other for other in names if other not in fixed)]
    number = every.index(name) % len(COLOURS)
    return COLOURS[number], MARKERS[number], DASHES[number]


def short_label(value: object, most: int = 34) -> str:
    """Foreign text as a label: visible, one line, not too long."""
    shown = visible(str(value), keep_lines=False)
    return shown if len(shown) <= most else shown[: most - 1] + "…"


def show_legend(figure: Figure, axes: Axes) -> None:
    """One legend above the figure, each name once."""
    handles, labels = axes.get_legend_handles_labels()
    place_legend(figure, dict(zip(labels, handles, strict=True)))


def place_legend(figure: Figure, entries: Mapping[str, Artist]) -> None:
    """These handles by label above the figure: in one line where they fit, else in columns of equal width."""
    if entries:
        widest = max(len(label) for label in entries)
        in_a_line = sum(len(label) + SIGN_CHARACTERS for label in entries) <= LINE_CHARACTERS
        columns = len(entries) if in_a_line else max(1, LINE_CHARACTERS // (widest + SIGN_CHARACTERS))
        by_column = [label for column in range(columns) for label in list(entries)[column::columns]]
        handles = [entries[label] for label in by_column]
        figure.legend(handles, by_column, loc="outside upper left", ncols=columns, fontsize=9)


def plain_log(axes: Axes) -> None:
    """A logarithmic axis with plain numbers; formulas are off, since labels are untrusted text."""
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def log_if_wide(axes: Axes, values: pd.Series[float]) -> None:
    """A logarithmic axis for values that are all positive and lie far apart."""
    if len(values) and values.min() > 0 and values.max() / values.min() > 20:
        plain_log(axes)


def show_grid(axes: Axes, which: Literal["x", "y", "both"]) -> None:
    """Grid lines in one direction only."""
    axes.grid(False)
    axes.grid(True, axis=which)
    axes.tick_params(length=0)


def row_heights(rows: Sequence[object], chosen: Iterable[object], arm: int, arms: int, step: float) -> Floats:
    """Where an arm's points are, `step` below those of the arm before it; the first row is at the top."""
    return np.array([len(rows) - 1 - rows.index(row) for row in chosen], dtype=float) + ((arms - 1) / 2 - arm) * step


def label_rows(figure: Figure, axes: Axes, rows: Sequence[object], xlabel: object) -> None:
    """Labels of rows with a line between each two, and what the axis below and the colours mean."""
    for line in range(len(rows) - 1):
        axes.axhline(line + 0.5, color=GRID, lw=0.7)
    axes.set_yticks(range(len(rows)), [short_label(row) for row in reversed(rows)])
    axes.set_ylim(-0.55, len(rows) - 0.45)
    axes.set_xlabel(str(xlabel))
    show_grid(axes, "x")
    show_legend(figure, axes)
