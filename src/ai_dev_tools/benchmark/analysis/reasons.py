"""The reasons of a verdict: a code for each, and its sentence.

A reason is carried as its code and the values in its sentence, in `reasons.csv`. The column `reasons` of the verdicts has
the sentences for people. Tables of earlier versions have the sentences only, and `earlier_reasons` reads them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Literal, TypeAlias

import msgspec
import pandas as pd

from ai_dev_tools.benchmark.analysis.rows import Row, records
from ai_dev_tools.benchmark.analysis.samples_table import words
from ai_dev_tools.benchmark.records.table_files import EARLIER_TEXTS

Code = Literal[
    "tool_failed", "reference_tool_failed", "undeclared", "interim", "unforeseen", "not_continued", "remedy", "continued",
    "other_rules", "lost", "flagged", "flagged_apart", "asked_first", "flagged_decide", "unanswered", "no_pair",
    "unmeasured", "unused", "no_spread", "one_repository", "left_out", "few_clusters", "vetoed", "vetoed_here",
    "unscored", "unscored_tasks", "unproven", "unproven_family", "no_floor", "floor_apart", "floor", "own_floor",
    "brevity", "brevity_open", "capped", "better_answers", "bill_other_way", "bill_uncertain", "p_value", "interval",
    "equivalent", "mixed", "closed",
]  # fmt: skip
SENTENCES: dict[Code, str] = {
    "tool_failed": "the tool failed in {failed} of {cases} cases: {message}",
    "reference_tool_failed": "the tool of the reference {reference} failed in {failed} of {cases} cases: {message}",
    "undeclared": "no plan was declared before the run",
    "interim": "interim look: {present} of {planned} planned samples are there",
    "unforeseen": "{older} of {samples} samples are older than the plan, and no earlier plan foresaw them",
    "not_continued": "plan {plan} is not continued: {changes}",
    "remedy": "to get a verdict, undo that or ask everything again under this plan (retry=plan)",
    "continued": "{older} of {samples} samples count from plan {plan}, which this one continues with {added}",
    "other_rules": (
        "planned under rules {planned} and judged by rules {judged}, so an earlier verdict may have been another"
    ),
    "lost": "{percent} % of pairs were lost to infrastructure{mostly} (limit {limit} %)",
    "flagged": "{percent} % of pairs are flagged, mostly by the check {check} (limit {limit} %)",
    "flagged_apart": "the arms' flagged shares differ by {percent} % (limit {limit} %)",
    "asked_first": (
        "{arm} was asked earlier, by {places} places of its case on average (limit {limit}): a server that warms up would "
        "decide"
    ),
    "flagged_decide": "the result changes with flagged pairs (without: {without}, with: {including})",
    "unanswered": "no case was answered in both {approach} and {reference}",
    "no_pair": "no completed pair: {why}",
    "unmeasured": "{outcome} is missing or impossible in every usable pair",
    "unused": (
        "never used: in none of its {episodes} episodes did the agent use the tool, so this is what offering it costs"
    ),
    "no_spread": "{why}: no spread to judge by",
    "one_repository": (
        "where all cases come from one repository, say single_source: true and name their files as clusters"
    ),
    "left_out": "{tasks} tasks with a single cluster are not in it",
    "few_clusters": "only {clusters} clusters (fewer than {least}): describes these files only",
    "vetoed": "quality vetoed by {task}: a loss beyond {veto} is shown there",
    "vetoed_here": "quality vetoed by this model: {difference}",
    "unscored": "quality unknown: no pair has two scores",
    "unscored_tasks": "quality unknown in {tasks}: no pair has two scores",
    "unproven": "quality unproven at n = {clusters}: the loss may exceed {margin}",
    "unproven_family": (
        "quality unproven at n = {clusters}: the loss may exceed {margin} (for one claim alone it may not; the plan makes "
        "several)"
    ),
    "no_floor": "floor: {floor} did not run, so guessing cannot be told from answering",
    "floor_apart": (
        "floor: {floor} shares no scored case with the reference, so guessing cannot be told from answering"
    ),
    "floor": "floor: the reference does not beat {floor}, so equal quality means nothing",
    "own_floor": "floor: the approach's own answers do not beat {floor}",
    "brevity": "brevity, not this tool: answers are not shown to be better than those from an excerpt of its length",
    "brevity_open": "brevity is not ruled out: the excerpt is not of the same length in tokens",
    "capped": (
        "{percent} % of pairs have an answer that was cut at the cap and counts as paid; had they run on to the context "
        "window, this could not be said"
    ),
    "better_answers": (
        "its answers are surely better: {difference} in score, for you to weigh against the cost"
    ),
    "bill_other_way": "the mean case is {way} but the whole bill is not ({bill} of the reference)",
    "bill_uncertain": "{word} per case, bill uncertain: between {low} and {high} of the reference",
    "p_value": "the adjusted p-value is {p}, and look {look} allows {alpha}",
    "interval": "the interval reaches the margin of {low} or {high}",
    "equivalent": "equivalent: the ratio lies within {low} and {high}",
    "mixed": "mixed: cheaper on {cheaper}, but more expensive on {more_expensive}",
    "closed": "no verdict of its own: the verdict over all tasks is open",
}  # fmt: skip
OF_ONE: dict[Code, tuple[str, str]] = {
    "tool_failed": ("cases", "the tool failed in its only case: {message}"),
    "reference_tool_failed": ("cases", "the tool of the reference {reference} failed in its only case: {message}"),
    "unforeseen": ("samples", "its only sample is older than the plan, and no earlier plan foresaw it"),
    "continued": ("samples", "its only sample counts from plan {plan}, which this one continues with {added}"),
    "unused": (
        "episodes",
        "never used: in its only episode the agent did not use the tool, so this is what offering it costs",
    ),
    "left_out": ("tasks", "1 task with a single cluster is not in it"),
    "few_clusters": ("clusters", "only 1 cluster (fewer than {least}): describes these files only"),
}
"""The same where this value is 1."""
COLUMNS = words("profile claim models task code text values")
Key: TypeAlias = tuple[str, str, str, str]
"""Profile, claim, models and task of a verdict."""
KEY = words("profile claim models task")


@dataclass(frozen=True)
class Reason:
    """A reason of a verdict.

    Attributes:
        code: which one; empty, or not among `SENTENCES`, where another version wrote it.
        text: its sentence.
        values: what the sentence names, as it is printed there.
    """

    code: str
    text: str
    values: Mapping[str, str] = field(default_factory=dict, compare=False)


def reason(code: Code, **values: object) -> Reason:
    """A reason with the values that its sentence names."""
    said = {name: str(value) for name, value in values.items()}
    count, of_one = OF_ONE.get(code, ("", ""))
    return Reason(code, (of_one if said.get(count) == "1" else SENTENCES[code]).format_map(said), said)


def joined(reasons: Iterable[Reason]) -> str:
    """The sentences of several reasons, each once, for people."""
    return "; ".join(dict.fromkeys(each.text for each in reasons))


def whole_percent(share: float) -> str:
    """`12` for 0.12."""
    return f"{share:.0%}".removesuffix("%")


def reason_rows(key: Key, reasons: Iterable[Reason]) -> Iterator[Row]:
    """Rows of the reasons table, in the order of the sentences."""
    for each in dict.fromkeys(reasons):
        values = msgspec.json.encode(each.values, order="sorted").decode()
        yield {**dict(zip(KEY, key, strict=True)), "code": each.code, "text": each.text, "values": values}


def reasons_by_verdict(table: pd.DataFrame) -> dict[Key, list[Reason]]:
    """The reasons of each verdict that has any; `table` is the reasons table.

    Raises:
        ValueError: a column is missing, or the values of a reason are not a JSON object of texts.
    """
    if missing := [name for name in COLUMNS if len(table) and name not in table.columns]:
        raise ValueError(f"it has no column {missing[0]}")
    found: dict[Key, list[Reason]] = {}
    for row in records(table):
        profile, claim, models, task, code, text = (
            "" if row[name] is None else str(row[name]) for name in COLUMNS[:-1]
        )
        try:
            values = msgspec.json.decode(str(row["values"] or "{}"), type=dict[str, str])
        except msgspec.MsgspecError as error:
            raise ValueError(f"the values of reason {code} are not readable: {error}") from None
        found.setdefault((profile, claim, models, task), []).append(Reason(code, text, values))
    return found


def earlier_reasons(text: str) -> list[Reason]:
    """The reasons in a verdict of an earlier version, from their sentences; unknown ones have no code."""
    for earlier, now in EARLIER_TEXTS:
        text = re.sub(earlier, now, text)
    found = []
    while text:
        said = max(_beginnings(text), key=lambda each: len(each.text))
        found.append(said)
        text = text[len(said.text) + len("; ") :]
    return [each for each in found if each.text]


def _beginnings(text: str) -> Iterator[Reason]:
    """What the text may begin with: some sentences have a `; ` of their own."""
    known = [
        Reason(code, match[0], match.groupdict())
        for code in SENTENCES
        if (match := _pattern(SENTENCES[code]).match(text))
    ]
    known += [
        Reason(code, match[0], {**match.groupdict(), count: "1"})
        for code, (count, sentence) in OF_ONE.items()
        if (match := _pattern(sentence).match(text))
    ]
    yield from known or [Reason("", text.partition("; ")[0])]


@cache
def _pattern(sentence: str) -> re.Pattern[str]:
    """A sentence with any values, followed by the end or by another sentence; its values have no `; `."""
    parts = re.split(r"\{(\w+)\}", sentence)
    said = "".join(rf"(?P<{part}>(?:(?!; ).)*?)" if place % 2 else re.escape(part) for place, part in enumerate(parts))
    return re.compile(rf"{said}(?=; |$)", re.DOTALL)
