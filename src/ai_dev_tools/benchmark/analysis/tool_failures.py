"""Tools that failed in most cases.

The figures of their arms then say nothing about them, so the failure is reported first.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd

from ai_dev_tools.benchmark.analysis.rows import Row
from ai_dev_tools.benchmark.analysis.samples_table import ALL
from ai_dev_tools.benchmark.prompts import Prompt

TOOL = "tool"
"""Error class of samples whose prompt could not be made, because the tool failed."""
NOT_RUN = "not run"
"""How the message of a case begins that the tool was spared, because it had failed on those before."""
MOST_CHARS = 300


@dataclass(frozen=True)
class _Arm:
    """What became of an arm's tool, by case."""

    failed: dict[tuple[str, str], str]
    cases: frozenset[tuple[str, str]]

    def said(self, task: str, who: str) -> str:
        """That the tool failed in most cases of a task, and what it said most often; "" where it did not."""
        cases = [case for case in self.cases if task in (ALL, case[0])]
        messages = [self.failed[case] for case in cases if case in self.failed]
        if not cases or 2 * len(messages) <= len(cases):
            return ""
        tried = [message for message in messages if not message.startswith(NOT_RUN)]
        (message, _), *_ = Counter(sorted(tried or messages)).most_common(1)
        text = " ".join(message.split())
        shown = text if len(text) <= MOST_CHARS else f"{text[:MOST_CHARS]}…"
        return f"{who} failed in {len(messages)} of {len(cases)} cases: {shown or 'no message'}"


def with_tool_failures(verdicts: pd.DataFrame, samples: pd.DataFrame, prompts: Iterable[Prompt]) -> pd.DataFrame:
    """The verdicts with a column `tool_failure`.

    Where it is not empty, it is also the first reason and the sentence.

    Args:
        samples: prepared; which cases an arm was asked, and where its tool had failed.
        prompts: say with what message.
    """
    messages = {(p.task, p.case, p.approach): p.error.message for p in prompts if p.error and p.error.class_ == TOOL}
    arms: dict[tuple[str, str, str], _Arm] = {}
    rows = []
    for row in verdicts.to_dict("records"):
        said = []
        for name, who in (
            (row["approach"], "the tool"),
            (row["reference"], f"the tool of the reference {row['reference']}"),
        ):
            key = (row["profile"], row["models"], name)
            if key not in arms:
                arms[key] = _arm(samples, *key, messages)
            said.append(arms[key].said(row["task"], who))
        rows.append(_told({str(name): value for name, value in row.items()}, "; ".join(filter(None, said))))
    return pd.DataFrame(rows, columns=[*verdicts.columns, "tool_failure"]).astype(verdicts.dtypes.to_dict())


def _arm(samples: pd.DataFrame, profile: str, model: str, name: str, messages: dict[tuple[str, str, str], str]) -> _Arm:
    part = samples[(samples["profile"] == profile) & (samples["model"] == model) & (samples["approach"] == name)]
    cases = {
        (str(task), str(case)): str(error)
        for task, case, error in zip(part["task"], part["case"], part["error_class"], strict=True)
    }
    failed = {case: messages.get((*case, name), "") for case, error in cases.items() if error == TOOL}
    return _Arm(failed, frozenset(cases))


def _told(row: Row, said: str) -> Row:
    if not said:
        return row | {"tool_failure": ""}
    subject = f"{row['approach']} against {row['reference']} on {row['models']} ({row['scope']})"
    word = "inconclusive" if row["verdict"] == "saves" else row["verdict"]
    reasons = "; ".join(filter(None, (said, row["reasons"])))
    return row | {"tool_failure": said, "verdict": word, "reasons": reasons, "sentence": f"{subject}: {said}."}
