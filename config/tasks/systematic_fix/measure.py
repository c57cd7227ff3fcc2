"""Runs ruff and ast-grep over every case and compares what they say with the truth: the tables of the README.

Usage: python config/tasks/systematic_fix/measure.py
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
EVERYTHING = "{{ data | tojson }}"  # a template that condenses nothing

# Which rules of the tools are about a kind of fault; others they report are noise here.
RULES = {
    "request_without_timeout": {"S113"},
    "open_without_encoding": {"PLW1514"},
    "run_without_check": {"PLW1510"},
    "zip_without_strict": {"B905"},
    "warn_without_stacklevel": {"B028", "warn-without-stacklevel"},
    "csv_without_newline": {"write-text-mode-without-newline"},
    "now_without_zone": {"DTZ005"},
    "naive_utc": {"DTZ003", "DTZ004"},
    "numpy_global_random": {"NPY002"},
    "yaml_any_object": {"S506"},
    "sleep_in_async": {"ASYNC251"},
    "wall_clock_duration": {"wall-clock"},
    "mutable_default": {"B006"},
    "open_without_with": {"SIM115"},
    "manual_lock": {"manual-lock"},
    "bare_except": {"E722"},
    "silent_broad_except": {"BLE001", "S110", "S112"},
    "raise_without_cause": {"B904"},
    "none_comparison": {"E711"},
    "assert_on_argument": {"S101"},
    "formatted_log": {"G001", "G002", "G003", "G004"},
    "dropped_task": {"RUF006"},
}


def places(text: str) -> list[tuple[int, int, str]]:
    """(first line, last line, qualified name) of every function."""
    found = []
    for node in ast.walk(ast.parse(text)):
        prefix = f"{node.name}." if isinstance(node, ast.ClassDef) else ""
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                found.append((child.lineno, child.end_lineno or 0, prefix + child.name))
    return found


def place(text: str, line: int) -> str:
    return max((p for p in places(text) if p[0] <= line <= p[1]), default=(0, 0, "module"))[2]


def reported(specs: list[ToolSpec], texts: dict[str, str]) -> list[tuple[str, str]]:
    """(rule, place) of each finding of both tools; the outline of ast-grep is none."""
    ruff, grep = (
        json.loads(run_tool(spec.model_copy(update={"template": EVERYTHING}), texts, {}).condensed) for spec in specs
    )
    by_name = {Path(name).name: text for name, text in texts.items()}
    found = [(r["code"], place(by_name[Path(r["filename"]).name], r["location"]["row"])) for r in ruff]
    found += [
        (m["ruleId"], place(texts[m["file"].removeprefix("./")], m["range"]["start"]["line"] + 1))
        for m in grep if m["ruleId"] not in ("class", "function")
    ]  # fmt: skip
    return found


def row(task: Task, case: Case, specs: list[ToolSpec]) -> tuple[list[str], Counter[str]]:
    """One line of the table, and what to add to the totals."""
    with tempfile.TemporaryDirectory() as nothing:
        texts = case_texts(task, case, Path(nothing))
    said = reported(specs, texts)
    detector, wanted = case.labels["detector"], set((case.truth or {})["places"])
    named = {where for rule, where in said if rule in RULES[detector]}
    noise = sum(rule not in RULES[detector] for rule, _ in said)
    share = sum(len(run_tool(spec, texts, {}).condensed) for spec in specs) / sum(map(len, texts.values()))
    states = wanted <= named
    totals = Counter(
        places=len(wanted), found=len(wanted & named), false=len(named - wanted), noise=noise,
        states_answer=states, exactly=wanted == named, wrongly_declared=states != case.tool_states_answer,
    )  # fmt: skip
    missed, extra = (", ".join(sorted(names)) or "–" for names in (wanted - named, named - wanted))
    return [case.id, case.size, detector, str(len(wanted)), missed, extra, str(noise), f"{share:.2f}"], totals


def main() -> None:
    task = load_task(FOLDER)
    specs = [load_tool(FOLDER.parents[1] / "tools" / f"{name}.yaml") for name in ("ruff", "ast_grep")]
    totals: Counter[str] = Counter()
    print("| case | size | fault | places | missed by the tools | near misses reported | noise | output / input |")
    print("|---|---|---|---|---|---|---|---|")
    for case in task.cases:
        cells, counts = row(task, case, specs)
        totals += counts
        print(f"| {' | '.join(cells)} |")
    print(dict(totals))


if __name__ == "__main__":
    main()
