"""The first page: a paragraph that a maker of a tool understands, a ranking, and nothing in the way."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import shlex
import subprocess
import sys
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pandas as pd
import pytest

from ai_dev_tools.benchmark.records.sample import Sample
from ai_dev_tools.benchmark.reporting import figures as plots
from ai_dev_tools.benchmark.reporting import usual_format
from ai_dev_tools.benchmark.reporting.build import SCHEMA_VERSION, build_report
from ai_dev_tools.benchmark.reporting.data import RunData, read_run
from ai_dev_tools.benchmark.reporting.document import InShort, Report
from ai_dev_tools.benchmark.reporting.formats import console, structured
from support.report_runs import Change, Run, everything, make_run, report_of, shown

SIX = (
    "safety_assessment",
    "pattern_detection",
    "context_analysis",
    "tensorflow_context",
    "repo_analysis",
    "systematic_fix",
)


def in_short(report: Report) -> InShort:
    return next(block for _, block in report.blocks() if isinstance(block, InShort))


def in_turns(sample: Sample) -> Sample:
    """Each of three arms is asked first as often as the others."""
    case, place = divmod(sample.order, 3)
    sample.order = 3 * case + (place + sample.sample) % 3
    start = pd.Timestamp("2026-01-02T08:00:00Z") + pd.Timedelta(seconds=20 * sample.order)
    sample.started_at = start.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return sample


def of_its_own_project(sample: Sample) -> Sample:
    """No two tasks ask about the same project."""
    sample.cluster = f"{sample.task}/{sample.case}"
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


# ---------------------------------------------------------------------------------------------------------- in short


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


# ------------------------------------------------------------------------------------------------------------ ranking

TOOLS = {"tools-ctags": 0.9, "tools-repomix": 0.4, "tools-lizard": 1.5}


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Three tools: one saves a lot, one a little, one costs."""
    arms = ("baseline", *TOOLS, "no_context")
    return make_run(
        tmp_path_factory.mktemp("three"), tasks=("repo_analysis",), approaches=arms, samples=30, ratios=TOOLS
    )


def test_tools_are_ranked_and_every_figure_is_the_one_of_its_tool(three: Run) -> None:
    report = report_of(three)
    table = next(table for table in report.tables if table.id == "ranking")
    assert [row["tool"] for row in table.rows] == ["repomix", "ctags", "lizard"]
    assert [row["place"] for row in table.rows] == [1, 2, 3]
    verdicts = pd.read_csv(three.inputs.tables / "verdicts.csv")
    paid = pd.read_csv(three.inputs.tables / "break_even.csv")
    compared = pd.read_csv(three.inputs.tables / "comparisons.csv")
    for row in table.rows:
        arm = f"tools-{row['tool']}"
        for thing in ("tokens", "time"):
            (judged,) = verdicts[(verdicts.claim == f"{thing}:{arm}") & (verdicts.task == "(all)")].to_dict("records")
            assert (row[thing], row[f"{thing}_low"], row[f"{thing}_high"]) == pytest.approx(
                (judged["ratio"], judged["low"], judged["high"])
            )
            assert str(row[f"{thing}_verdict"]).endswith(judged["verdict"])
        chosen = (compared.approach == arm) & (compared.comparison == "quality") & (compared.task == "(all)")
        (quality,) = compared[chosen & (compared.model == "llama3.2:1b") & (compared.stratum == "(all)")].to_dict(
            "records"
        )
        assert row["quality"] == pytest.approx(quality["value"])
        (cost,) = paid[(paid.approach == arm) & (paid.task == "(all)") & (paid.model == "llama3.2:1b")].to_dict(
            "records"
        )
        assert row["tool_s"] == pytest.approx(cost["tool_s"])


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


def test_the_ranking_stands_before_the_cards_and_in_every_text(three: Run) -> None:
    report = report_of(three)
    names = [type(block).__name__ for block in report.section("verdicts").blocks]
    assert names.index("InShort") < names.index("Table") < names.index("Verdicts")
    texts = everything(report)
    for name in ("md", "txt", "json"):
        assert "Ranking of the tools" in texts[name]
    for tool in ("ctags", "repomix", "lizard"):
        assert tool in in_short(report).text
    assert json.loads(texts["json"])["tables"]["ranking"]["rows"][0]["tool"] == "repomix"


def test_of_one_tool_there_is_no_ranking(tmp_path: Path) -> None:
    report = report_of(make_run(tmp_path, tasks=("repo_analysis",), samples=3))
    assert not [table for table in report.tables if table.id == "ranking"]
    assert "ranking" not in in_short(report).text


# ------------------------------------------------------------------------------------------------- folding, and sizes


