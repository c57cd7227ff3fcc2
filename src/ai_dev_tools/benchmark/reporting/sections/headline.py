"""What a reader sees first: what was claimed, what holds, how sure, and what to beware of."""

from __future__ import annotations

from collections.abc import Sequence

from ai_dev_tools.benchmark._util.text import Number, interval, is_missing, listing, number, percent, plural, signed
from ai_dev_tools.benchmark.analysis.reasons import Reason, earlier_reasons
from ai_dev_tools.benchmark.analysis.rows import Row
from ai_dev_tools.benchmark.analysis.samples_table import ALL
from ai_dev_tools.benchmark.analysis.wording import ONE_REPOSITORY
from ai_dev_tools.benchmark.records.prices import MONEY, money
from ai_dev_tools.benchmark.reporting.data import RunData, records
from ai_dev_tools.benchmark.reporting.document import Block, Notice, Section, Verdict, Verdicts
from ai_dev_tools.benchmark.reporting.sections.in_short import in_short
from ai_dev_tools.benchmark.reporting.sections.next_step import small_models
from ai_dev_tools.benchmark.reporting.sections.ranking import ranking
from ai_dev_tools.benchmark.reporting.sections.unreadable_answers import (
    UnreadableAnswers,
    unread,
    unread_evidence,
    unread_notices,
)

MEANINGS = {
    "saves": "cheaper beyond the margin, at no worse quality",
    "costs": "more expensive beyond the margin",
    "inconclusive": "the data do not settle it",
    "invalid": "the measurement cannot be trusted",
}


def headline(data: RunData) -> Section:
    """The run in short, notices, a ranking of several tools, then one card per claim and model."""
    arms = unread(data)
    rows = [row for row in records(data.verdicts) if row["task"] == ALL]
    items = tuple(verdict_of(row, arms, amounts_paid(data, row), data.why(row)) for row in rows)
    blocks = (in_short(data), *notices(data), *ranking(data), Verdicts(items, _why_none(data)))
    return Section("verdicts", "Verdicts", blocks, lead=count_words(items))


def count_words(items: tuple[Verdict, ...]) -> str:
    """`2 claims: 1 saves, 1 inconclusive.`"""
    counts = [
        f"{number(sum(v.word == word for v in items))} {word}"
        for word in MEANINGS
        if any(v.word == word for v in items)
    ]
    return (
        f"{plural(len(items), 'claim')} judged, one per model and kind of cost: {', '.join(counts)}." if items else ""
    )


def _could_find(row: Row) -> str:
    """Of which ratio a run like this one would say "saves"; the power column is for a ratio of 0.80."""
    chance = f"0.80 with {percent(row['power'], 0)}"
    mde = row.get("mde_ratio")
    return f"a ratio of {number(mde, 2)} (80 % power), {chance}" if not is_missing(mde) else f"a ratio of {chance}"


def _quality(row: Row, name: str) -> str:
    return f"{signed(row.get(f'{name}_difference'), 3)} (at worst {signed(row.get(f'{name}_bound'), 3)})"


def verdict_of(
    row: Row,
    arms: list[UnreadableAnswers] | None = None,
    amounts: str = "",
    reasons: Sequence[Reason] = (),
) -> Verdict:
    """The card of a row of the verdicts table; `arms` are those whose answers often could not be read.

    Args:
        amounts: the result of a claim about money, in words.
        reasons: of the verdict; without any, what its tool said is read from the row.
    """
    thing, word = str(row["outcome"]), row["verdict"] or "inconclusive"
    fewer = "fewer" if thing == "tokens" else "less"
    change: Number = None if row.get("tool_failure") else row.get("change_percent")
    if failure := str(row.get("tool_failure") or ""):
        headline = _failed(reasons) or _failed(earlier_reasons(failure)) or failure
    elif is_missing(change):
        headline = f"no estimate of {thing}"
    else:
        measured = "" if word in ("saves", "costs") else "measured: "
        headline = f"{measured}{number(abs(change), 1)} % {fewer if change > 0 else 'more'} {thing}"
    reach = ONE_REPOSITORY if str(row["scope"]).endswith(ONE_REPOSITORY) else ""
    return Verdict(
        claim=str(row["claim"]),
        word=word,
        label=str(row["label"] or ""),
        model=str(row["models"]),
        profile=str(row["profile"]),
        headline=f"{headline}, {reach}" if reach else headline,
        detail=f"{row['approach']} against {row['reference']}, {row['scope']}",
        sentence=str(row["sentence"] or ""),
        reasons=str(row["reasons"] or ""),
        evidence=tuple(_evidence(row, arms or [], amounts)),
        statement=f"{fewer} {thing} with {row['approach']}",
        reach=reach,
    )


def _evidence(row: Row, arms: list[UnreadableAnswers], amounts: str) -> list[tuple[str, str]]:
    """What a verdict is based on, by its name."""
    evidence = [
        (
            "based on",
            f"{plural(row['pairs'], 'pair')}, {plural(row['cases'], 'case')}, {plural(row['clusters'], 'cluster')}",
        ),
        ("quality over all models", _quality(row, "claim_quality")),
        ("quality of this model", _quality(row, "quality")),
        *unread_evidence(row, arms),
    ]
    if not (row.get("tool_failure") or is_missing(row.get("change_percent"))):
        shown = f"{number(row.get('ratio'), 3)} (95 %: {interval(row.get('low'), row.get('high'), 3)})"
        evidence.insert(0, ("ratio", shown))
        evidence.insert(1, ("whole bill", f"{number(row.get('bill_ratio'), 3)} of {row['reference']}"))
        if amounts:
            evidence.insert(2, ("per thousand questions", amounts))
        evidence.append(("adjusted p", number(row.get("p_adjusted"), 4)))
    inconclusive = (row["verdict"] or "inconclusive") == "inconclusive"
    if inconclusive and not is_missing(row.get("power")):
        evidence.append(("could find", _could_find(row)))
    if inconclusive and not is_missing(row.get("samples_could_decide")):
        evidence.append(("could decide", plural(row["samples_could_decide"], "sample") + " per task"))
    return evidence


