"""In short: one paragraph that a maker of a tool understands, with the advice and the command that follow from it."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pandas as pd
import pytest

from ai_dev_tools.benchmark.analysis.reasons import COLUMNS, SENTENCES, Reason, reason, reason_rows
from ai_dev_tools.benchmark.config.sources import parse_overrides
from ai_dev_tools.benchmark.plugins import CHECKS
from ai_dev_tools.benchmark.records.sample import Sample
from ai_dev_tools.benchmark.reporting.build import build_report
from ai_dev_tools.benchmark.reporting.data import RunData, read_run
from ai_dev_tools.benchmark.reporting.document import QUIET, RANK, Facts
from ai_dev_tools.benchmark.reporting.sections.reasons import FLAGGED_BY, MEANINGS, NOTES
from support.report_runs import Change, Run, in_short, make_run, make_tables, report_of


def in_turns(sample: Sample) -> Sample:
    """Each of three arms is asked first as often as the others."""
    case, place = divmod(sample.order, 3)
    sample.order = 3 * case + (place + sample.sample) % 3
    start = pd.Timestamp("2026-01-02T08:00:00Z") + pd.Timedelta(seconds=20 * sample.order)
    sample.started_at = start.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return sample


def busy(sample: Sample) -> Sample:
    """Other programs took the processor."""
    assert sample.resources is not None
    sample.resources = msgspec.structs.replace(sample.resources, other_cpu_s=3 * (sample.duration_s or 0))
    return sample


def worse(*arms: str) -> Change:
    """Those arms answer wrong every time."""

    def change(sample: Sample) -> Sample:
        if sample.approach in arms:
            sample.answer, sample.score = {"risk": "LOW", "names": []}, 0.0
            sample.response = json.dumps(sample.answer)
        return sample

    return change


AGAIN = """snakemake --cores all --config profile=light-again 'profiles={"light-again": {"extends": "light"}}'"""


@pytest.mark.parametrize(
    ("how", "said", "advice", "command"),
    [
        pytest.param(
            {"samples": 40},
            r"Using the findings saves tokens and time: \d+\.\d % fewer tokens \(95 % interval: [\d.]+ to [\d.]+ % fewer\) and "
            r"[\d.]+ % less time \(.*\), with answers that are no worse \(score 0\.000, at worst -0\.\d+, "
            r"on a scale of 0 to 1\)\.$",
            "Turn on the controls, to see whether the content of the findings helps, or just their brevity.",
            "snakemake --cores all --config profile=light approaches=all",
            id="saves",
        ),
        pytest.param(
            {"samples": 12, "ratio": 1.6},
            r"Using the findings costs extra tokens and time: [\d.]+ % more tokens \(95 % interval: [\d.]+ to [\d.]+ % more\) and ",
            "Seal the run as one file that others can check.",
            "snakemake archive --cores all --config profile=light",
            id="costs",
        ),
        pytest.param(
            {"samples": 8},
            r"Whether using the findings saves tokens or time is open, because 8 projects are too few to show that the answers are "
            r"not worse\. Measured: [\d.]+ % fewer tokens \(.*\) and [\d.]+ % less time \(.*\)\.$",
            "Ask more: about ",
            "snakemake --cores all --config profile=light samples=",
            id="inconclusive for lack of power",
        ),
        pytest.param(
            {"samples": 8, "models": ("smollm2:135m",), "profile": "embedded", "change": worse("baseline", "tools")},
            r"is open, because with the raw files the model does not demonstrably do better than guessing \(no_context\), so equal "
            r"answers prove nothing\.",
            "Run a larger model: smollm2:135m cannot answer these questions well enough to judge a tool.",
            "snakemake --cores all --config profile=coder",
            id="inconclusive because of the floor",
        ),
        pytest.param(
            {"samples": 8, "change": worse("tools")},
            r"is open, because with the findings of the tools the model does not demonstrably do better than guessing ",
            "Read the answers that got worse",
            "",
            id="inconclusive because of quality",
        ),
        pytest.param(
            {"samples": 8, "change": busy},
            r"Nothing can be said about time: other programs kept the processor busy during 100 % of the pairs\.$",
            "Measure again, on a machine that is otherwise idle.",
            AGAIN,
            id="invalid",
        ),
    ],
)
def test_in_short_says_what_holds_why_and_what_to_do_next(
    tmp_path: Path, how: dict[str, Any], said: str, advice: str, command: str
) -> None:
    change = how.pop("change", lambda sample: sample)
    run = make_run(tmp_path, tasks=("repo_analysis",), change=lambda sample: change(in_turns(sample)), **how)
    short = in_short(report_of(run))
    model = run.about.models[0]
    asked = f"{model} answered the same {how['samples']} questions from 1 task, once with the raw files and once with the findings"
    assert short.text.startswith(f"{asked} of the tools. ")
    assert re.search(said, short.text), short.text
    assert short.advice.startswith(advice)
    assert short.command.startswith(command) if command else not short.command


INTERVAL = reason("interval", low="0.95", high="1.05")
EQUIVALENT = reason("equivalent", low="0.95", high="1.05")
REASONS = [
    ("inconclusive", reason("interim", present=3, planned=24), "only 3 of 24 planned samples are there"),
    ("inconclusive", reason("vetoed", task="bugs", veto=0.2), "the answers on bugs get worse"),
    ("inconclusive", reason("mixed", cheaper="a", more_expensive="b"), "it depends on the task: cheaper on a, but more expensive"),
    ("inconclusive", reason("bill_other_way", way="cheaper", bill="1.02"), "the average question is cheaper, but"),
    ("inconclusive", reason("unused", episodes=1), "the agent did not use the tool in its only episode"),
    ("inconclusive", reason("few_clusters", clusters=1, least=6), "one project is too few to generalise"),
    ("inconclusive", INTERVAL, "too uncertain to rule out chance"),
    ("inconclusive", EQUIVALENT, "Using the findings makes no difference to tokens: 40.0 %"),
    ("inconclusive", reason("not_continued", plan="abc", changes="tasks left out; and more"), "the plan was changed after samples"),
    ("inconclusive", Reason("", "something; that nobody has heard of"), "is open, because something; that nobody has heard of."),
    ("saves", reason("brevity"), "But an excerpt of the same length does as well"),
    ("costs", reason("better_answers", difference="+0.30"), " % fewer), but the answers are better."),
    ("invalid", reason("lost", percent=12, limit=5, mostly=""), "about tokens: 12 % of the pairs were lost to failed requests."),
    ("invalid", reason("flagged", percent=30, limit=5, check="cache_hit"), "had part of the prompt in its cache in 30 % of"),
    ("invalid", reason("flagged", percent=30, limit=5, check="mine"), "the check mine flagged 30 % of the pairs"),
]  # fmt: skip
EARLIER = [
    ("interim look: 3 of 24 planned samples are there", "only 3 of 24 planned samples are there"),
    ("mixed: cheaper on a; dearer on b", "it depends on the task: cheaper on a, but more expensive on b"),
    ("the mean case is dearer but the whole bill is not (0.98 of the reference)", "the average question is more expensive, but"),
    ("something that nobody has heard of", "is open, because something that nobody has heard of."),
]  # fmt: skip


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> RunData:
    run = make_run(tmp_path_factory.mktemp("small"), tasks=("repo_analysis",), samples=2)
    return read_run(run.inputs.tables, run.about, run.inputs.plans)


def reasons_table(rows: Sequence[Mapping[str, Any]], reasons: Sequence[Sequence[Reason]]) -> pd.DataFrame:
    """The reasons of these verdicts."""
    keys = [(str(row["profile"]), str(row["claim"]), str(row["models"]), str(row["task"])) for row in rows]
    made = [row for key, each in zip(keys, reasons, strict=True) for row in reason_rows(key, each)]
    return pd.DataFrame(made, columns=COLUMNS)


def judged(data: RunData, word: str, *reasons: Reason, **more: Any) -> RunData:
    """The run with one verdict."""
    row = data.verdicts[data.verdicts["claim"] == "tokens:tools"].iloc[:1]
    known = {"verdict": word, "ratio": 0.6, "low": 0.5, "high": 0.7, "change_percent": 40.0}
    verdicts = row.assign(**known, **more)
    return replace(data, verdicts=verdicts, reasons=reasons_table(verdicts.to_dict("records"), [reasons]))


@pytest.mark.parametrize(("word", "why", "said"), REASONS, ids=[why.code or "unknown" for _, why, _ in REASONS])
def test_every_kind_of_reason_has_plain_words(small: RunData, word: str, why: Reason, said: str) -> None:
    assert said in in_short(build_report(judged(small, word, why))).text


@pytest.mark.parametrize(("reasons", "said"), EARLIER, ids=[reasons.split(":")[0] for reasons, _ in EARLIER])
def test_reasons_of_a_table_of_an_earlier_version_have_plain_words(small: RunData, reasons: str, said: str) -> None:
    earlier = replace(judged(small, "inconclusive", reasons=reasons), reasons=pd.DataFrame())
    assert said in in_short(build_report(earlier)).text


def test_what_a_reason_means_can_be_said_with_its_values() -> None:
    words = {"reference": "", "approach": ""}
    for code, (plain, _) in [*MEANINGS.items(), *(("flagged", said) for said in FLAGGED_BY.values())]:
        values = dict.fromkeys(re.findall(r"\{(\w+)\}", SENTENCES[code]), "") | words  # type: ignore[index]
        assert plain.format_map(values)
    others = {"tool_failed", "reference_tool_failed", "brevity", "brevity_open", "better_answers", "capped"}
    assert {*MEANINGS, *NOTES, *others} == set(SENTENCES)


def test_a_tool_that_failed_is_said_to_have_failed_and_nothing_else(small: RunData) -> None:
    failure = "the tool failed in 9 of 9 cases: no such option <b>"
    short = in_short(build_report(judged(small, "inconclusive", tool_failure=failure)))
    assert short.text.endswith(f"The figures do not describe the findings: {failure}.")
    assert short.advice.startswith("Fix the tool")


def test_the_floor_that_a_claim_lacks_is_the_one_to_run(small: RunData) -> None:
    """Agents have a floor of their own, also beside prompts; one that was asked is not asked for again."""
    agents = {"approach": "agent-index", "reference": "agent"}
    short = in_short(build_report(judged(small, "inconclusive", reason("no_floor", floor="agent-none"), **agents)))
    assert short.advice == "Run the arm agent-none too: it shows what guessing scores."
    assert short.command.endswith(" approaches=baseline,tools,no_context,agent-none")
    apart = judged(small, "inconclusive", reason("floor_apart", floor="no_context"))
    assert in_short(build_report(apart)).advice.startswith("Run the same command again")


ADVICE = {
    "cpu_contention": ("idle", "light-again"),
    "tool_contention": ("Run the tools again", "--forcerun collect_contexts"),
    "prompt_truncated": ("context window", '"num_ctx": 16384'),
    "others_in_flight": ("one request at a time", '"max_concurrent": 1'),
    "model_loaded": ("keep the model loaded", "light-again"),
    "retried": ("under Errors", "light-again"),
    "options_changed": ("the same model, server, program and options", "light-again"),
    "token_counts_missing": ("Ask another server", ""),
    "not_adjacent": ("Ask all arms of a case together", "retry=pairs"),
    "of_a_plugin": ("under Validity checks", "light-again"),
}


@pytest.mark.parametrize("check", ADVICE)
def test_the_advice_for_an_invalid_claim_fits_the_check_that_failed(small: RunData, check: str) -> None:
    advice, words = ADVICE[check]
    short = in_short(build_report(judged(small, "invalid", reason("flagged", percent=30, limit=5, check=check))))
    assert advice in short.advice
    assert words in short.command
    assert bool(words) == bool(short.command)
    assert ("idle" in short.advice) == check.endswith("contention")


def test_every_built_in_check_that_takes_pairs_out_has_its_own_words() -> None:
    assert {*FLAGGED_BY} == {name for name, check in CHECKS.items() if check.built_in and check.voids}


def test_the_command_repeats_the_settings_of_the_call(small: RunData) -> None:
    given = {"tools": ["ctags", "lizard"], "endpoint": "http://gpu:11434", "samples": 2, "options": {"num_ctx": 4096}}
    data = replace(judged(small, "inconclusive", INTERVAL, samples_could_decide=40.0),
                   about=replace(small.about, given=given))  # fmt: skip
    assert in_short(build_report(data)).command == (
        "snakemake --cores all --config profile=light tools=ctags,lizard endpoint=http://gpu:11434 samples=40 "
        "'options={\"num_ctx\": 4096}'"
    )


def test_nothing_is_a_setting_that_the_command_repeats_too(small: RunData) -> None:
    """It takes away what config.yaml says, and without it another run would be asked."""
    given: dict[str, object] = {
        "tools": None,
        "budget": None,
        "options": {"seed": None, "num_ctx": 4096},
        "models": "null",
    }
    data = replace(judged(small, "inconclusive", INTERVAL, samples_could_decide=40.0),
                   about=replace(small.about, given=given))  # fmt: skip
    words = shlex.split(in_short(build_report(data)).command)
    assert "tools=" in words
    assert parse_overrides(words[words.index("--config") + 1 :]) == {"profile": "light", **given, "samples": 40}


def test_what_is_open_for_one_tool_only_is_not_said_of_another(small: RunData) -> None:
    (row,) = small.verdicts[(small.verdicts["claim"] == "tokens:tools") & (small.verdicts["task"] == "(all)")].to_dict(
        "records"
    )
    claims = [
        ("tools-a", "tokens", INTERVAL),
        ("tools-a", "time", EQUIVALENT),
        ("tools-b", "tokens", INTERVAL),
        ("tools-b", "time", INTERVAL),
    ]
    rows = [
        {**row, "claim": f"{thing}:{arm}", "approach": arm, "outcome": thing, "verdict": "inconclusive", "ratio": 0.99,
         "low": 0.97, "high": 1.01, "change_percent": 1.0}
        for arm, thing, _ in claims
    ]  # fmt: skip
    data = replace(small, verdicts=pd.DataFrame(rows), reasons=reasons_table(rows, [[why] for *_, why in claims]))
    text = in_short(build_report(data)).text
    assert "Whether a saves tokens is open, because" in text
    assert "Whether b saves tokens or time is open, because" in text
    assert "Using a makes no difference to time: 1.0 % less" in text


def quiet(run: Run, comparison: str) -> bool:
    """Whether the row of all tasks stands back in the comparison table."""
    table = next(table for table in report_of(run).tables if table.id == "comparisons")
    rows = [row for row in table.rows if (row["comparison"], row["approach"]) == (comparison, "tools")]
    return all(row[RANK] == QUIET for row in rows if row["task"] == "all tasks")


def methods(run: Run) -> str:
    """The texts of the section Methods."""
    facts = next(block for block in report_of(run).section("methods").blocks if isinstance(block, Facts))
    return "\n".join(text for _, text in facts.items)


def test_the_page_states_the_rules_that_were_in_force(tmp_path: Path) -> None:
    """Thresholds are settings: the text says those that the verdicts were judged with."""
    run = make_run(tmp_path, tasks=("repo_analysis",), samples=8)
    usual = methods(run)
    assert "Results from fewer than 6 clusters describe only these files" in usual
    assert "if more than 10 % are dropped, the verdict is invalid" in usual
    make_tables(run, min_clusters=9, max_dropped=0.125)
    changed = methods(run)
    assert "Results from fewer than 9 clusters describe only these files" in changed
    assert "if more than 12.5 % are dropped, the verdict is invalid" in changed
    compared = pd.read_csv(run.inputs.tables / "comparisons.csv")
    whole = compared[
        (compared["task"] == "(all)") & (compared["stratum"] == "(all)") & (compared["comparison"] == "tokens")
    ]
    assert set(whole["note"]) == {"only 8 clusters: describes these files only"}
    assert quiet(run, "tokens"), "the page does not stress what describes these files only"
    make_tables(run)
    assert not quiet(run, "tokens")


def test_what_was_chosen_for_one_model_is_not_carried_over_to_a_larger_one(tmp_path: Path) -> None:
    """Prices of another model are refused, and one sample decides nothing."""
    run = make_run(
        tmp_path,
        tasks=("repo_analysis",),
        change=lambda sample: worse("baseline", "tools")(in_turns(sample)),
        samples=8,
        models=("smollm2:135m",),
        profile="embedded",
    )
    given = {"prices": {"smollm2:135m": {"input": 1.0}}, "budget": 2.0, "samples": 8, "tasks": "repo_analysis"}
    run = replace(run, about=replace(run.about, given=given))
    assert in_short(report_of(run)).command == "snakemake --cores all --config profile=coder tasks=repo_analysis"
