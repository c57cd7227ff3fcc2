"""A tool that failed in most cases: that comes first, in every format, and no figure speaks for it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from ai_dev_tools.benchmark.prompts import read_prompts, write_prompts
from ai_dev_tools.benchmark.records.sample import Sample, SampleError, read_block, write_block
from ai_dev_tools.benchmark.records.table_files import read_table
from ai_dev_tools.benchmark.reporting.formats import structured
from support.report_runs import Run, everything, fail, make_run, make_tables, notices, report_of, shown

MESSAGE = "lint ended with exit code 2: cannot read lint.toml"


def run_with_failing_tool(
    folder: Path, failing: int, arms: tuple[str, ...] = ("baseline", "tools", "no_context")
) -> Run:
    """A run of one task and eight cases, of which the tool failed in the first ones."""

    def fails(approach: str, case: str) -> bool:
        return approach == "tools" and int(case.removeprefix("case")) < failing

    def change(sample: Sample) -> Sample:
        return fail(sample, name="tool", message=MESSAGE) if fails(sample.approach, sample.case) else sample

    run = make_run(folder / "light", tasks=("safety_assessment",), approaches=arms, change=change)
    for path in run.inputs.prompts:
        rows = [
            msgspec.structs.replace(row, prompt=None, error=SampleError("tool", MESSAGE)) if fails(*key[::-1]) else row
            for key, row in read_prompts(path).items()
        ]
        write_prompts(path, rows)
    make_tables(run)
    return run


@pytest.mark.parametrize("failing", [8, 5])
def test_a_tool_that_failed_in_most_cases_is_the_headline_and_the_first_reason(tmp_path: Path, failing: int) -> None:
    report = report_of(run_with_failing_tool(tmp_path, failing))
    said = f"the tool failed in {failing} of 8 cases"
    for verdict in report.verdicts:
        assert verdict.headline == said
        assert verdict.reasons.startswith(f"{said}: {MESSAGE}")
        assert f"{said}: {MESSAGE}" in verdict.sentence
        assert verdict.word != "saves"
    assert f"tools: {said}: {MESSAGE}" in notices(report)
    assert set(report.comparison_metrics.values()) == {None}


def test_every_format_says_so_and_none_shows_a_saving(tmp_path: Path) -> None:
    run = run_with_failing_tool(tmp_path, 8)
    formats = everything(report_of(run)) | {"html": shown(run)}
    for name, text in formats.items():
        if name != "csv":
            assert "the tool failed in 8 of 8 cases" in text, name
            assert "cannot read lint.toml" in text.replace("\\", ""), name
    verdicts = json.loads(formats["json"])["verdicts"]
    assert not [verdict for verdict in verdicts if "more tokens" in verdict["headline"]]
    assert "Token Reduction: not available" in formats["txt"]


@pytest.mark.parametrize("failing", [0, 1, 4])
def test_a_tool_that_failed_in_half_of_the_cases_or_fewer_is_judged_by_the_others(tmp_path: Path, failing: int) -> None:
    run = run_with_failing_tool(tmp_path, failing)
    assert "the tool failed" not in notices(report_of(run))
    assert set(read_table(run.folder / "tables" / "verdicts.csv")["tool_failure"].dropna()) == set()


ODD = "lint: no such option; the tool of the reference is fine: see lint.toml; bye"


def test_what_a_tool_said_does_not_break_its_reason_in_two(tmp_path: Path) -> None:
    def change(sample: Sample) -> Sample:
        return fail(sample, name="tool", message=ODD) if sample.approach != "no_context" else sample

    arms = ("tools-a", "tools-b", "no_context")
    run = make_run(
        tmp_path / "light", tasks=("safety_assessment",), approaches=arms, reference="tools-a", change=change
    )
    report = report_of(run)
    for verdict in report.verdicts:
        assert (
            verdict.headline
            == "the tool failed in 8 of 8 cases; the tool of the reference tools-a failed in 8 of 8 cases"
        )
    table = read_table(run.folder / "tables" / "reasons.csv")
    whole = table[(table["claim"] == "tokens:tools-b") & (table["task"] == "(all)")]
    assert list(whole["code"])[:2] == ["tool_failed", "reference_tool_failed"]
    assert json.loads(whole["values"].iloc[0]) == {"failed": "8", "cases": "8", "message": ODD}
    assert "" not in set(whole["code"])


# --- every figure names its arm -----------------------------------------------------------------------------------


def two_tools(folder: Path, reference: str = "baseline") -> Run:
    arms = ("baseline", "tools-a", "tools-b", "no_context")
    return make_run(folder / "light", tasks=("safety_assessment",), approaches=arms, reference=reference)


def test_with_several_tools_every_headline_figure_names_its_arm(tmp_path: Path) -> None:
    report = report_of(two_tools(tmp_path))
    content = structured.render(report, 1)
    assert content["compared"] == {"reference": "baseline", "approach": "tools-a"}
    assert {"tools-a", "tools-b"} <= set(content["approaches"])
    formats = everything(report)
    for arm in ("tools-a", "tools-b"):
        assert f"baseline vs {arm}" in formats["txt"]
        assert f"**baseline vs {arm}**" in formats["md"]
    assert "Baseline vs Tools:" not in formats["txt"]


def test_with_the_usual_arms_the_figures_stand_under_their_usual_title(tmp_path: Path) -> None:
    run = make_run(tmp_path / "light", tasks=("safety_assessment",))
    formats = everything(report_of(run))
    assert "Baseline vs Tools:" in formats["txt"]
    assert json.loads(formats["json"])["compared"] == {"reference": "baseline", "approach": "tools"}


def test_a_tool_as_reference_is_not_compared_with_itself(tmp_path: Path) -> None:
    report = report_of(two_tools(tmp_path, reference="tools-a"))
    content = structured.render(report, 1)
    assert content["compared"] == {"reference": "tools-a", "approach": "tools-b"}
    assert content["comparison_metrics"]["token_reduction_percent"] is not None
    assert "tools-a vs tools-b" in everything(report)["txt"]


def test_the_comparison_of_several_tools_stands_under_their_names_on_the_page(tmp_path: Path) -> None:
    assert report_of(two_tools(tmp_path)).section("comparison").title == "baseline vs tools-a and tools-b"
    usual = make_run(tmp_path / "usual" / "light", tasks=("safety_assessment",))
    assert report_of(usual).section("comparison").title == "Baseline vs Tools Comparison"


# --- during an episode --------------------------------------------------------------------------------------------

DIED = "index: its MCP server ended with exit code 3: the index is corrupt"


def run_with_a_tool_that_dies(folder: Path, dies: Callable[[Sample], bool], message: str = DIED) -> Run:
    """A run of agents whose tool can be offered, so that their prompts are there, and dies when it is used."""

    def change(sample: Sample) -> Sample:
        return (
            fail(sample, name="tool", message=message) if sample.approach == "agent-index" and dies(sample) else sample
        )

    arms = ("agent", "agent-index", "agent-none")
    return make_run(folder / "light", tasks=("safety_assessment",), approaches=arms, reference="agent", change=change)


def test_what_a_tool_said_when_it_died_in_an_episode_is_reported_in_every_format(tmp_path: Path) -> None:
    run = run_with_a_tool_that_dies(tmp_path, lambda sample: True)
    for name, text in (everything(report_of(run)) | {"html": shown(run)}).items():
        if name != "csv":
            assert "the tool failed in 8 of 8 cases" in text, name
            assert "ended with exit code 3: the index is corrupt" in text.replace("\\", ""), name
            assert "no message" not in text, name


def test_the_message_that_was_most_frequent_is_one_visible_line(tmp_path: Path) -> None:
    run = run_with_a_tool_that_dies(tmp_path, lambda sample: sample.sample != 0, "bad\x1b[31m\nindex")
    (said,) = set(read_table(run.folder / "tables" / "verdicts.csv")["tool_failure"].dropna())
    assert said == "the tool failed in 7 of 8 cases: bad␛[31m index"


def test_a_case_counts_if_the_tool_failed_in_most_of_its_samples(tmp_path: Path) -> None:
    run = make_run(
        tmp_path / "light", tasks=("safety_assessment",), approaches=("agent", "agent-index"), reference="agent"
    )
    samples = [sample for path in run.inputs.blocks for sample in read_block(path)]
    again = [
        msgspec.structs.replace(sample, sample=sample.sample + 8 * n, repeat=n) for n in (1, 2) for sample in samples
    ]
    for failing, told in ((1, set()), (2, {f"the tool failed in 8 of 8 cases: {DIED}"})):
        asked = [
            fail(msgspec.structs.replace(sample), name="tool", message=DIED)
            if sample.approach == "agent-index" and sample.repeat < failing
            else sample
            for sample in [*samples, *again]
        ]
        write_block(run.inputs.blocks[0], asked)
        make_tables(run, "agent")
        assert set(read_table(run.folder / "tables" / "verdicts.csv")["tool_failure"].dropna()) == told
