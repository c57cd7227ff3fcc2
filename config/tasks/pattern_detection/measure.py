"""Runs jscpd over every case and compares the pairs it reports with the truth: the tables of the README.

Usage: python config/tasks/pattern_detection/measure.py
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from itertools import combinations
from pathlib import Path

from ai_dev_tools.benchmark.tasks.scoring import partition
from ai_dev_tools.benchmark.tasks import Case, Task, case_texts, load_task
from ai_dev_tools.benchmark.prompts.tools import ToolSpec, load_tool, run_tool

FOLDER = Path(__file__).resolve().parent
PAIR = re.compile(r"\S+:(\w+) ~ \S+:(\w+) \(")
Pairs = set[frozenset[str]]


def merged(pairs: Iterable[tuple[str, str]]) -> list[set[str]]:
    """The groups that reported pairs amount to: whatever is linked belongs together."""
    groups: list[set[str]] = []
    for pair in map(set, pairs):
        touching = [g for g in groups if g & pair]
        groups = [g for g in groups if not g & pair] + [pair.union(*touching)]
    return groups


def pairs_of(groups: Iterable[Iterable[str]]) -> Pairs:
    return {frozenset(pair) for group in groups for pair in combinations(sorted(group), 2)}


def row(task: Task, case: Case, spec: ToolSpec) -> tuple[list[str], Counter[str], float]:
    """One line of the table, what to add to the totals, and the score of the groups that the tool amounts to."""
    texts = case_texts(task, case, FOLDER)
    condensed = run_tool(spec, texts, case.vars).condensed
    said = merged(PAIR.findall(condensed))
    assert case.truth is not None
    truth, found = pairs_of(case.truth["groups"]), pairs_of(said)
    states = truth == found
    totals = Counter(
        pairs=len(truth), found=len(truth & found), missed=len(truth - found), false=len(found - truth),
        states_answer=states, wrongly_declared=states != case.tool_states_answer,
    )  # fmt: skip
    share = len(condensed) / sum(map(len, texts.values()))
    score = partition(case.truth["groups"], [sorted(g) for g in said])
    counts = [str(totals[name]) for name in ("pairs", "missed", "false")]
    return [case.id, case.size, *counts, f"{score:.2f}", f"{share:.2f}"], totals, score


def main() -> None:
    task = load_task(FOLDER)
    spec = load_tool(FOLDER.parents[1] / "tools" / "jscpd.yaml")
    totals: Counter[str] = Counter()
    scores = []
    print("| case | size | pairs | missed by jscpd | false alarms | ARI of its groups | output / input |")
    print("|---|---|---|---|---|---|---|")
    for case in task.cases:
        cells, counts, score = row(task, case, spec)
        totals += counts
        scores.append(score)
        print(f"| {' | '.join(cells)} |")
    print(dict(totals), f"mean ARI {sum(scores) / len(scores):.2f}")


if __name__ == "__main__":
    main()
