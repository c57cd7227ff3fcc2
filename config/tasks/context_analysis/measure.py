"""Runs grimp and radon over every case and compares what can be read off their output with the truth.

Usage: python config/tasks/context_analysis/measure.py
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

from ai_dev_tools.benchmark.tasks import Case, Task, case_texts, load_task
from ai_dev_tools.benchmark.prompts.tools import ToolSpec, load_tool, run_tool

FOLDER = Path(__file__).resolve().parent
STATED = ("most_imported_module", "import_cycle", "most_complex_function", "complex_functions")
"""What the tools print themselves; `affected_modules` has to be worked out from the imports they print."""


def read_grimp(text: str, target: str) -> dict[str, Any]:
    """Answers that grimp's condensed output gives to someone who believes it."""
    imports = {m[1]: set(m[2].split(", ")) for m in re.finditer(r"^(\S+) imports (.+)$", text, re.M)}
    counts = re.findall(r"(\S+) (\d+)", re.search(r"^Imported by most modules: (.*)$", text, re.M)[1])  # type: ignore[index]
    most = [name for name, count in counts if count == counts[0][1]]
    cycles = re.search(r"^Import cycles: (.*)$", text, re.M)[1]  # type: ignore[index]
    affected: set[str] = set()
    while grown := {m for m, used in imports.items() if used & (affected | {target})} - affected - {target, "__init__"}:
        affected |= grown
    return {
        "most_imported_module": most[0] if len(most) == 1 else None,
        "import_cycle": set() if cycles == "none" else set(re.split("[,;] ", cycles)),
        "affected_modules": affected,
    }


def read_radon(text: str, limit: int) -> dict[str, Any]:
    """Answers that radon's condensed output gives to someone who believes it."""
    listed = [item.rsplit(" ", 1) for line in text.splitlines()[1:] for item in line.split(": ")[1].split(", ")]
    scores = sorted(((int(score), name) for name, score in listed), reverse=True)
    clear = scores[0][0] > scores[1][0]
    return {
        "most_complex_function": scores[0][1] if clear else None,
        "complex_functions": sum(score > limit for score, _ in scores),
    }


def row(task: Task, case: Case, grimp: ToolSpec, radon: ToolSpec) -> tuple[list[str], Counter[str]]:
    """One line of the table, and what to add to the totals."""
    texts = case_texts(task, case, FOLDER)
    outputs = [run_tool(spec, texts, case.vars).condensed for spec in (grimp, radon)]
    said = read_grimp(outputs[0], case.vars["target"]) | read_radon(outputs[1], case.vars["limit"])
    assert case.truth is not None
    truth = {k: set(v) if isinstance(v, list) else v for k, v in case.truth.items()}
    wrong = [name for name in said if said[name] != truth[name]]
    states = not set(wrong) & set(STATED)
    totals = Counter(wrong) + Counter(
        cases=1, with_cycle=bool(truth["import_cycle"]),
        states_answer=states, wrongly_declared=states != case.tool_states_answer,
    )  # fmt: skip
    share = sum(map(len, outputs)) / sum(map(len, texts.values()))
    return [case.id, case.size, str(len(texts)), ", ".join(wrong) or "-", f"{share:.2f}"], totals


def main() -> None:
    task = load_task(FOLDER)
    grimp, radon = (load_tool(FOLDER.parents[1] / "tools" / f"{name}.yaml") for name in ("grimp", "radon"))
    totals: Counter[str] = Counter()
    print("| case | size | files | fields that the tools get wrong | output / input |")
    print("|---|---|---|---|---|")
    for case in task.cases:
        cells, counts = row(task, case, grimp, radon)
        totals += counts
        print(f"| {' | '.join(cells)} |")
    print(dict(totals))


if __name__ == "__main__":
    main()
