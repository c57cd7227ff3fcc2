"""The control arms: what each rules out, what it scores, and whether it has the intended length."""

from __future__ import annotations

from ai_dev_tools.benchmark.analysis.rows import Row
from ai_dev_tools.benchmark.analysis.samples_table import ALL
from ai_dev_tools.benchmark.prompts.approaches import APPROACHES
from ai_dev_tools.benchmark.reporting.data import RunData, records
from ai_dev_tools.benchmark.reporting.document import Column, Table, ranked
from ai_dev_tools.benchmark.reporting.sections.columns import MODEL, NOTE, QUALITY, TASK

COLUMNS = (
    Column("approach", "Control"),
    Column("purpose", "What it shows and rules out"),
    TASK,
    MODEL,
    QUALITY,
    Column("ratio", "Prompt tokens / tools", "number", 3, "realised: total input tokens over those of the tool's arm"),
    NOTE,
)
CAPTION = (
    "Controls separate the findings of a tool from mere brevity and from guessing. An excerpt is cut to the findings' "
    "characters; if its number of tokens differs (ratio outside 0.9 to 1.1), it is not compared. Controls that did "
    "not run can be turned on with approaches=all."
)


def controls_table(data: RunData) -> Table:
    """One row per control arm, task and model; a control that did not run has one row that says so."""
    lengths = {(row["approach"], row["task"], row["model"]): row for row in records(data.controls)}
    rows: list[Row] = []
    for name, arm in APPROACHES.items():
        if name in ("baseline", "tools") or not arm.built_in:
            continue
        if name not in data.approaches:
            rows.append(ranked({"approach": name, "purpose": arm.description, "note": "did not run"}, main=False))
            continue
        for model in data.models:
            for task in [ALL, *data.tasks]:
                length = lengths.get((name, task, model), {})
                shown = {
                    "approach": name,
                    "purpose": arm.description,
                    "task": "all tasks" if task == ALL else data.task_name(task),
                    "model": model,
                    "quality": data.metric("quality", model=model, task=task, approach=name).get("value"),
                    "ratio": length.get("token_ratio"),
                    "note": length.get("note") or "",
                }
                rows.append(ranked(shown, main=task == ALL, quiet=shown["quality"] is None))
    return Table("control-arms", "Control arms: what each rules out", CAPTION, COLUMNS, rows)