def _failed(reasons: Sequence[Reason]) -> str:
    """That tools failed, without what they said."""
    failures = [each for each in reasons if each.code in ("tool_failed", "reference_tool_failed")]
    return "; ".join(each.text.removesuffix(f": {each.values.get('message')}") for each in failures)


def amounts_paid(data: RunData, row: Row) -> str:
    """`0.42 USD instead of 0.61 USD`: a thousand mean requests of both arms.

    Empty for other outcomes.
    """
    if row["outcome"] != MONEY or not data.currency:
        return ""
    arms = (str(row[arm]) for arm in ("approach", "reference"))
    means: list[Number] = [
        data.metric("money_mean", model=str(row["models"]), approach=arm).get("value") for arm in arms
    ]
    if any(map(is_missing, means)):
        return ""
    ours, other = (money(1000 * float(mean), data.currency) for mean in means)
    return f"{ours} instead of {other}"


def _why_none(data: RunData) -> str:
    arms = set(data.samples["approach"])
    if not len(data.samples):
        return "No verdict: there is no sample."
    if not (data.samples["status"] == "completed").any():
        return "No verdict: no request was completed."
    if len(arms) == 1:
        return f"No verdict: only the approach {next(iter(arms))} was run, and a claim compares two."
    return "No verdict: this run made no claim that its samples can answer."


def notices(data: RunData) -> list[Block]:
    """What a reader must know before believing a number."""
    found: list[Block] = []
    samples = data.samples
    total, completed = len(samples), int((samples["status"] == "completed").sum())
    if not total:
        return [Notice("error", "This run has no samples yet: nothing was measured.")]
    if not completed:
        classes = [f"{name} ({count})" for name, count in samples["error_class"].value_counts().items() if name]
        found.append(
            Notice(
                "error",
                (
                    f"All {plural(total, 'request')} failed: "
                    f"{listing(classes) if classes else 'no reason recorded'}. No number below describes a model."
                ),
            )
        )
    elif completed < total:
        found.append(
            Notice(
                "warning",
                (
                    f"{number(total - completed)} of {plural(total, 'request')} were not completed "
                    f"({percent(1 - completed / total)}); they are listed under Errors and counted as failures, "
                    "never dropped."
                ),
            )
        )
    found += [
        Notice("error", f"{arm}: {said}. No figure of this arm says anything about it.")
        for arm, said in tool_failures(data).items()
    ]
    if data.expected and total < data.expected:
        found.append(
            Notice(
                "warning",
                (
                    f"Unfinished: {number(total)} of {number(data.expected)} planned samples are there. What "
                    "follows is an interim look; run the same command again to finish."
                ),
            )
        )
    found += unread_notices(data)
    found += _scope_notices(data)
    return found


def tool_failures(data: RunData) -> dict[str, str]:
    """What became of tools that failed in most cases, by arm."""
    rows = [row for row in records(data.verdicts) if row["task"] == ALL and row.get("tool_failure")]
    return {str(row["approach"]): str(row["tool_failure"]) for row in rows}


def _scope_notices(data: RunData) -> list[Block]:
    found: list[Block] = [*_too_small(data), *_supplied(data), *_fewer_arms(data)]
    arms = sorted(set(data.samples["approach"]))
    if len(arms) == 1:
        found.append(
            Notice("info", f"Single approach: only {arms[0]} was run, so there is nothing to compare it with.")
        )
    if len(data.samples) == 1:
        found.append(
            Notice("info", "Single sample: the numbers below describe one request and no spread can be given.")
        )
    present = set(data.samples["task"])
    if absent := [task for task in data.tasks if task not in present]:
        found.append(
            Notice(
                "warning",
                (
                    f"No sample of {listing([data.task_name(t) for t in absent])}: the scope of every statement is "
                    f"the remaining {plural(len(present), 'task')}."
                ),
            )
        )
    return found


def _too_small(data: RunData) -> list[Block]:
    """Models that only show that everything works."""
    small = small_models(data)
    if not small:
        return []
    text = (
        f"{listing(small)} {'is' if len(small) == 1 else 'are'} too small to judge quality: everything is real "
        "(prompts, token counts and times), but the answers are poor. Do not cite their "
        "quality, nor any verdict that depends on quality."
    )
    return [Notice("warning", text)]


def _supplied(data: RunData) -> list[Block]:
    """Tasks made of prompts: their author decided what each arm sees, and no tool was run."""
    supplied = data.about.supplied
    if not supplied:
        return []
    unscored = [data.task_name(task) for task, scored in supplied.items() if not scored]
    rest = f" Answers of {listing(unscored)} are not scored, so no verdict on it says 'saves'." if unscored else ""
    names = listing([data.task_name(task) for task in supplied])
    return [Notice("warning", f"{names}: context supplied by the user. No tool ran for it.{rest}")]


def _fewer_arms(data: RunData) -> list[Block]:
    """Tasks about whole repositories, for which arms with a single prompt do not exist."""
    return [
        Notice(
            "info",
            f"{data.task_name(task)}: only an agent can read its workspaces, so its only arms are {listing(list(arms))}.",
        )
        for task, arms in (data.plan.arms.items() if data.plan else ())
    ]
