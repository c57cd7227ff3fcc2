"""Sections about several runs: cost of each arm, effect of tools, and scaling with model size."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd

from ai_dev_tools.benchmark._util.text import is_missing, listing, number, plural, ratio_axis
from ai_dev_tools.benchmark.analysis.rows import Row
from ai_dev_tools.benchmark.comparison.run_set import RunSet
from ai_dev_tools.benchmark.reporting.data import is_claimed, plain_float, records
from ai_dev_tools.benchmark.reporting.document import Block, Column, Figure, Notice, Prose, Section, Table
from ai_dev_tools.benchmark.reporting.sections.columns import (
    APPROACH,
    CLUSTERS,
    HIGH,
    LOW,
    MODEL,
    NOTE,
    PAIRS,
    QUALITY,
    SPEED,
    SUCCESS,
    THROUGHPUT,
    TOKENS_AND_TIME,
)
from ai_dev_tools.benchmark.reporting.sections.comparison import MONEY_PANEL
from ai_dev_tools.benchmark.reporting.sections.comparison import PANELS as USUAL_PANELS
from ai_dev_tools.benchmark.reporting.sections.headline import notices

RUN = Column("run", "Run")
PANELS = {**USUAL_PANELS, **MONEY_PANEL}
EFFECT_COLUMNS = (
    RUN,
    MODEL,
    APPROACH,
    Column("reference", "Against"),
    Column("comparison", "Of what"),
    Column("value", "Ratio or difference", "number", 3, "ratio to the reference; for quality the difference"),
    LOW,
    HIGH,
    Column("change_percent", "Saved, %", "number", 1, "100 (1 − ratio); positive is cheaper"),
    PAIRS,
    CLUSTERS,
    NOTE,
)
ARM_COLUMNS = (
    RUN,
    MODEL,
    APPROACH,
    Column("samples", "Samples", "number"),
    SUCCESS,
    QUALITY,
    *TOKENS_AND_TIME,
    SPEED,
    THROUGHPUT,
    Column("tokens_per_point", "Tokens per point", "number", 0, "tokens spent for one full score"),
)
SCALES = {
    "quality": "quality (0 to 1)",
    "decode_tokens_per_second": "tokens written per second",
    "total_tokens_mean": "tokens per request",
    "duration_mean": "seconds per request",
}


def run_notices(data: RunSet) -> list[Block]:
    """What a reader must know of each run before believing a number; what holds of every run is said once."""
    said = {name: [block for block in notices(one) if isinstance(block, Notice)] for name, one in data.data.items()}
    texts = [{(block.level, block.text) for block in blocks} for blocks in said.values()]
    common = set.intersection(*texts) if texts else set()
    found: list[Block] = [block for block in next(iter(said.values()), []) if (block.level, block.text) in common]
    for name, blocks in said.items():
        found += [Notice(b.level, f"{name}: {b.text}") for b in blocks if (b.level, b.text) not in common]
    return found


def forest_rows(rows: list[Row], name: Callable[[Row], str]) -> pd.DataFrame:
    """Data of a forest plot from rows of effects or changes; `name` gives a row's label."""
    return pd.DataFrame(
        [
            {
                "panel": PANELS[row["comparison"]],
                "label": name(row),
                "ratio": plain_float(row["value"]),
                "low": plain_float(row["low"]),
                "high": plain_float(row["high"]),
                "overall": False,
                "clusters": row["clusters"],
            }
            for row in rows
            if row["comparison"] in PANELS
        ]
    )


def label(row: Row) -> str:
    """`llama3.2:1b · light`."""
    return f"{row['model']} · {row['run']}"


def ratio_in_words(row: Row) -> str:
    """`tokens ratio 0.586 (95 % interval 0.282 to 1.965)`."""
    ends = f"95 % interval {number(row['low'], 3)} to {number(row['high'], 3)}"
    return f"{row['comparison']} ratio {number(row['value'], 3)} ({'no interval' if is_missing(row['low']) else ends})"


def effects(data: RunSet) -> Section:
    """What each arm changed against the reference, within each run."""
    rows = data.ordered(records(data.effects))
    claimed = [row for row in rows if is_claimed(row["approach"])]
    known = [row for row in claimed if row["comparison"] in PANELS and not is_missing(row["value"])]
    several = len({row["approach"] for row in claimed}) > 1
    table = Table(
        "effects",
        "Every approach against its reference",
        f"Every row compares an approach with {data.against} over the same cases of the same run, pair by pair. A "
        "ratio below 1 is cheaper. Exploratory: verdict words are given by each run's own report only.",
        EFFECT_COLUMNS,
        rows,
        f"No run has a case that was answered by {data.against} and by another approach: nothing to compare.",
    )
    title = "Effects within each run"
    if not known:
        return Section("effects", title, (Prose(("No run answered a case both with and without tools.",)), table))
    drawn = forest_rows(claimed, lambda row: (f"{row['approach']} · " if several else "") + label(row))
    below = [row for row in known if row["comparison"] == "tokens" and row["value"] < 1]
    tokens = [row for row in known if row["comparison"] == "tokens"]
    said = f"Fewer tokens than {data.against} in {len(below)} of {plural(len(tokens), 'comparison')}"
    figure = Figure(
        "effects-forest",
        f"Cost with tools relative to {data.against}",
        f"{said}; {ratio_in_words(known[0])} for {label(known[0])}. An interval entirely left of "
        "the grey band is cheaper beyond the margin, entirely right of it more expensive; if it touches the band, the result is "
        "open. A tool that works shows it in every run.",
        f"Forest plot of the cost with tools relative to {data.against}, for tokens and time, by model and run. {said}.",
        "forest",
        drawn,
        {"margin": data.margin, "xlabel": ratio_axis(data.against)},
    )
    return Section("effects", title, (figure, table))


