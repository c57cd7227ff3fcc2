"""Figures of single samples: how values are distributed, and what ran when."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ai_dev_tools.benchmark.analysis.clusters import Floats
from ai_dev_tools.benchmark.reporting.document import PlotOptions
from ai_dev_tools.benchmark.reporting.figures.drawing import (
    COLOURS,
    INK,
    MOST_VECTOR_POINTS,
    WIDTH,
    label_rows,
    log_if_wide,
    plot,
    row_heights,
    series_look,
    series_order,
    short_label,
    show_grid,
    show_legend,
)
from ai_dev_tools.benchmark.reporting.figures.tooltips import MOST_TIPS, ecdf_tip, hover, strip_tip, timeline_tip, tip


@plot("ecdf")
def ecdf(figure: Figure, data: pd.DataFrame, options: PlotOptions) -> None:
    """Share of samples at or below a value; columns: panel, approach, value, censored (bool)."""
    panels = list(dict.fromkeys(data["panel"]))
    arms = series_order(list(dict.fromkeys(data["approach"])))
    every = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for axes, panel in zip(every, panels, strict=True):
        part = data[(data["panel"] == panel) & data["value"].notna()]
        for arm in arms:
            mine = part[part["approach"] == arm].sort_values("value")
            if not len(mine):
                continue
            colour, _, dash = series_look(arm, arms)
            values = mine["value"].to_numpy(dtype=float)
            share = np.arange(1, len(values) + 1) / len(values)
            axes.step(
                np.r_[values[0], values],
                np.r_[0, share],
                where="post",
                color=colour,
                ls=dash,
                lw=1.8,
                label=short_label(arm),
            )
            texts = [ecdf_tip(arm, *point, panel) for point in zip(values, share, strict=True)]
            hover(axes, values, share, texts, 8)
            cut = mine["censored"].to_numpy(dtype=bool)
            if cut.any():
                axes.plot(
                    values[cut], share[cut], "|", color=colour, ms=9, mew=1.6, rasterized=cut.sum() > MOST_VECTOR_POINTS
                )
        axes.set_title(str(panel))
        log_if_wide(axes, part["value"])
        axes.set_ylim(0, 1.03)
        axes.tick_params(length=0)
    every[0].set_ylabel("share of samples")
    show_legend(figure, every[0])


@plot("strip")
def strip(figure: Figure, data: pd.DataFrame, options: PlotOptions) -> None:
    """Every sample as a dot; columns: row, approach, value, censored (bool)."""
    rows = list(dict.fromkeys(data["row"]))
    arms = series_order(list(dict.fromkeys(data["approach"])))
    figure.set_size_inches(WIDTH, 1.2 + 0.17 * len(rows) * (len(arms) + 1))
    axes = figure.subplots()
    known = data[data["value"].notna()]
    scatter = np.random.default_rng(0)
    raster = len(known) > MOST_VECTOR_POINTS
    step = 1 / (len(arms) + 1)
    for number, arm in enumerate(arms):
        mine = known[known["approach"] == arm]
        y = row_heights(rows, mine["row"], number, len(arms), step)
        y += scatter.uniform(-0.28, 0.28, len(mine)) * step
        colour, marker, _ = series_look(arm, arms)
        hover(axes, mine["value"], y, [strip_tip(row, options) for row in mine.to_dict("records")], 7)
        cut = mine["censored"].to_numpy(dtype=bool)
        axes.scatter(
            mine["value"][~cut],
            y[~cut],
            s=14,
            color=colour,
            marker=marker,
            alpha=0.7,
            lw=0,
            label=short_label(arm),
            rasterized=raster,
        )
        axes.scatter(
            mine["value"][cut],
            y[cut],
            s=20,
            facecolors="none",
            edgecolors=colour,
            marker=marker,
            lw=1.1,
            rasterized=raster,
        )
    log_if_wide(axes, known["value"])
    label_rows(figure, axes, rows, options.get("xlabel", ""))


@plot("timeline")
def timeline(figure: Figure, data: pd.DataFrame, options: PlotOptions) -> None:
    """What ran when; columns: lane, session, approach, start, end (s since the first), status, attempts.

    Within a lane each approach has its own line, so that colours do not mix where requests are short.
    """
    lanes = list(dict.fromkeys(data["lane"]))
    arms = series_order(list(dict.fromkeys(data["approach"])))
    figure.set_size_inches(WIDTH, 2.1 + 0.2 * len(lanes))
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=[max(2.0, len(lanes)), 3.0])
    raster = len(data) > MOST_VECTOR_POINTS
    step = 0.8 / len(arms)
    height = data["lane"].map(lanes.index) + (data["approach"].map(arms.index) - (len(arms) - 1) / 2) * step
    thick = min(6.0, 0.2 * 72 * step)
    for arm in arms:
        mine = data["approach"] == arm
        colour, _, _ = series_look(arm, arms)
        ends = data.loc[mine, "start"], data.loc[mine, "end"]
        bars = top.hlines(
            height[mine], *ends, color=colour, lw=thick, capstyle="butt", label=short_label(arm), rasterized=raster
        )
        if len(ends[0]) <= MOST_TIPS:
            tip(bars, [timeline_tip(row) for row in data[mine].to_dict("records")])
    marks = (("end", data["status"] != "completed", "x", "failed or timed out"),
             ("start", data["attempts"] > 1, "v", "retried"))  # fmt: skip
    for column, chosen, marker, label in marks:
        if chosen.any():
            top.plot(data.loc[chosen, column], height[chosen], marker, color=INK, ms=4, ls="", label=label,
                     rasterized=raster)  # fmt: skip
    top.set_yticks(range(len(lanes)), [short_label(lane) for lane in lanes], fontsize=8)
    top.set_ylim(len(lanes) - 0.4, -0.6)
    show_grid(top, "x")
    times, mean, most = _in_flight(data)
    bottom.fill_between(times, mean, step="post", color=COLOURS[0], alpha=0.35, lw=0)
    bottom.step(times, most, where="post", color=COLOURS[0], lw=1)
    bottom.set_ylim(bottom=0)
    bottom.yaxis.get_major_locator().set_params(integer=True)
    bottom.set_ylabel("in flight")
    bottom.set_xlabel(str(options.get("xlabel", "seconds of measuring (pauses between sessions left out)")))
    bottom.tick_params(length=0)
    show_legend(figure, top)


def _in_flight(data: pd.DataFrame, bins: int = 150) -> tuple[Floats, Floats, Floats]:
    """Starts of equal stretches, and the mean and the largest number of requests in flight in each."""
    starts, ends = data["start"].to_numpy(dtype=float), data["end"].to_numpy(dtype=float)
    times = np.concatenate([starts, ends]).round(3)  # what ends within a millisecond of a start ended before it
    change = np.concatenate([np.ones(len(data)), -np.ones(len(data))])
    order = np.lexsort([change, times])
    times, running = times[order], np.cumsum(change[order])
    edges = np.linspace(times[0], max(times[-1], times[0] + 1e-6), bins + 1)
    busy = np.concatenate([[0.0], np.cumsum(running[:-1] * np.diff(times))])
    mean = np.diff(np.interp(edges, times, busy)) / np.diff(edges)
    most = running[np.maximum(np.searchsorted(times, edges[:-1], side="right") - 1, 0)]
    np.maximum.at(most, np.minimum(np.searchsorted(edges, times, side="right") - 1, bins - 1), running)
    return edges, np.append(mean, 0.0), np.append(most, 0.0)
