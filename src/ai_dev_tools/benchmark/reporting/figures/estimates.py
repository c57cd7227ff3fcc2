"""Figures of estimates: ratios and scores with their intervals, costs and their parts."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ai_dev_tools.benchmark.reporting.document import PlotOptions
from ai_dev_tools.benchmark.reporting.figures.drawing import (
    COLOURS,
    GRID,
    INK,
    MUTED,
    PAPER,
    WIDTH,
    label_rows,
    plot,
    row_heights,
    series_look,
    series_order,
    short_label,
    show_grid,
    show_legend,
)
from ai_dev_tools.benchmark.reporting.figures.tooltips import (
    UNSEEN,
    Row,
    dots_tip,
    forest_tip,
    hover,
    pareto_tip,
    stack_tip,
    tip,
)

MOST_BARS = 30


@plot("forest")
def forest(figure: Figure, data: pd.DataFrame, options: PlotOptions) -> None:
    """Ratios with intervals, one row each; columns: panel, label, ratio, low, high, overall (bool).

    Options: `margin` (edge of the grey band, a ratio below 1), `xlabel`.
    """
    panels = list(dict.fromkeys(data["panel"]))
    rows = list(dict.fromkeys(data["label"]))
    figure.set_size_inches(WIDTH, 1.15 + 0.27 * len(rows))
    margin = float(options.get("margin", 0.95))
    every = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    ratios = data["ratio"].to_numpy(dtype=float)
    finite = np.abs(np.log2(ratios[np.isfinite(ratios) & (ratios > 0)]))
    reach = float(max(1.0, np.ceil(finite.max() + 0.5) if len(finite) else 1.0))
    for axes, panel in zip(every, panels, strict=True):
        part = data[data["panel"] == panel]
        axes.set_xscale("log", base=2)
        axes.set_xlim(2**-reach, 2**reach)
        axes.axvspan(margin, 1 / margin, color=GRID, alpha=0.6, lw=0)
        axes.axvline(1, color=MUTED, lw=0.9)
        for row in part.to_dict("records"):
            place = len(rows) - 1 - rows.index(row["label"])
            _interval_row(axes, row, place, reach)
            unseen = axes.axhspan(place - 0.5, place + 0.5, color=INK, alpha=UNSEEN, lw=0, zorder=9)
            tip(unseen, [forest_tip(row, panel)])
        _ratio_ticks(axes, reach)
        axes.set_title(str(panel))
        show_grid(axes, "x")
    # once for all panels: the labels of narrow panels would run into each other
    figure.supxlabel(str(options.get("xlabel", "← cheaper · ratio to baseline · more expensive →")), fontsize="medium")
    whole = {row for row, overall in zip(data["label"], data["overall"], strict=True) if overall}
    for axes in every:
        for place, row in enumerate(reversed(rows)):
            if row in whole and place < len(rows) - 1:
                axes.axhline(place + 0.5, color=GRID, lw=0.9)
    every[0].set_yticks(range(len(rows)), [short_label(label) for label in reversed(rows)])
    every[0].set_ylim(-0.6, len(rows) - 0.4)


def _ratio_ticks(axes: Axes, reach: float) -> None:
    """At most five powers of two, the same on both sides of 1, so that their labels have room."""
    step = int(np.ceil(reach / 2)) if reach <= 6 else int(reach)
    powers = [power for power in range(-2 * step, 2 * step + 1, step) if abs(power) <= reach]
    axes.set_xticks([2.0**power for power in powers], [f"1/{2**-p}" if p < -2 else f"{2.0**p:g}" for p in powers])
    axes.minorticks_off()


def _interval_row(axes: Axes, row: Row, y: float, reach: float) -> None:
    overall = bool(row["overall"])
    colour = INK if overall else COLOURS[0]
    low, high, ratio = (float(row[name]) for name in ("low", "high", "ratio"))
    if not np.isfinite(ratio):
        axes.text(1, y, "no estimate", ha="center", va="center", color=MUTED, fontsize=8)
        return
    if not np.isnan(low) and not np.isnan(high):
        ends = np.clip([max(low, 1e-9), min(high, 1e9)], 2**-reach, 2**reach)
        axes.plot(ends, [y, y], color=colour, lw=2.4 if overall else 1.4, solid_capstyle="butt")
        for end, true, marker in ((ends[0], low, "<"), (ends[1], high, ">")):
            if abs(np.log(max(true, 1e-9)) - np.log(end)) > 1e-6:
                axes.plot([end], [y], marker, color=colour, ms=5, clip_on=False)
    axes.plot(
        [np.clip(ratio, 2**-reach, 2**reach)], [y], "D" if overall else "o", color=colour, ms=6.5 if overall else 5
    )


@plot("pareto")
def pareto(figure: Figure, data: pd.DataFrame, options: PlotOptions) -> None:
    """Quality against cost.

    Columns: panel, approach, model, overall, cost, quality, quality_low, quality_high, front.

    `overall` and `front` are bool. Of several models each has a line through its approaches, labelled at its most
    expensive point.
    """
    panels = list(dict.fromkeys(data["panel"]))
    figure.set_size_inches(WIDTH, 3.6)
    arms = series_order(list(dict.fromkeys(data["approach"])))
    every = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for axes, panel in zip(every, panels, strict=True):
        part = data[data["panel"] == panel]
        front = part[part["front"]].sort_values("cost")
        if len(front) > 1:
            axes.step(front["cost"], front["quality"], where="post", color=MUTED, lw=1, ls="--", label="Pareto front")
        _join_models(axes, part[part["overall"]])
        for arm in arms:
            mine = part[part["approach"] == arm]
            colour, marker, _ = series_look(arm, arms)
            # many intervals hide the points: then only those over all tasks are drawn
            barred = mine[mine["overall"]] if len(part) > MOST_BARS else mine
            low = (barred["quality"] - barred["quality_low"]).clip(lower=0).fillna(0)
            high = (barred["quality_high"] - barred["quality"]).clip(lower=0).fillna(0)
            axes.errorbar(
                barred["cost"], barred["quality"], yerr=[low, high], fmt="none", ecolor=colour, alpha=0.35, lw=1
            )
            big = mine["overall"].to_numpy(dtype=bool)
            axes.scatter(mine["cost"][~big], mine["quality"][~big], color=colour, marker=marker, s=22, alpha=0.75)
            axes.scatter(
                mine["cost"][big],
                mine["quality"][big],
                color=colour,
                marker=marker,
                s=95,
                label=short_label(arm),
                edgecolors=PAPER,
            )
        hover(axes, part["cost"], part["quality"], [pareto_tip(row, panel) for row in part.to_dict("records")])
        axes.set_title(str(panel))
        axes.set_ylim(-0.04, 1.04)
        axes.set_xlim(left=0)
        axes.tick_params(length=0)
    every[0].set_ylabel("quality (0 to 1)")
    show_legend(figure, every[0])


def _join_models(axes: Axes, whole: pd.DataFrame) -> None:
    """A named line through the points of each model; nothing for a single one."""
    models = list(dict.fromkeys(whole["model"]))
    for place, model in enumerate(models if len(models) > 1 else ()):
        line = whole[whole["model"] == model].sort_values("cost")
        axes.plot(line["cost"], line["quality"], color=MUTED, lw=0.7, zorder=0.5)
        end = line.iloc[-1]
        away = 8 + 9 * place if end["quality"] < 0.5 else -15 - 9 * place
        axes.annotate(short_label(model, 24), (end["cost"], end["quality"]), (0, away), textcoords="offset points",
                      ha="right", fontsize=7.5, color=MUTED)  # fmt: skip


@plot("stack")
def stack(figure: Figure, data: pd.DataFrame, options: PlotOptions) -> None:
    """Stacked parts of a cost; columns: panel, bar, part, value."""
    panels = list(dict.fromkeys(data["panel"]))
    bars = list(dict.fromkeys(data["bar"]))
    figure.set_size_inches(WIDTH, 1.35 + 0.3 * len(bars))
    every = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    number = 0
    for axes, panel in zip(every, panels, strict=True):
        part = data[data["panel"] == panel]
        left = np.zeros(len(bars))
        for name in dict.fromkeys(part["part"]):
            values = part[part["part"] == name].set_index("bar")["value"].reindex(bars).fillna(0).to_numpy(dtype=float)
            drawn = axes.barh(
                range(len(bars)),
                values,
                left=left,
                height=0.66,
                color=COLOURS[number % len(COLOURS)],
                edgecolor=PAPER,
                linewidth=0.6,
                label=str(name),
            )
            for patch, bar, value in zip(drawn.patches, bars, values, strict=True):
                tip(patch, [stack_tip(bar, name, value, panel)])
            left += values
            number += 1
        axes.set_title(str(panel))
        show_grid(axes, "x")
        axes.legend(
            loc="upper center",
            bbox_to_anchor=(0.5, -0.12 - 0.25 / max(len(bars), 2)),
            ncols=3,
            fontsize=8,
            handlelength=1.4,
            columnspacing=1.0,
        )
    every[0].set_yticks(range(len(bars)), [short_label(bar) for bar in bars])
    every[0].invert_yaxis()


@plot("dots")
def dots(figure: Figure, data: pd.DataFrame, options: PlotOptions) -> None:
    """Values with intervals by row and arm; columns: row, approach, value, low, high."""
    rows = list(dict.fromkeys(data["row"]))
    arms = series_order(list(dict.fromkeys(data["approach"])))
    figure.set_size_inches(WIDTH, 1.2 + 0.16 * len(rows) * (len(arms) + 0.8))
    axes = figure.subplots()
    step = 0.8 / max(len(arms), 1)
    for number, arm in enumerate(arms):
        mine = data[data["approach"] == arm]
        colour, marker, _ = series_look(arm, arms)
        y = row_heights(rows, mine["row"], number, len(arms), step)
        axes.hlines(
            y, mine["low"].fillna(mine["value"]), mine["high"].fillna(mine["value"]), color=colour, lw=1.3, alpha=0.8
        )
        axes.plot(mine["value"], y, marker, color=colour, ms=5.5, ls="", label=short_label(arm))
        hover(axes, mine["value"], y, [dots_tip(row) for row in mine.to_dict("records")], 10)
    if "xlim" in options:
        axes.set_xlim(*options["xlim"])
    label_rows(figure, axes, rows, options.get("xlabel", ""))
