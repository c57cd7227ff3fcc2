"""What the reasons of a verdict mean in plain words, and what a reader can do about each."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from ai_dev_tools.benchmark._util.text import shorten
from ai_dev_tools.benchmark.records.table_files import EARLIER_TEXTS


class Reason(NamedTuple):
    """Why a verdict is what it is: half a sentence, and the kind of step that helps."""

    plain: str
    step: str


MEANINGS: tuple[tuple[str, str, str], ...] = (
    (r"interim look: (\d+) of (\d+) planned", "only {0} of {1} planned samples are there", "finish"),
    (r"no case was answered in both", "no question was answered in both arms", "finish"),
    (r"no completed pair", "no question was answered in both arms", "finish"),
    (r"quality unknown", "it is not known which answers are right", "truth"),
    (
        r"floor: (\S+) (?:did not run|shares no)",
        "the arm {0} did not run, so nobody knows what guessing scores",
        "floor",
    ),
    (
        r"floor: the reference does not beat (.+?),",
        "with {reference} the model does not demonstrably do better than guessing ({0}), so equal answers prove nothing",
        "larger_model",
    ),
    (
        r"floor: the approach's own answers do not beat (.+)",
        "with {approach} the model does not demonstrably do better than guessing ({0})",
        "read_answers",
    ),
    (r"(\d+)% of pairs were lost", "{0} % of the pairs were lost to failed requests", "finish"),
    (
        r"(\d+)% of pairs are flagged, mostly by the check cpu_contention",
        "other programs kept the processor busy during {0} % of the pairs",
        "measure_again",
    ),
    (
        r"(\d+)% of pairs are flagged, mostly by the check cache_hit",
        "the server had part of the prompt in its cache in {0} % of the pairs",
        "measure_again",
    ),
    (
        r"(\d+)% of pairs are flagged, mostly by the check (?:other_session|not_adjacent)",
        "the two arms were measured at different times in {0} % of the pairs",
        "pairs",
    ),
    (
        r"(\d+)% of pairs are flagged, mostly by the check (\S+)",
        "the check {1} flagged {0} % of the pairs",
        "measure_again",
    ),
    (r"the arms' flagged shares differ", "a disturbance affected one arm more than the other", "measure_again"),
    (r".+ was asked earlier, by", "one arm was always asked first", "ask_again"),
    (r"the result changes with flagged pairs", "the result depends on measurements that a check flagged", "ask_again"),
    (r"\d+ of \d+ samples are older than the plan", "some samples were seen before the plan was declared", "undo"),
    (r"plan \S+ is not continued", "the plan was changed after samples had been seen", "undo"),
    (r"no plan was declared", "no plan was declared before the run", "ask_again"),
    (r"quality vetoed by this model", "this model's answers get worse", "read_answers"),
    (r"quality vetoed by (.+?): a loss", "the answers on {0} get worse", "read_answers"),
    (r"never used: in none of its (\d+) episodes", "the agent used the tool in none of {0} episodes", "unused"),
    (r"equivalent", "the two cost the same, within the margin", "settled"),
    (r"mixed: (.+)", "it depends on the task: {0}", "by_task"),
    (
        r"the mean case is (cheaper|more expensive) but the whole bill is not",
        "the average question is {0}, but the whole bill is not",
        "by_task",
    ),
    (
        r"quality unproven at n = (\d+): the loss may exceed (\S+)",
        "{0} projects are too few to show that the answers are not worse",
        "more_samples",
    ),
    (r"only (\d+) clusters", "{0} projects are too few to generalise", "more_samples"),
    (r".*no spread to judge by", "one project shows no spread to judge by", "more_samples"),
    (r"the interval reaches the margin", "the measurement is too uncertain to rule out chance", "more_samples"),
    (r"the adjusted p-value is", "the evidence is too weak for this many claims and looks", "more_samples"),
    (r"\w+ per case, bill uncertain", "a few expensive questions could reverse the total", "more_samples"),
    (r".+ is missing or impossible in every usable pair", "it was not measured", "measure_again"),
)
"""Pattern of a reason, what it means, and the kind of step that helps; what matters more stands first."""
NOTES = (
    r"\d+ of \d+ samples count from plan",
    r"to get a word, undo that",
    r"\d+ task\(s\) with a single cluster",
    r"where all cases come from one repository",
    r"no word of its own",
    r"planned under rules",
)
"""Reasons that only explain others."""
MOST_MESSAGE = 160


def reasons_of(row: Mapping[str, Any], words: Mapping[str, str]) -> list[Reason]:
    """The reasons of a row of the verdicts table, the weightiest first; what is not known stays as it is.

    Args:
        words: what `reference` and `approach` are in plain words.
    """
    if failure := str(row.get("tool_failure") or ""):
        return [Reason(shorten(failure, MOST_MESSAGE), "tool")]
    text = str(row.get("reasons") or "")
    for earlier, now in EARLIER_TEXTS:
        text = text.replace(earlier, now)
    found = [_meaning(piece, words) for piece in text.split("; ") if piece and not _is_note(piece)]
    return [reason for _, reason in sorted(found, key=lambda each: each[0])]


def _is_note(piece: str) -> bool:
    return any(re.match(pattern, piece) for pattern in NOTES)


def _meaning(piece: str, words: Mapping[str, str]) -> tuple[int, Reason]:
    for place, (pattern, plain, step) in enumerate(MEANINGS):
        if found := re.match(pattern, piece):
            return place, Reason(plain.format(*found.groups(), **words), step)
    return len(MEANINGS), Reason(piece, "look")
