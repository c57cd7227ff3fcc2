"""Runs bandit over every case and compares what it says with the labels: the tables of the README.

Usage: python config/tasks/safety_assessment/measure.py
"""

from __future__ import annotations

import ast
import json
import tempfile
from collections import Counter
from pathlib import Path

from ai_dev_tools.benchmark.tasks import Case, Task, case_texts, load_task
from ai_dev_tools.benchmark.prompts.tools import ToolSpec, load_tool, run_tool

FOLDER = Path(__file__).resolve().parent
EVERYTHING = "{{ data.results | tojson }}"  # a template that condenses nothing


def place(text: str, line: int) -> str:
    """Name of the innermost function around a line, or `module`."""
    functions = (n for n in ast.walk(ast.parse(text)) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef))
    around = [n for n in functions if n.lineno <= line <= (n.end_lineno or 0)]
    return max(around, key=lambda n: n.lineno).name if around else "module"


def findings(spec: ToolSpec, texts: dict[str, str]) -> list[tuple[str, str, str]]:
    """(function, test id, CWE) of each finding."""
    raw = json.loads(run_tool(spec.model_copy(update={"template": EVERYTHING}), texts, {}).condensed)
    return [
        (place(texts[r["filename"].removeprefix("./")], r["line_number"]), r["test_id"], f"CWE-{r['issue_cwe']['id']}")
        for r in raw
    ]  # fmt: skip


def row(task: Task, case: Case, spec: ToolSpec) -> tuple[list[str], Counter[str]]:
    """One line of the table, and what to add to the totals."""
    with tempfile.TemporaryDirectory() as nothing:
        texts = case_texts(task, case, Path(nothing))
    said = findings(spec, texts)
    labelled = {label["function"]: label["cwe"] for label in case.labels}
    found = {function for function, _, _ in said} & labelled.keys()
    kinds = {function for function, _, cwe in said if labelled.get(function) == cwe}
    false = Counter(test for function, test, _ in said if function not in labelled)
    tokens = len(run_tool(spec, texts, {}).condensed) / sum(map(len, texts.values()))
    states = kinds == labelled.keys() and (bool(labelled) or not said)
    totals = Counter(
        labels=len(labelled), found=len(found), kinds=len(kinds), alarms=len(said), false=false.total(),
        safe=not labelled, silent_on_safe=not labelled and not said, states_answer=states,
        wrongly_declared=states != case.tool_states_answer,
    )  # fmt: skip
    wanted = ", ".join(f"{name} ({cwe})" for name, cwe in labelled.items()) or "none (safe)"
    missed = ", ".join(name for name in labelled if name not in found) or "–"
    alarms = ", ".join(f"{test}×{n}" if n > 1 else test for test, n in sorted(false.items())) or "–"
    return [case.id, case.size, wanted, missed, alarms, f"{tokens:.2f}"], totals


def main() -> None:
    task = load_task(FOLDER)
    spec = load_tool(FOLDER.parents[1] / "tools" / "bandit.yaml")
    totals: Counter[str] = Counter()
    print("| case | size | labelled | missed by bandit | false alarms | output / input |")
    print("|---|---|---|---|---|---|")
    for case in task.cases:
        cells, counts = row(task, case, spec)
        totals += counts
        print(f"| {' | '.join(cells)} |")
    print(dict(totals))


if __name__ == "__main__":
    main()