@pytest.fixture(scope="module")
def usual(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run like the default one: six tasks, three arms, three samples."""
    return make_run(
        tmp_path_factory.mktemp("usual"),
        tasks=SIX,
        samples=3,
        models=("smollm2:135m",),
        profile="embedded",
        change=of_its_own_project,
    )


@pytest.fixture(scope="module")
def usual_report(usual: Run) -> Report:
    return report_of(usual)


def test_rows_that_settle_nothing_are_folded_away_and_none_is_lost(usual: Run, usual_report: Report) -> None:
    page = shown(usual)
    block = page[page.index('id="table-comparisons"') :]
    block = block[: block.index("</table>")]
    quiet = re.findall(r'<tr class="quiet">(.*?)</tr>', block, re.DOTALL)
    loud = re.findall(r"<tr>(<td.*?)</tr>", block, re.DOTALL)
    assert f"also show the {len(quiet)} rows that settle nothing" in block
    assert all("describes these files only" in row or 'data-v=""' in row or "∞" in row for row in quiet)
    assert not any("describes these files only" in row or "∞" in row for row in loud)
    table = next(table for table in usual_report.tables if table.id == "comparisons")
    assert len(quiet) > 50
    assert (
        len(quiet) + len(loud) == len(table.rows) == structured.csv_tables(usual_report)["comparisons"].count("\n") - 1
    )


def test_where_no_row_settles_anything_the_page_says_so(tmp_path: Path) -> None:
    run = make_run(tmp_path, tasks=("repo_analysis",), samples=2)
    table = next(table for table in report_of(run).tables if table.id == "comparisons")
    assert len(table.rows) == table.quiet > 5
    assert "No row of this table settles anything yet." in shown(run)


def test_the_texts_of_a_usual_run_are_short_and_name_the_files_with_the_rest(usual_report: Report) -> None:
    texts = everything(usual_report)
    assert len(texts["md"].encode()) <= 12_000
    assert len(texts["txt"].encode()) <= 20_000
    files = set(structured.csv_tables(usual_report)) - {"verdicts"}
    for name in ("md", "txt"):
        told = " ".join(texts[name].replace("\\", "").split())
        assert set(re.findall(r"tables/([a-z-]+)\.csv", told)) <= files
        for table in usual_report.tables:
            if len(table.main) < len(table.rows):
                assert f"tables/{table.id}.csv" in told, f"{table.id} in report.{name}"


# ------------------------------------------------------------------------------------------------------------ figures

HOSTILE = '</title><script>alert(1)</script><g id="tip-0"> & "x" \x1b[31m \u202e #1c2024 url(#a) '


def test_every_figure_has_values_under_the_pointer_and_foreign_names_in_them_are_text(usual: Run) -> None:
    about = replace(usual.about, tasks=dict.fromkeys(SIX, HOSTILE) | {SIX[0]: "Plain"})
    report = report_of(Run(usual.folder, about))
    for figure in report.figures:
        picture = plots.svg(plots.draw(figure.plot, figure.data, figure.options))
        inside = plots.inline_svg(picture, figure.id, "title", "alt")
        for text in (picture[picture.index("<svg") :], f"{inside}"):
            root = ET.fromstring(text)
            titles = [element.text or "" for element in root.iter("{http://www.w3.org/2000/svg}title")]
            assert len(titles) > 3, figure.id
            assert all(any(sign.isdigit() for sign in title) for title in titles), figure.id
            assert not [e for e in root.iter() if e.tag.endswith("script")]
            assert not {"\x1b", "\u202e"} & set(text)
            assert "var(--ink" not in "".join(titles)
    assert any("url(#a)" in title for title in titles) or figure.id == "cost"


# ------------------------------------------------------------------------------------------------------------ console


def ends(folder: Path, *, terminal: bool) -> str:
    """What a finished run says at its end, on a real terminal or into a pipe."""
    code = (
        "import sys; from pathlib import Path; from ai_dev_tools.cli.command_request import show\n"
        "show(Path(sys.argv[1]), 'light', None, '', False)"
    )
    if not terminal:
        done = subprocess.run([sys.executable, "-c", code, folder], capture_output=True, text=True, check=True)
        return done.stdout
    ours, theirs = os.openpty()
    process = subprocess.Popen([sys.executable, "-c", code, folder], stdout=theirs, stderr=subprocess.DEVNULL)
    os.close(theirs)
    said = b""
    with contextlib.suppress(OSError):  # Linux ends a terminal's output so
        while piece := os.read(ours, 65536):
            said += piece
    os.close(ours)
    assert process.wait() == 0
    return said.decode().replace("\r\n", "\n")


def test_the_last_words_are_for_people_in_a_terminal_and_json_in_a_pipe(tmp_path: Path) -> None:
    run = make_run(tmp_path / "results" / "light", tasks=("repo_analysis",), samples=3)
    report = report_of(run)
    (run.folder / "report").mkdir()
    content = structured.render(report, SCHEMA_VERSION)
    (run.folder / "report" / "report.json").write_text(json.dumps(content))
    short = in_short(report)
    words = ends(tmp_path, terminal=True)
    assert " ".join(short.text.split()) in " ".join(words.split())
    for verdict in report.verdicts:
        assert f"{verdict.word}  {verdict.claim} on {verdict.model}" in words
        assert verdict.reasons in " ".join(words.split())
    assert f"Next: {short.advice}\n   {short.command}\n" in words
    assert len(words.splitlines()) < 50
    assert json.loads(ends(tmp_path, terminal=False))["in_short"]["command"] == short.command


def test_a_long_command_stays_one_line_that_can_be_copied(tmp_path: Path) -> None:
    run = make_run(tmp_path, tasks=("repo_analysis",), samples=3)
    given = {"tasks": [f"task_{number}" for number in range(40)], "plan": {"alpha": 0.01}, "samples": 3}
    content = structured.render(report_of(Run(run.folder, replace(run.about, given=given))), SCHEMA_VERSION)
    command = content["in_short"]["command"]
    assert len(command) > 300
    assert command in console.as_text(console.summary(content))
    assert "'plan={\"alpha\": 0.01}'" in command
    assert shlex.split(command)[:4] == ["snakemake", "--cores", "all", "--config"]


@pytest.mark.parametrize(("stream", "wanted"), [("terminal", "console"), ("pipe", "json")])
def test_the_usual_format_follows_where_it_goes(stream: str, wanted: str) -> None:
    class Stream(io.StringIO):
        def isatty(self) -> bool:
            return stream == "terminal"

    assert usual_format(Stream()) == wanted
