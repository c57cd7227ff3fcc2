"""Figures that are lines: break-even over questions, and measures over the size of models."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ai_dev_tools.benchmark.reporting.document import PlotOptions
from ai_dev_tools.benchmark.reporting.figures.drawing import (
    COLOURS,
    DASHES,
    MUTED,
    PAPER,
    WIDTH,
    Dash,
    place_legend,
    plain_log,
    plot,
    series_look,
    series_order,
    short_label,
    show_legend,
)
from ai_dev_tools.benchmark.reporting.figures.tooltips import breakeven_tip, hover, scaling_tip

TICK_GAP = 0.09
"""Least distance of two labels on the axis of model sizes, as a share of its length."""


@plot("breakeven")
def breakeven(figure: Figure, data: pd.DataFrame, options: PlotOptions) -> None:
    """Net time saved by questions per tool run; columns: task, series, questions, net_s, low, high."""
    tasks = list(dict.fromkeys(data["task"]))
    names = list(dict.fromkeys(data["series"]))
    columns = min(3, len(tasks))
    lines = -(-len(tasks) // columns)
    figure.set_size_inches(WIDTH, 0.7 + 1.75 * lines)
    every = figure.subplots(lines, columns, squeeze=False, sharex=True)
    for number, task in enumerate(tasks):
        axes = every[number // columns][number % columns]
        for place, name in enumerate(names):
            part = data[(data["task"] == task) & (data["series"] == name)]
            colour, dash = COLOURS[(place + 1) % len(COLOURS)], DASHES[place % len(DASHES)]
            axes.fill_between(part["questions"], part["low"], part["high"], color=colour, alpha=0.15, lw=0)
            axes.plot(part["questions"], part["net_s"], color=colour, ls=dash, lw=1.8, label=short_label(name))
            hover(axes, part["questions"], part["net_s"], [breakeven_tip(row) for row in part.to_dict("records")])
        axes.axhline(0, color=MUTED, lw=0.9)
        axes.set_title(short_label(task), fontsize=8.5)
        axes.tick_params(length=0, labelsize=8)
    for number in range(len(tasks), lines * columns):
        every[number // columns][number % columns].set_visible(False)
    figure.supxlabel("questions asked per tool run", fontsize=9, color=MUTED)
    figure.supylabel("seconds saved in all", fontsize=9, color=MUTED)
    show_legend(figure, every[0][0])


@plot("scaling")
def scaling(figure: Figure, data: pd.DataFrame, options: PlotOptions) -> None:
    """Measures by model size; columns: panel, run, approach, size (billions of parameters), value.

    A run's points are filled in the first run and hollow in others; lines join the means of equal sizes.
    """
    panels = list(dict.fromkeys(data["panel"]))
    runs = list(dict.fromkeys(data["run"]))
    arms = series_order(list(dict.fromkeys(data["approach"])))
    lines = -(-len(panels) // 2)
    figure.set_size_inches(WIDTH, 0.9 + 2.2 * lines)
    every = figure.subplots(lines, 2, squeeze=False, sharex=True)
    sizes = sorted(set(data["size"].astype(float)))
    for number, panel in enumerate(panels):
        axes = every[number // 2][number % 2]
        for arm in arms:
            for place, run in enumerate(runs):
                chosen = (data["panel"] == panel) & (data["approach"] == arm) & (data["run"] == run)
                part = data[chosen & data["value"].notna()]
                _sized_line(axes, part, series_look(arm, arms), place)
                hover(axes, part["size"], part["value"], [scaling_tip(row) for row in part.to_dict("records")])
        _size_axis(axes, sizes)
        axes.set_title(str(panel))
        axes.set_ylim(bottom=0)
        axes.tick_params(length=0)
    for number in range(len(panels), lines * 2):
        every[number // 2][number % 2].set_visible(False)
    figure.supxlabel("billions of parameters", fontsize=9, color=MUTED)
    looks = {arm: series_look(arm, arms) for arm in arms}
    entries = {short_label(arm): Line2D([], [], color=c, marker=m, ls="") for arm, (c, m, _) in looks.items()}
    for place, run in enumerate(runs if len(runs) > 1 else ()):
        fill, dash = PAPER if place else MUTED, DASHES[place % len(DASHES)]
        entries[f"run {short_label(run)}"] = Line2D([], [], color=MUTED, ls=dash, marker="o", ms=5, mfc=fill)
    place_legend(figure, entries)


def _sized_line(axes: Axes, part: pd.DataFrame, look: tuple[str, str, Dash], place: int) -> None:
    """One arm of one run: its points, and a line through the means of equal sizes."""
    if not len(part):
        return
    colour, marker, _ = look
    mean = part.groupby("size")["value"].mean()
    axes.plot(mean.index, mean.to_numpy(), color=colour, ls=DASHES[place % len(DASHES)], lw=1.3, alpha=0.85)
    axes.plot(part["size"], part["value"], marker, ls="", ms=6, mec=colour, mfc=PAPER if place else colour)


def _size_axis(axes: Axes, sizes: Sequence[float]) -> None:
    """A logarithmic axis with a tick at every size, and a label where there is room for one."""
    plain_log(axes)
    low, high = np.log(sizes[0]), np.log(sizes[-1])
    reach = max(high - low, 0.5)
    axes.set_xlim(np.exp(low - 0.08 * reach), np.exp(high + 0.08 * reach))
    labels: list[str] = []
    last = -np.inf
    for size in reversed(sizes):
        roomy = (high - np.log(size)) / reach - last >= TICK_GAP
        labels.insert(0, f"{size:.3g}" if roomy else "")
        last = (high - np.log(size)) / reach if roomy else last
    axes.set_xticks(list(sizes), labels)
    axes.minorticks_off()
