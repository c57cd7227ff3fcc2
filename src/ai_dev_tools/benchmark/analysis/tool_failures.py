"""Tools that failed in most cases.

The figures of their arms then say nothing about them, so the failure is reported first.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import pandas as pd

from ai_dev_tools.benchmark._util.text import visible_line
from ai_dev_tools.benchmark.analysis.reasons import (
    COLUMNS,
    KEY,
    Key,
    Reason,
    joined,
    reason,
    reason_rows,
    reasons_by_verdict,
)
from ai_dev_tools.benchmark.analysis.rows import Row
from ai_dev_tools.benchmark.analysis.samples_table import ALL
from ai_dev_tools.benchmark.analysis.verdicts import Judgement
from ai_dev_tools.benchmark.records.sample import read_block

TOOL = "tool"
"""Error class of samples whose tool failed: before the request, or during the episode."""
NOT_RUN = "not run"
"""How the message of a case begins that the tool was spared, because it had failed on those before."""
MOST_CHARS = 300
CaseKey: TypeAlias = tuple[str, str]
"""Task and case."""
Messages: TypeAlias = Mapping[tuple[str, str, str], Mapping[CaseKey, list[str]]]
"""What tools said when they failed, by (profile, model, arm) and case."""


@dataclass(frozen=True)
class _Arm:
    """How an arm's tool fared, by case: number of samples and of failures, and its messages."""

    samples: Mapping[CaseKey, int]
    failures: Mapping[CaseKey, int]
    messages: Mapping[CaseKey, list[str]]

    def failed(self, task: str, reference: str = "") -> Reason | None:
        """That the tool failed in most cases of a task, and what it said most often; None where it did not.

        Args:
            reference: the arm, where it is not the one that the claim is about.
        """
        cases = [case for case in self.samples if task in (ALL, case[0])]
        failed = [case for case in cases if 2 * self.failures.get(case, 0) > self.samples[case]]
        if not cases or 2 * len(failed) <= len(cases):
            return None
        messages = [message for case in failed for message in self.messages.get(case, [])]
        tried = [message for message in messages if not message.startswith(NOT_RUN)]
        said = Counter(sorted(tried or messages)).most_common(1)
        text = visible_line(" ".join(said[0][0].split())) if said else "no message"
        shown = text if len(text) <= MOST_CHARS else f"{text[:MOST_CHARS]}…"
        values: dict[str, object] = {"failed": len(failed), "cases": len(cases), "message": shown}
        if reference:
            return reason("reference_tool_failed", reference=reference, **values)
        return reason("tool_failed", **values)


def with_tool_failures(judged: Judgement, samples: pd.DataFrame, blocks: Iterable[Path]) -> Judgement:
    """The verdicts with a column `tool_failure`.

    Where it is not empty, it is also the first reason and the sentence.

    Args:
        samples: prepared; which cases an arm was asked, and where its tool had failed.
        blocks: say with what message. They are read only if a tool has failed.
    """
    messages = _messages(blocks) if (samples["error_class"] == TOOL).any() else {}
    arms: dict[tuple[str, str, str], _Arm] = {}
    known = reasons_by_verdict(judged.reasons)
    rows: list[Row] = []
    reasons: list[Row] = []
    for row in judged.verdicts.to_dict("records"):
        failures = []
        for arm in ("approach", "reference"):
            place = (row["profile"], row["models"], row[arm])
            if place not in arms:
                arms[place] = _arm(samples, *place, messages)
            failures.append(arms[place].failed(row["task"], row[arm] if arm == "reference" else ""))
        failed = [each for each in failures if each]
        rows.append(_with_failure({str(name): value for name, value in row.items()}, failed))
        profile, claim, models, task = (str(row[name]) for name in KEY)
        key: Key = (profile, claim, models, task)
        reasons += reason_rows(key, [*failed, *known.get(key, [])])
    columns = [*judged.verdicts.columns, "tool_failure"]
    verdicts = pd.DataFrame(rows, columns=columns).astype(judged.verdicts.dtypes.to_dict())
    return judged._replace(verdicts=verdicts, reasons=pd.DataFrame(reasons, columns=COLUMNS))


def _messages(blocks: Iterable[Path]) -> Messages:
    found: dict[tuple[str, str, str], dict[CaseKey, list[str]]] = defaultdict(lambda: defaultdict(list))
    for path in blocks:
        for sample in read_block(path):
            if sample.error and sample.error.class_ == TOOL:
                arm = (sample.profile, sample.model, sample.approach)
                found[arm][(sample.task, sample.case)].append(sample.error.message)
    return found


def _arm(samples: pd.DataFrame, profile: str, model: str, name: str, messages: Messages) -> _Arm:
    part = samples[(samples["profile"] == profile) & (samples["model"] == model) & (samples["approach"] == name)]
    rows = list(zip(part["task"].astype(str), part["case"].astype(str), part["error_class"].astype(str), strict=True))
    return _Arm(
        Counter((task, case) for task, case, _ in rows),
        Counter((task, case) for task, case, error in rows if error == TOOL),
        messages.get((profile, model, name), {}),
    )


def _with_failure(row: Row, failures: Sequence[Reason]) -> Row:
    if not failures:
        return row | {"tool_failure": ""}
    said = joined(failures)
    subject = f"{row['approach']} against {row['reference']} on {row['models']} ({row['scope']})"
    word = "inconclusive" if row["verdict"] == "saves" else row["verdict"]
    reasons = "; ".join(filter(None, (said, row["reasons"])))
    return row | {"tool_failure": said, "verdict": word, "reasons": reasons, "sentence": f"{subject}: {said}."}
