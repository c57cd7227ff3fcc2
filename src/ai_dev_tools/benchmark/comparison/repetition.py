"""A run and its repetition: which requests had another result, and whether the verdicts hold."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd

from ai_dev_tools.benchmark._util.text import plural
from ai_dev_tools.benchmark.analysis.rows import Row
from ai_dev_tools.benchmark.comparison.run import StoredRun

KEY = ["model", "task", "case", "repeat", "approach"]
COMPARED = ["status", "score", "input_tokens", "output_tokens", "done_reason"]
"""What a repetition with the same model, prompts and seeds should give again; times are compared by verdict only."""
Claim = tuple[str, str, str]
"""Claim, models and task of a verdict."""


@dataclass(frozen=True)
class Repetition:
    """The result of comparing two runs request by request and verdict by verdict.

    Attributes:
        shared: requests to the same model that both asked; only_before, only_after: those of one side alone.
        differing: shared requests with another value in a column, by column of `COMPARED`.
        verdicts: the words of each claim that has a verdict in either run, before and after; None if one has none.
    """

    shared: int
    only_before: int
    only_after: int
    differing: dict[str, int]
    verdicts: dict[Claim, tuple[str | None, str | None]]

    @property
    def holds(self) -> bool:
        """Whether there are verdicts, and each is the same in both runs."""
        return bool(self.verdicts) and not self.changed

    @property
    def changed(self) -> list[str]:
        """One line for each verdict that became another one, or that one side lacks."""
        return [
            f"{' '.join(claim)}: {before or 'no verdict'} before, {after or 'no verdict'} after"
            for claim, (before, after) in self.verdicts.items()
            if before != after
        ]

    @property
    def lines(self) -> list[str]:
        """The result for people, the most important first."""
        changed = self.changed
        word = f"{len(changed)} of {len(self.verdicts)} verdicts changed or are missing"
        if self.holds:
            word = f"all {len(self.verdicts)} verdicts hold"
        elif not self.verdicts:
            word = "neither run has a verdict"
        return [word, *changed, self._requests]

    @property
    def _requests(self) -> str:
        if not self.shared:
            return "no request was asked of the same model by both"
        differing = ", ".join(f"{column} in {count}" for column, count in self.differing.items() if count) or "nothing"
        alone = f"; {plural(self.only_before, 'request')} only before, {self.only_after} only after"
        said = f"of {plural(self.shared, 'request')} that both asked, {differing} differs"
        return said + (alone if self.only_before or self.only_after else "")


def compare_requests(before: StoredRun, after: StoredRun) -> Repetition:
    """Compare a run with another one that may be its repetition."""
    old, new = before.samples, after.samples
    both = old[KEY + COMPARED].merge(new[KEY + COMPARED], on=KEY, suffixes=(":before", ":after"))
    differing = {column: _differences(both[f"{column}:before"], both[f"{column}:after"]) for column in COMPARED}
    words = [_words(run.verdicts) for run in (before, after)]
    verdicts = {claim: (words[0].get(claim), words[1].get(claim)) for claim in sorted({*words[0], *words[1]})}
    return Repetition(len(both), len(old) - len(both), len(new) - len(both), differing, verdicts)


def _differences(one: pd.Series, other: pd.Series) -> int:
    equal = (one == other).fillna(False).astype(bool) | (one.isna() & other.isna())
    return int((~equal).sum())


def _words(verdicts: Iterable[Row]) -> dict[Claim, str]:
    """The verdict word of each claim; exploratory rows carry none."""
    return {
        (str(row["claim"]), str(row["models"]), str(row["task"])): str(row["verdict"])
        for row in verdicts
        if row.get("verdict") is not None
    }
