"""In short: one paragraph that a maker of a tool understands, with the advice and the command that follow from it."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pandas as pd
import pytest

from ai_dev_tools.benchmark.records.sample import Sample
from ai_dev_tools.benchmark.reporting.build import build_report
from ai_dev_tools.benchmark.reporting.data import RunData, read_run
from support.report_runs import Change, in_short, make_run, report_of


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


REASONS = [
    ("inconclusive", "interim look: 3 of 24 planned samples are there", "only 3 of 24 planned samples are there"),
    ("inconclusive", "quality vetoed by bugs: a loss beyond 0.2 is shown there", "the answers on bugs get worse"),
    ("inconclusive", "mixed: cheaper on a, but more expensive on b", "it depends on the task: cheaper on a, but more"),
    ("inconclusive", "mixed: cheaper on a; dearer on b", "it depends on the task: cheaper on a, but more expensive on b"),
    ("inconclusive", "the mean case is cheaper but the whole bill is not (1.02", "the average question is cheaper, but"),
    ("inconclusive", "the mean case is dearer but the whole bill is not (0.98", "the average question is more expensive, but"),
    ("inconclusive", "the interval reaches the margin of 0.95 or 1.05", "too uncertain to rule out chance"),
    ("inconclusive", "equivalent: the ratio lies within 0.95 and 1.05", "Using the findings makes no difference to tokens: 40.0 %"),
    ("inconclusive", "plan abc is not continued: tasks left out", "the plan was changed after samples had been seen"),
    ("inconclusive", "something that nobody has heard of", "is open, because something that nobody has heard of."),
    ("saves", "brevity, not this tool: answers are not shown", "But an excerpt of the same length does as well"),
    ("costs", "its answers are surely better: +0.30 in score", " % fewer), but the answers are better."),
    ("invalid", "12% of pairs were lost to infrastructure", "about tokens: 12 % of the pairs were lost to failed requests."),
]  # fmt: skip


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> RunData:
    run = make_run(tmp_path_factory.mktemp("small"), tasks=("repo_analysis",), samples=2)
    return read_run(run.inputs.tables, run.about, run.inputs.plans)


def judged(data: RunData, word: str, reasons: str, **more: Any) -> RunData:
    """The run with one verdict."""
    row = data.verdicts[data.verdicts["claim"] == "tokens:tools"].iloc[:1]
    known = {"verdict": word, "reasons": reasons, "ratio": 0.6, "low": 0.5, "high": 0.7, "change_percent": 40.0}
    return replace(data, verdicts=row.assign(**known, **more))


@pytest.mark.parametrize(("word", "reasons", "said"), REASONS, ids=[reasons.split(":")[0] for _, reasons, _ in REASONS])
def test_every_kind_of_reason_has_plain_words(small: RunData, word: str, reasons: str, said: str) -> None:
    assert said in in_short(build_report(judged(small, word, reasons))).text


def test_a_tool_that_failed_is_said_to_have_failed_and_nothing_else(small: RunData) -> None:
    failure = "the tool failed in 9 of 9 cases: no such option <b>"
    short = in_short(build_report(judged(small, "inconclusive", failure, tool_failure=failure)))
    assert short.text.endswith(f"The figures do not describe the findings: {failure}.")
    assert short.advice.startswith("Fix the tool")


def test_the_command_repeats_the_settings_of_the_call(small: RunData) -> None:
    given = {"tools": ["ctags", "lizard"], "endpoint": "http://gpu:11434", "samples": 2, "options": {"num_ctx": 4096}}
    data = replace(judged(small, "inconclusive", "the interval reaches the margin", samples_could_decide=40.0),
                   about=replace(small.about, given=given))  # fmt: skip
    assert in_short(build_report(data)).command == (
        "snakemake --cores all --config profile=light tools=ctags,lizard endpoint=http://gpu:11434 samples=40 "
        "'options={\"num_ctx\": 4096}'"
    )


def test_what_is_open_for_one_tool_only_is_not_said_of_another(small: RunData) -> None:
    (row,) = small.verdicts[(small.verdicts["claim"] == "tokens:tools") & (small.verdicts["task"] == "(all)")].to_dict(
        "records"
    )
    why = "the interval reaches the margin of 0.95 or 1.05"
    claims = [
        ("tools-a", "tokens", why),
        ("tools-a", "time", "equivalent: within"),
        ("tools-b", "tokens", why),
        ("tools-b", "time", why),
    ]
    rows = [
        {**row, "approach": arm, "outcome": thing, "verdict": "inconclusive", "reasons": reasons, "ratio": 0.99,
         "low": 0.97, "high": 1.01, "change_percent": 1.0}
        for arm, thing, reasons in claims
    ]  # fmt: skip
    text = in_short(build_report(replace(small, verdicts=pd.DataFrame(rows)))).text
    assert "Whether a saves tokens is open, because" in text
    assert "Whether b saves tokens or time is open, because" in text
    assert "Using a makes no difference to time: 1.0 % less" in text
