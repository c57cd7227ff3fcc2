"""Figures as files, and as SVG markup inside a page."""

from __future__ import annotations

from pathlib import Path

from ai_dev_tools.benchmark.reporting import figures as plots
from ai_dev_tools.benchmark.reporting.document import Figure
from ai_dev_tools.benchmark.reporting.formats import html, structured


def picture(figure: Figure, folder: Path | None = None) -> str:
    """SVG for the inside of a page; with a folder, also {id}.svg, .png and the data behind it as .csv."""
    drawn = plots.draw(figure.plot, figure.data, figure.options)
    text = plots.svg(drawn)
    if folder:
        plots.save(drawn, folder / figure.id, text)
        (folder / f"{figure.id}.csv").write_text(figure_csv(figure), encoding="utf-8")
    return plots.inline_svg(text, figure.id, html.figure_title(figure), f"{figure.id}-alt")


def figure_csv(figure: Figure) -> str:
    """The data behind a figure as CSV."""
    return structured.csv_text(figure.data.columns, figure.data.itertuples(index=False))
