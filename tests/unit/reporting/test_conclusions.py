"""Captions, cards and notices say what follows from the run at hand, and nothing that does not."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pandas as pd
import pytest

from ai_dev_tools.benchmark._util.text import number
from ai_dev_tools.benchmark.analysis.samples_table import ALL
from ai_dev_tools.benchmark.records.plan import Plan, declare_plan, read_plans
from ai_dev_tools.benchmark.records.sample import Sample
from ai_dev_tools.benchmark.reporting.build import SCHEMA_VERSION
from ai_dev_tools.benchmark.reporting.data import records
from ai_dev_tools.benchmark.reporting.document import Facts, Figure, Report, Table
from ai_dev_tools.benchmark.reporting.formats import badge, console, html, structured
from ai_dev_tools.benchmark.reporting.sections.headline import verdict_of
from support.invented import verdicts
from support.report_runs import Change, Run, make_run, notices, report_of, with_identity


def figure(report: Report, name: str) -> Figure:
    return next(figure for figure in report.figures if figure.id == name)


def table(report: Report, name: str) -> Table:
    return next(table for table in report.tables if table.id == name)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return make_run(tmp_path_factory.mktemp("run"), models=("llama3.2:1b", "llama3.2:3b"))


# ------------------------------------------------------------------------------------------------------------- cards


def test_a_card_says_the_claim_in_words_and_how_sure_its_number_is_before_anything_is_unfolded(report: Report) -> None:
    verdict = report.verdicts[0]
    assert verdict.statement == "fewer tokens with tools"
    card = html.section_html(report.section("verdicts"), {}).split("<details>")[0]
    assert "fewer tokens with tools" in card
    assert f"ratio {dict(verdict.evidence)['ratio']}" in card


def test_a_card_without_a_smallest_ratio_to_find_names_none(tmp_path: Path) -> None:
    report = report_of(make_run(tmp_path, tasks=("repo_analysis",), samples=1))
    assert {verdict.word for verdict in report.verdicts} == {"inconclusive"}
    assert not any(text.startswith("a ratio of –") for verdict in report.verdicts for _, text in verdict.evidence)


@pytest.mark.parametrize(
    ("models", "said"),
    [
        (("smollm2:135m",), "smollm2:135m is too small"),
        (("smollm2:135m", "smollm2:360m"), "smollm2:135m and smollm2:360m are too small"),
        (("smollm2:1.7b",), ""),
        (("model-of-unknown-size",), ""),
    ],
)
def test_only_a_model_known_to_be_small_is_called_too_small(tmp_path: Path, models: tuple[str, ...], said: str) -> None:
    report = report_of(make_run(tmp_path, profile="embedded", models=models, tasks=("repo_analysis",), samples=1))
    assert said in notices(report)
    assert ("too small" in notices(report)) == bool(said)


def test_the_size_that_the_server_stated_counts_more_than_the_name(tmp_path: Path) -> None:
    run = make_run(tmp_path, models=("tiny-7b",), tasks=("repo_analysis",), samples=1)
    with_identity(run, "Laptop", {"tiny-7b": "90M"})
    assert "tiny-7b is too small" in notices(report_of(run))


def unreadable(share: float, *arms: str) -> Change:
    """So many of each ten answers of these arms are no JSON."""

    def change(sample: Sample) -> Sample:
        if sample.approach in arms and sample.sample % 10 < 10 * share:
            return msgspec.structs.replace(sample, answer=None, response="It is high, I think.", score=0.0)
        return sample

    return change


@pytest.mark.parametrize(("share", "said"), [(0.0, False), (0.1, False), (0.2, True), (1.0, True)])
def test_an_arm_of_which_more_than_a_tenth_could_not_be_read_is_named_everywhere(
    tmp_path: Path, share: float, said: bool
) -> None:
    run = make_run(tmp_path, tasks=("repo_analysis",), samples=10, change=unreadable(share, "tools"))
    report = report_of(run)
    arm = f"tools on llama3.2:1b ({number(100 * share, 1)} %: {number(10 * share)} of 10)"
    content = structured.render(report, SCHEMA_VERSION)
    printed = " ".join(console.as_text(console.summary(content)).split())
    cards = [dict(verdict.evidence).get("unreadable", "") for verdict in report.verdicts]
    assert ("could not be read" in notices(report)) is said
    assert ("could not be read" in printed) is said
    assert cards == ([f"tools {number(100 * share, 1)} %"] if said else [""]) * len(cards)
    if said:
        assert arm in notices(report)
        assert arm in printed
        assert "unreadable" in html.section_html(report.section("verdicts"), {})
    assert "baseline on" not in notices(report)


def test_a_card_names_the_unreadable_answers_of_both_its_arms(tmp_path: Path) -> None:
    change = unreadable(0.5, "baseline", "tools", "no_context")
    report = report_of(make_run(tmp_path, tasks=("repo_analysis",), samples=10, change=change))
    assert dict(report.verdicts[0].evidence)["unreadable"] == "baseline 50.0 % and tools 50.0 %"


# ---------------------------------------------------------------------------------------------------------- captions


def test_the_forest_plots_caption_tells_of_every_model_and_counts_what_is_settled(report: Report) -> None:
    drawn = figure(report, "forest-tools")
    for model in ("llama3.2:1b", "llama3.2:3b"):
        assert f"Over all tasks on {model}: tokens ratio 0.6" in drawn.caption
    tasks = drawn.data[~drawn.data["overall"]]
    left = [int(((tasks["panel"] == panel) & (tasks["high"] < 0.95)).sum()) for panel in tasks["panel"].unique()]
    assert f"Of 4 rows of single tasks, entirely left of the band: tokens {left[0]}, time {left[1]};" in drawn.caption


def test_the_scatters_caption_names_who_is_on_the_front(tmp_path: Path) -> None:
    report = report_of(make_run(tmp_path, approaches=("baseline", "tools"), ratio=0.5, samples=6))
    assert "On it, over all tasks: tools." in figure(report, "pareto").caption


def test_quality_is_told_relative_to_the_floor_and_a_missing_floor_is_named(report: Report, tmp_path: Path) -> None:
    scores = {row["approach"]: row["quality"] for row in table(report, "metrics").rows if row["model"] == "all models"}
    caption = figure(report, "controls").caption
    assert f"The floor (no_context) scores {number(scores['no_context'], 3)}" in caption
    assert f"baseline +{number(scores['baseline'] - scores['no_context'], 3)}" in caption
    without = report_of(make_run(tmp_path, approaches=("baseline", "tools"), samples=2))
    assert "The floor (no_context) has no score here" in figure(without, "controls").caption


def test_the_strips_caption_names_the_cheapest_and_the_dearest_task(run: Run, report: Report) -> None:
    samples = pd.read_parquet(run.inputs.tables / "samples.parquet")
    middle = samples[samples["approach"] == "baseline"].groupby("task")["total_tokens"].median().sort_values()
    ends = [f"{number(middle[task])} ({run.about.tasks[task]})" for task in middle.index]
    assert f"goes from {ends[0]} to {ends[-1]} tokens" in figure(report, "strip").caption


@pytest.mark.parametrize(("ratio", "way"), [(0.5, "shorter"), (1.6, "longer")])
def test_a_tool_that_saves_no_time_is_not_said_to_save_some(tmp_path: Path, ratio: float, way: str) -> None:
    report = report_of(make_run(tmp_path, ratio=ratio, samples=4))
    caption = figure(report, "breakeven").caption
    assert f"s {way} for 0.20 s of tool" in caption
    assert "saves" not in caption


def test_pauses_are_no_measuring(tmp_path: Path) -> None:
    lasted: list[float] = []

    def an_hour_later(sample: Sample) -> Sample:
        lasted.append(sample.duration_s or 0.0)
        started = pd.Timestamp(sample.started_at) + pd.Timedelta(hours=sample.sample // 2)
        sample.started_at = started.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        return sample

    report = report_of(make_run(tmp_path, tasks=("repo_analysis",), samples=4, change=an_hour_later))
    assert f"{number(sum(lasted), 1)} s of measuring" in figure(report, "timeline").caption


def test_captions_name_the_files_in_which_the_rest_is(run: Run, report: Report) -> None:
    for name, column in (("costs", "task"), ("metrics", "low")):
        assert f"../tables/{name}.csv" in table(report, name).caption
        assert column in pd.read_csv(run.inputs.tables / f"{name}.csv").columns
    files = next(block for block in report.section("files").blocks if isinstance(block, Facts))
    assert "../figures/*.svg, *.png, *.csv" in dict(files.items)


# ------------------------------------------------------------------------------------------------------------ tables


def test_every_comparison_of_the_run_is_listed(run: Run, report: Report) -> None:
    made = pd.read_csv(run.inputs.tables / "comparisons.csv")["comparison"].unique()
    assert {row["comparison"] for row in table(report, "comparisons").rows} == {n.replace("_", " ") for n in made}


def test_a_run_can_compare_with_another_arm_than_the_baseline(tmp_path: Path) -> None:
    arms = ("excerpt", "tools", "no_context")
    report = report_of(make_run(tmp_path, approaches=arms, reference="excerpt", samples=6))
    assert {row["approach"] for row in table(report, "comparisons").rows} == {"tools", "no_context"}
    assert figure(report, "forest-tools").title == "Cost of tools relative to excerpt"
    assert report.comparison_metrics["token_reduction_percent"] is not None
    assert set(report.more["approaches"]) == {"tools", "no_context"}


def test_the_known_efficiency_improvement_is_the_one_of_the_efficiency_table(tmp_path: Path) -> None:
    def half_of_the_tools(sample: Sample) -> Sample | None:
        return None if sample.approach == "tools" and sample.sample > 3 else sample

    report = report_of(make_run(tmp_path, tasks=("repo_analysis",), samples=8, change=half_of_the_tools))
    (row,) = (
        row for row in table(report, "efficiency").rows if row["approach"] == "tools" and row["task"] == "all tasks"
    )
    assert row["model"] == "llama3.2:1b"  # of a single model nothing is said twice
    assert report.comparison_metrics["efficiency_improvement_percent"] == pytest.approx(row["change_percent"])


def test_a_cost_that_was_not_measured_is_absent_from_the_figures_data_and_not_zero(tmp_path: Path) -> None:
    def without_reading(sample: Sample) -> Sample:
        if sample.approach == "tools":
            sample.prompt_eval_s = None
        return sample

    data = figure(report_of(make_run(tmp_path, samples=2, change=without_reading)), "cost").data
    reading = data[data["part"] == "read prompt"].set_index("bar")["value"]
    assert reading["baseline"] > 0
    assert pd.isna(reading["tools"])


def test_a_missing_ledger_is_not_said_to_have_flagged_nothing(run: Run, tmp_path: Path) -> None:
    bare = make_run(tmp_path, samples=1)
    for end in ("csv", "parquet"):
        (bare.inputs.tables / f"validity.{end}").unlink()
    assert "No check flagged" not in table(report_of(bare), "validity").caption


def test_how_far_a_verdict_about_one_repository_reaches_is_said_in_every_format(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    (declared,) = read_plans(run.folder / "plans.jsonl")
    plan = Plan.from_content(declared.content() | {"single_source": list(declared.tasks)})
    (run.folder / "plans.jsonl").unlink()
    declare_plan(run.folder / "plans.jsonl", plan)
    samples = pd.read_parquet(run.folder / "tables" / "samples.parquet")
    judged = verdicts(samples, read_plans(run.folder / "plans.jsonl"), resamples=0)
    cards = [verdict_of(row) for row in records(judged) if row["task"] == ALL]
    assert cards
    for card in cards:
        for said in (card.headline, card.detail, card.sentence, badge.render(card)):
            assert "for this repository only" in said
