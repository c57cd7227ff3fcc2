"""Labels of figures: none lies on another one, and none leaves the picture."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ai_dev_tools.benchmark._util.text import ratio_axis
from ai_dev_tools.benchmark.reporting import figures as plots

LABELS = ["all tasks", "Systematic fix", "Repository analysis with a long name · codellama:7b-instruct"]


def written(figure: Figure) -> list[tuple[str, Any]]:
    """Every text of a drawn figure with the place that it takes."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    below = figure._supxlabel  # type: ignore[attr-defined]
    texts = [t for axes in figure.axes for t in (*axes.get_xticklabels(), *axes.get_yticklabels(), axes.xaxis.label,
                                                 axes.title, axes._left_title)] + ([below] if below else [])  # type: ignore[attr-defined]  # fmt: skip
    return [(t.get_text(), t.get_window_extent(canvas.get_renderer())) for t in texts if t.get_text()]


def on_each_other(figure: Figure) -> list[tuple[str, str]]:
    found = written(figure)
    return [
        (one, other)
        for place, (one, a) in enumerate(found)
        for other, b in found[place + 1 :]
        if min(a.x1, b.x1) - max(a.x0, b.x0) > 0.5 and min(a.y1, b.y1) - max(a.y0, b.y0) > 0.5
    ]


@pytest.mark.parametrize("extreme", [0.9, 0.4, 3.0, 30.0, 500.0])
@pytest.mark.parametrize("reference", ["baseline", "tools-bandit", "tools-" + "x" * 90])
@pytest.mark.parametrize("panels", [["Tokens"], ["Tokens", "Time, tool run included"]])
def test_labels_of_a_forest_plot_do_not_overlap(extreme: float, reference: str, panels: list[str]) -> None:
    rows = [
        {"panel": panel, "label": label, "ratio": extreme, "low": extreme / 2, "high": extreme * 2, "overall": not n}
        for panel in panels
        for n, label in enumerate(LABELS)
    ]
    figure = plots.draw("forest", pd.DataFrame(rows), {"margin": 0.95, "xlabel": ratio_axis(reference)})
    assert on_each_other(figure) == []
    assert [text for text, box in written(figure) if box.x0 < -1 or box.x1 > figure.bbox.width + 1] == []
    assert "1" in [text for text, _ in written(figure)]
