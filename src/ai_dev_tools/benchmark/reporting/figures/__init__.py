"""The figures of a report: one decorated function each, from tidy data to axes.

A custom plot is made the same way: a function `(figure, data, options)` under `@plot("name")`.
"""

from ai_dev_tools.benchmark.reporting.figures import curves, distributions, estimates
from ai_dev_tools.benchmark.reporting.figures.drawing import draw, inline_svg, plot, registered, save, svg

__all__ = ["curves", "distributions", "draw", "estimates", "inline_svg", "plot", "registered", "save", "svg"]
