"""Arms whose answers often could not be parsed.

Their quality says more about the format than about the content.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from ai_dev_tools.benchmark._util.text import listing, number, percent
from ai_dev_tools.benchmark.analysis.samples_table import ALL
from ai_dev_tools.benchmark.reporting.data import RunData
from ai_dev_tools.benchmark.reporting.document import Notice

MOST_UNREAD = 0.10
"""Share of an arm's completed answers that may be unreadable without a warning."""


class UnreadableAnswers(NamedTuple):
    """How many completed answers of one model in one arm could not be read as JSON."""

    model: str
    approach: str
    unread: int
    answers: int

    def __str__(self) -> str:
        share = percent(self.unread / self.answers)
        return f"{self.approach} on {self.model} ({share}: {number(self.unread)} of {number(self.answers)})"


def unread(data: RunData) -> list[UnreadableAnswers]:
    """Arms of which more than a tenth could not be read; arms of recordings that do not say are left out."""
    samples = data.samples
    known = samples[(samples["status"] == "completed") & samples["parsed"].notna()]
    if known.empty:
        return []
    found = []
    for (model, approach), rows in known.groupby(["model", "approach"], observed=True):
        found.append(UnreadableAnswers(str(model), str(approach), int((~rows["parsed"].astype(bool)).sum()), len(rows)))
    return [arm for arm in found if arm.unread > MOST_UNREAD * arm.answers]


def unread_notices(data: RunData) -> list[Notice]:
    """A warning that names the arms, if there are any."""
    arms = unread(data)
    if not arms:
        return []
    text = (
        f"Many answers could not be read as JSON and score 0 where the right answer is known: {listing(list(map(str, arms)))}. "
        "A difference in quality may be one of format: look at the answers in the sample browser before you trust it."
    )
    return [Notice("warning", text)]


def unread_evidence(row: Mapping[str, object], arms: list[UnreadableAnswers]) -> tuple[tuple[str, str], ...]:
    """For a verdict's card: the share of each of its two arms that is among these."""
    mine = [
        f"{arm.approach} {percent(arm.unread / arm.answers)}"
        for arm in arms
        if arm.approach in (row["approach"], row["reference"]) and row["models"] in (arm.model, ALL)
    ]
    return (("unreadable", listing(list(dict.fromkeys(mine)))),) if mine else ()