def quality(data: RunSet) -> Section:
    """Mean quality of each arm by model and run."""
    rows = [row for row in data.ordered(records(data.arms)) if not is_missing(row["quality"])]
    if not rows:
        return Section("quality", "Quality", (Prose(("No completed, scored sample: quality cannot be shown.",)),))
    table = pd.DataFrame(
        {
            "row": label(row),
            "approach": row["approach"],
            "value": plain_float(row["quality"]),
            "low": plain_float(row["quality_low"]),
            "high": plain_float(row["quality_high"]),
        }
        for row in rows
    )
    best = number(max(row["quality"] for row in rows), 3)
    first = [f"{row['approach']} on {label(row)}" for row in rows if number(row["quality"], 3) == best]
    said = f"Best: {best} of 1 by {listing(first, 3)}"
    figure = Figure(
        "quality",
        "Quality by model and run",
        f"{said}. An approach is only worth its lower cost where its quality is not lower, and quality means something "
        "only above the floor (no_context, agent-none), which guesses. Bars: 95 % intervals over clusters.",
        f"Mean quality with 95 % interval by model, run and approach. {said}.",
        "dots",
        table,
        {"xlabel": "quality (0 to 1)", "xlim": (-0.03, 1.03)},
    )
    return Section("quality", "Quality", (figure,))


def scaling(data: RunSet) -> Section:
    """Quality, speed and cost against the size of the model."""
    known = [row for row in records(data.arms) if row["model"] in data.sizes]
    rows = [
        {**row, "size": data.sizes[row["model"]][0], "source": data.sizes[row["model"]][1]}
        for row in data.ordered(known)
    ]
    unknown = [model for model in data.samples.levels("model") if model not in data.sizes]
    blocks: list[Block] = []
    if unknown:
        blocks.append(
            Notice("info", f"The size of {listing(unknown)} is neither recorded nor in the name: left out here.")
        )
    sizes = {row["size"] for row in rows}
    if len(sizes) < 2:
        here = plural(len(sizes), "size is", "sizes are")
        words = (
            f"Scaling needs models of two sizes or more; {here} here. Run larger models of the same family to see it."
        )
        return Section("scaling", "Scaling with model size", (*blocks, Prose((words,))))
    if figure := _scaling_figure(rows, data.reference):
        blocks.append(figure)
    return Section("scaling", "Scaling with model size", (*blocks, _sizes_table(rows)))


def _scaling_figure(rows: list[Row], reference: str) -> Figure | None:
    drawn = pd.DataFrame(
        {"panel": panel, "run": row["run"], "approach": row["approach"], "model": row["model"], "size": row["size"],
         "value": plain_float(row[name])}
        for name, panel in SCALES.items()
        for row in rows
    )  # fmt: skip
    if not drawn["value"].notna().any():
        return None
    said = _growth(rows, reference)
    return Figure(
        "scaling",
        "Quality, speed and cost against model size",
        f"{said} Quality that rises faster than cost pays for the larger model; where the lines of two approaches meet, "
        "their difference is gone. With few models of different families, this is only an impression.".lstrip(),
        f"Four panels of points over billions of parameters: {listing(list(SCALES.values()))}. {said}",
        "scaling",
        drawn,
    )


def _sizes_table(rows: list[Row]) -> Table:
    shown = {column.key: column for column in ARM_COLUMNS}
    columns = (
        MODEL,
        Column("size", "Parameters, 10⁹", "number", 3),
        Column("source", "Size known from"),
        RUN,
        APPROACH,
        *(shown[name] for name in (*SCALES, "tokens_per_point")),
    )
    return Table(
        "sizes", "Models by size", "Size as the server recorded it, else as the model's name says it.", columns, rows
    )


def _growth(rows: list[Row], reference: str) -> str:
    """What changes from the smallest to the largest model, in one sentence."""
    arms = {row["approach"] for row in rows}
    arm = reference if reference in arms else sorted(arms)[0]
    mine = [row for row in rows if row["approach"] == arm and not is_missing(row["quality"])]
    if len({row["size"] for row in mine}) < 2:
        return ""
    small, large = mine[0], mine[-1]
    parts = [
        f"{label} {number(small[name], digits)} → {number(large[name], digits)}"
        for name, label, digits in (("quality", "quality", 3), ("duration_mean", "seconds per request", 2))
        if not is_missing(small[name]) and not is_missing(large[name])
    ]
    return f"{arm} from {small['model']} to {large['model']}: {', '.join(parts)}."


def arms(data: RunSet) -> Section:
    """What every arm took, in numbers."""
    table = Table(
        "arms",
        "Cost of each approach",
        "Means per request over all tasks. Failed requests count in the success rate and never in the means.",
        ARM_COLUMNS,
        records(data.arms),
        "No sample at all.",
    )
    return Section("arms", "Arms in numbers", (table,))


def failures(data: RunSet) -> Section:
    """Requests that did not complete, by run and class."""
    frame = data.samples.frame
    groups = frame[frame["status"] != "completed"].groupby(
        ["run", "model", "status", "error_class"], sort=True, observed=True
    )
    rows = [
        {"run": run, "model": model, "status": status, "error_class": name, "count": len(part),
         "cases": listing(sorted(set(part["case"].astype(str))), 5)}
        for (run, model, status, name), part in groups
    ]  # fmt: skip
    columns = (
        RUN,
        MODEL,
        Column("status", "Status"),
        Column("error_class", "Class"),
        Column("count", "Samples", "number"),
        Column("cases", "Cases"),
    )
    caption = "Each run's own report shows the messages and the requests one by one."
    table = Table(
        "errors", "Requests that were not completed", caption, columns, rows, "None: every request was completed."
    )
    return Section("errors", "Errors", (table,))
