"""The run in one paragraph of plain words: what was compared, on what, what holds, what does not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from ai_dev_tools.benchmark._util.text import Number, is_missing, listing, number, plural, signed
from ai_dev_tools.benchmark.analysis.reasons import Code
from ai_dev_tools.benchmark.analysis.rows import Row
from ai_dev_tools.benchmark.analysis.samples_table import ALL
from ai_dev_tools.benchmark.plugins import AGENT, AGENT_FLOOR, TOOL_PREFIX, agent_tool_of, is_agent, reference_for
from ai_dev_tools.benchmark.reporting.data import RunData, records
from ai_dev_tools.benchmark.reporting.document import InShort
from ai_dev_tools.benchmark.reporting.sections.next_step import next_step
from ai_dev_tools.benchmark.reporting.sections.reasons import Meaning, meanings_of

MOST_NAMED = 4


@dataclass(frozen=True)
class JudgedClaim:
    """A claim as the paragraph needs it.

    Attributes:
        row: of the verdicts table, over all tasks.
        tool, model: their names where there are several, else empty.
        reasons: what they mean in plain words, the weightiest first.
        noun: what is used where there is one: findings, or an agent's tool.
    """

    row: Row
    tool: str
    model: str
    reasons: tuple[Meaning, ...]
    noun: str = "the findings"

    @property
    def word(self) -> str:
        return str(self.row["verdict"] or "inconclusive")

    @property
    def thing(self) -> str:
        return str(self.row["outcome"])

    @property
    def where(self) -> str:
        """` on llama3.2:1b`, empty for a single model."""
        return f" on {self.model}" if self.model else ""

    @property
    def name(self) -> str:
        """The tool and the model, where there is more than one."""
        return f"{self.tool or self.noun}{self.where}"

    @property
    def settled(self) -> bool:
        """Whether the finding is that nothing changes."""
        return self.word == "inconclusive" and bool(self.reasons) and self.reasons[0].step == "settled"

    @property
    def why(self) -> str:
        return self.reasons[0].plain if self.reasons else "no reason was recorded"

    def has(self, code: Code) -> bool:
        """Whether this is among its reasons."""
        return any(reason.code == code for reason in self.reasons)

    @property
    def amount(self) -> str:
        """`57.9 % fewer tokens`, empty if nothing was measured."""
        change: Number = self.row.get("change_percent")
        if is_missing(change) or self.row.get("tool_failure"):
            return ""
        return f"{number(abs(change), 1)} % {self.fewer if change > 0 else 'more'} {self.thing}"

    @property
    def fewer(self) -> str:
        return "fewer" if self.thing == "tokens" else "less"

    @property
    def interval(self) -> str:
        return _interval(self.row.get("low"), self.row.get("high"), self.fewer)

    @property
    def measured(self) -> str:
        """The amount with its interval, empty if nothing was measured."""
        return f"{self.amount} ({self.interval})" if self.amount else ""


def in_short(data: RunData) -> InShort:
    """What a reader should know after one minute."""
    judged = _judged(data)
    advice, command = next_step(data, [(claim.row, claim.reasons) for claim in judged])
    said = " ".join(filter(None, (_asked(data), *(_results(data, judged)))))
    return InShort(said, advice, command)


def _judged(data: RunData) -> list[JudgedClaim]:
    rows = [row for row in records(data.verdicts) if row["task"] == ALL]
    tools, models = ({str(row[name]) for row in rows} for name in ("approach", "models"))
    found = []
    for row in rows:
        approach, model = str(row["approach"]), str(row["models"])
        words = {"reference": what_is_shown(str(row["reference"])), "approach": what_is_shown(approach)}
        name = tool_name(approach)
        if is_agent(approach) and not all(map(is_agent, tools)):
            name = f"{name} in the agent"
        shown = name if len(tools) > 1 else "", model if len(models) > 1 else ""
        noun = {"noun": name} if is_agent(approach) else {}
        meanings = meanings_of(data.why(row), words, str(row.get("tool_failure") or ""))
        found.append(JudgedClaim(row, *shown, tuple(meanings), **noun))
    return found


def tool_name(approach: str) -> str:
    """The tool of an arm, as people call it."""
    return agent_tool_of(approach) or approach.removeprefix(TOOL_PREFIX) or approach


def what_is_shown(approach: str) -> str:
    """What the model gets in an arm."""
    known = {
        "baseline": "the raw files",
        "tools": "the findings of the tools",
        "no_context": "no context at all",
        AGENT: "an agent that looks into the files itself",
        AGENT_FLOOR: "an agent that sees no file",
    }
    if tool := agent_tool_of(approach):
        return f"the same agent with {tool}"
    if approach.startswith(TOOL_PREFIX):
        return f"the findings of {tool_name(approach)}"
    return known.get(approach, f"the arm {approach}")


def _asked(data: RunData) -> str:
    """What was asked, of which models and how.

    `llama3.2:1b answered the same 18 questions (6 tasks) with the raw files and with the findings of the tools.`
    """
    samples = data.samples
    if not len(samples):
        return "Nothing was measured yet."
    if not (samples["status"] == "completed").any():
        none = "the only request was not" if len(samples) == 1 else f"none of {plural(len(samples), 'request')} was"
        return f"Nothing was measured: {none} completed."
    questions = len(samples[["task", "case"]].drop_duplicates())
    on = f"{plural(questions, 'question')} from {plural(samples['task'].nunique(), 'task')}"
    models = listing(data.models, MOST_NAMED)
    present = set(samples["approach"])
    compared = [name for name in data.compared if name in present]
    if data.reference not in present or not compared:
        run = [name for name in data.approaches if name in present]
        verb = "was" if len(run) == 1 else "were"
        return f"{models} answered {on}, but there is nothing to compare: only {listing(run, MOST_NAMED)} {verb} run."
    groups: dict[str, list[str]] = {}
    for name in compared:
        groups.setdefault(reference_for(name, data.reference), []).append(name)
    return f"{models} answered the same {on}, {'; '.join(_both_ways(*group) for group in groups.items())}."


def _both_ways(reference: str, arms: list[str]) -> str:
    """`once with the raw files and once with the findings of the tools`."""
    each = "the same agent with each tool" if is_agent(reference) else "the findings of each tool"
    several = f"{each}: {listing([tool_name(name) for name in arms], MOST_NAMED)}"
    return f"once with {what_is_shown(reference)} and once with {what_is_shown(arms[0]) if len(arms) == 1 else several}"


def _results(data: RunData, judged: list[JudgedClaim]) -> Iterator[str]:
    if not (data.samples["status"] == "completed").any():
        return
    failed = dict.fromkeys((claim.name, claim.why) for claim in judged if claim.row.get("tool_failure"))
    for name, why in list(failed)[:MOST_NAMED]:
        yield f"The figures do not describe {name}: {why}."
    rest = [claim for claim in judged if not claim.row.get("tool_failure")]
    for word, said in _SAID.items():
        yield from said([claim for claim in rest if claim.word == word and not claim.settled])
    for claim in (claim for claim in rest if claim.settled):
        yield f"{_using(claim)} makes no difference to {claim.thing}: {_short(claim)}."
    if any(claim.tool for claim in judged):
        yield "The ranking below has the figures of each tool."


def _using(claim: JudgedClaim) -> str:
    return f"Using {claim.name}"


def _saves(group: list[JudgedClaim]) -> Iterator[str]:
    for claims in _by_name(group):
        first = claims[0]
        quality = signed(first.row.get("claim_quality_difference"), 3)
        worst = signed(first.row.get("claim_quality_bound"), 3)
        rider = f" But {_brevity(first)}." if _brevity(first) else ""
        answers = f"with answers that are no worse (score {quality}, at worst {worst}, on a scale of 0 to 1)"
        yield f"{_what(claims, 'saves')}, {answers}.{rider}"
    yield from _others(group)


def _costs(group: list[JudgedClaim]) -> Iterator[str]:
    for claims in _by_name(group):
        but = ", but the answers are better" if claims[0].has("better_answers") else ""
        yield f"{_what(claims, 'costs extra')}{but}."
    yield from _others(group)


def _what(claims: list[JudgedClaim], verb: str) -> str:
    """`Using ctags saves tokens and time: 58.3 % fewer tokens (…) and 53.3 % less time (…)`."""
    things = listing([claim.thing for claim in claims])
    amounts = _short(claims[0]) if len(claims) == 1 else listing([claim.measured for claim in claims])
    return f"{_using(claims[0])} {verb} {things}: {amounts}"


def _by_name(group: list[JudgedClaim]) -> list[list[JudgedClaim]]:
    """Claims of one tool and model together, no more than are named."""
    found: dict[str, list[JudgedClaim]] = {}
    for claim in group:
        found.setdefault(claim.name, []).append(claim)
    return list(found.values())[:MOST_NAMED]


def _others(group: list[JudgedClaim]) -> Iterator[str]:
    left = len({claim.name for claim in group}) - MOST_NAMED
    if left > 0:
        yield f"The same holds for {number(left)} more."


def _brevity(claim: JudgedClaim) -> str:
    """What else a saving may be due to; empty if that is ruled out or was not examined."""
    if claim.has("brevity"):
        return "an excerpt of the same length does as well, so it is brevity that saves, not this tool"
    return "it may be their brevity that saves, not what they say" if claim.has("brevity_open") else ""


def _open(group: list[JudgedClaim]) -> Iterator[str]:
    """Claims that are open, those of one reason in one sentence."""
    for why, claims in _alike(group):
        tools, models = _names(claims, "tool"), _names(claims, "model")
        subject = listing(tools, MOST_NAMED) if tools else f"using {claims[0].noun}"
        verb = "save" if len(tools) > 1 else "saves"
        things = " or ".join(dict.fromkeys(claim.thing for claim in claims))
        on = f" on {listing(models, MOST_NAMED)}" if models else ""
        measured = listing([f"{claim.measured}{claim.where}" for claim in claims if claim.measured], MOST_NAMED)
        # the figures of several tools are in the ranking
        seen = f" Measured: {measured}." if not tools and any(claim.measured for claim in claims) else ""
        yield f"Whether {subject} {verb} {things}{on} is open, because {why}.{seen}"


def _invalid(group: list[JudgedClaim]) -> Iterator[str]:
    for why, claims in _alike(group):
        things = " or ".join(dict.fromkeys(claim.thing for claim in claims))
        names = list(dict.fromkeys(claim.name if claim.tool else claim.model for claim in claims))
        which = f" {'with' if claims[0].tool else 'on'} {listing(names, MOST_NAMED)}" if any(names) else ""
        yield f"Nothing can be said about {things}{which}: {why}."


def _names(claims: list[JudgedClaim], which: Literal["tool", "model"]) -> list[str]:
    return list(dict.fromkeys(name for claim in claims if (name := getattr(claim, which))))


def _alike(group: list[JudgedClaim]) -> list[tuple[str, list[JudgedClaim]]]:
    """Claims that one sentence can be about.

    They have one reason, and are about the same things for each tool and model.
    """
    things: dict[tuple[str, str], list[JudgedClaim]] = {}
    for claim in group:
        things.setdefault((claim.why, claim.name), []).append(claim)
    found: dict[tuple[str, ...], list[JudgedClaim]] = {}
    for (why, _), claims in things.items():
        found.setdefault((why, *(claim.thing for claim in claims)), []).extend(claims)
    return [(key[0], claims) for key, claims in found.items()]


def _short(claim: JudgedClaim) -> str:
    """The amount and its interval where it was said of what."""
    return f"{claim.amount.removesuffix(f' {claim.thing}')} ({claim.interval})"


def _interval(low: Number, high: Number, fewer: str) -> str:
    """The interval of a ratio as percent fewer and more."""
    if is_missing(low) or is_missing(high) or float(high) == float("inf"):
        return "no usable interval"
    if high <= 1:
        return f"95 % interval: {number(100 * (1 - high), 1)} to {number(100 * (1 - low), 1)} % {fewer}"
    if low >= 1:
        return f"95 % interval: {number(100 * (low - 1), 1)} to {number(100 * (high - 1), 1)} % more"
    return f"95 % interval: from {_percent(low, fewer)} to {_percent(high, fewer)}"


def _percent(ratio: float, fewer: str) -> str:
    return f"{number(100 * abs(1 - ratio), 1)} % {fewer if ratio < 1 else 'more'}"


_SAID = {"saves": _saves, "costs": _costs, "inconclusive": _open, "invalid": _invalid}
