"""Comparisons as pages: what changed, over which cases, in tokens, money and answers."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from ai_dev_tools.benchmark._util.text import number, percent
from ai_dev_tools.benchmark.analysis.money import with_prices
from ai_dev_tools.benchmark.analysis.samples import Samples
from ai_dev_tools.benchmark.comparison.page import table_page, write_overview
from ai_dev_tools.benchmark.comparison.run import StoredRun, open_run
from ai_dev_tools.benchmark.comparison.tables import arms, per_run, together
from ai_dev_tools.benchmark.errors import ConfigurationError
from ai_dev_tools.benchmark.records.prices import Rates
from ai_dev_tools.benchmark.records.sample import Sample
from support.overviews import LARGE, SMALL, compare, rows, said
from support.report_runs import fail, make_run, make_stored, with_identity


def test_a_comparison_has_a_page_markdown_json_tables_and_figures_with_their_data(comparison: Path) -> None:
    names = {path.name for path in comparison.iterdir()}
    tables = {"arms.csv", "effects_within_each_run.csv", "changes_between_the_runs.csv"}
    assert names == {"overview.html", "overview.md", "overview.json", "figures", *tables}
    figures = {path.name for path in (comparison / "figures").iterdir()}
    drawn = ("effects-forest", "changes-forest", "scaling", "quality")
    assert figures == {f"{name}.{end}" for name in drawn for end in ("svg", "png", "csv")}


def test_the_page_is_the_reports_own_kind_and_asks_nothing_of_a_network(comparison: Path) -> None:
    page = (comparison / "overview.html").read_text()
    for section in ("changed", "effects", "changes", "repetition", "scaling", "quality", "arms", "errors", "scope"):
        assert f'<section id="{section}"' in page
    assert page.count("<svg ") == 4
    assert 'id="theme"' in page
    assert "Content-Security-Policy" in page
    links = re.findall(r'(?:src|href|xlink:href)="([^"]+)"', page)
    assert all(link.startswith("#") for link in links)
    ids = re.findall(r'\sid="([^"]+)"', re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL))
    assert len(ids) == len(set(ids))


def test_every_figure_says_what_to_conclude_and_has_a_text_for_those_who_cannot_see_it(content: dict[str, Any]) -> None:
    for figure in content["page"]["figures"].values():
        assert len(figure["caption"]) > 60
        assert len(figure["alt"]) > 40


def test_printed_numbers_are_the_tables_numbers_to_the_last_digit(comparison: Path, content: dict[str, Any]) -> None:
    page, text = (comparison / "overview.html").read_text(), (comparison / "overview.md").read_text()
    table = pd.read_csv(comparison / "arms.csv")
    assert len(table) == len(content["arms"]) == len(rows(content, "arms")) == 9
    for known, shown in zip(content["arms"], rows(content, "arms"), strict=True):
        assert {key: known[key] for key in shown} == shown
    for row in table.to_dict("records"):
        cells = [row["run"], row["model"], row["approach"], number(row["samples"]), percent(row["success_rate"])]
        cells += [number(row["quality"], 3), number(row["input_tokens_mean"], 1)]
        assert re.search(r"\s*</td>\s*<td[^>]*>".join(re.escape(cell) for cell in cells), page)
        assert " | ".join(cells).replace(":", "\\:").replace("_", "\\_") in text


def test_only_cases_that_both_asked_are_compared(tmp_path: Path) -> None:
    runs = [make_stored(tmp_path, name, samples=count) for name, count in (("light", 4), ("medium", 7))]
    content = compare(tmp_path, *runs)
    assert content["cases"] == {"repo_analysis": 4}
    assert content["left_out"] == 3 * 3
    assert {(row["shared"], row["before"], row["after"]) for row in rows(content, "cases")} == {(4, 0, 3)}
    assert {row["samples"] for row in content["arms"]} == {4}


def test_what_changed_lists_verdicts_identity_hardware_and_versions_with_differences_first(
    content: dict[str, Any],
) -> None:
    verdicts = {(row["claim"], row["model"]): row for row in rows(content, "verdicts-changed")}
    assert verdicts["tokens:tools", SMALL]["change"] == "same"
    assert verdicts["tokens:tools", LARGE]["change"] == "only medium"
    entries = {row["what"]: row for row in rows(content, "identity")}
    assert (entries["Measured on"]["before"].split(",")[0], entries["Measured on"]["change"]) == ("Laptop", "differs")
    assert "Q8_0" in entries[f"Model {SMALL}"]["after"]
    assert entries["Server version"]["change"] == "same"
    assert entries["Prompts"]["change"] == "same"
    order = [row["change"] == "same" for row in rows(content, "identity")]
    assert order == sorted(order)
    assert "Two machines" in said(content)


def test_a_machine_that_was_not_recorded_is_not_another_machine(tmp_path: Path) -> None:
    with_identity(make_run(tmp_path / "light", tasks=("repo_analysis",), samples=3), "Laptop", {SMALL: "1.2B"})
    content = compare(tmp_path, open_run(tmp_path / "light"), make_stored(tmp_path, "medium"))
    entries = {row["what"]: row for row in rows(content, "identity")}
    assert entries["Measured on"]["change"] == "only light"
    assert "Two machines" not in said(content)


def test_of_arms_that_score_alike_none_is_called_the_best_alone(tmp_path: Path) -> None:
    content = compare(tmp_path, make_stored(tmp_path, "light"), make_stored(tmp_path, "medium"))
    scores = {(row["approach"], row["run"]): number(row["quality"], 3) for row in rows(content, "arms")}
    best = max(scores.values())
    assert list(scores.values()).count(best) == 4
    said = content["page"]["figures"]["quality"]["caption"]
    assert said.startswith(f"Best: {best} of 1 by tools on {SMALL} · light, baseline on {SMALL} · light, ")
    assert "and 1 more" in said


def test_a_verdict_of_one_run_only_is_not_counted_as_changed(comparison: Path) -> None:
    text = (comparison / "overview.md").read_text()
    assert "4 verdicts: 0 changed, 2 the same, 2 of one run only." in text


def test_changes_over_all_tasks_stand_before_those_of_single_tasks(content: dict[str, Any]) -> None:
    whole = [row["task"] == "all tasks" for row in rows(content, "changes")]
    assert whole == sorted(whole, reverse=True)
    assert any(whole)


def test_a_verdict_that_became_another_one_is_seen(tmp_path: Path) -> None:
    def refused(sample: Sample) -> Sample:
        return fail(sample) if sample.sample % 3 == 0 and sample.approach == "tools" else sample

    before, after = (
        make_stored(tmp_path, name, samples=7, **more)
        for name, more in (("light", {}), ("medium", {"change": refused}))
    )
    content = compare(tmp_path, before, after)
    words = {row["claim"]: (row["before"], row["after"], row["change"]) for row in rows(content, "verdicts-changed")}
    assert words["tokens:tools"] == ("inconclusive", "invalid", "changed")


def test_prompts_that_differ_are_told_before_tokens_are_compared(tmp_path: Path) -> None:
    before, after = make_stored(tmp_path, "light"), make_stored(tmp_path, "medium")
    after.samples["prompt_sha256"] = "another" + after.samples["prompt_sha256"].astype(str)
    assert "The prompts are not the same (9 of 9 differ)" in said(compare(tmp_path, before, after))


def test_runs_of_one_profile_are_kept_apart(tmp_path: Path) -> None:
    runs = []
    for name, ratio in (("monday", 0.5), ("tuesday", 0.9)):
        make_run(tmp_path / name, profile="light", tasks=("repo_analysis",), samples=4, ratio=ratio)
        runs.append(open_run(tmp_path / name))
    content = compare(tmp_path, *runs)
    assert {(row["run"], row["profile"], row["samples"]) for row in content["arms"]} == {
        ("monday", "light", 4), ("tuesday", "light", 4)
    }  # fmt: skip
    tokens = [
        row for row in content["effects_within_each_run"] if (row["approach"], row["comparison"]) == ("tools", "tokens")
    ]
    found = {row["run"]: row["value"] for row in tokens}
    assert found["monday"] < 0.6 < 0.8 < found["tuesday"]


def test_runs_without_a_common_model_say_so(tmp_path: Path) -> None:
    before, after = make_stored(tmp_path, "light", models=(SMALL,)), make_stored(tmp_path, "medium", models=(LARGE,))
    content = compare(tmp_path, before, after)
    assert "No model was asked in both runs" in said(content)
    assert content["changes_between_the_runs"] == []
    assert "there is no change to draw" in (tmp_path / "comparison" / "overview.html").read_text()
    assert "scaling" in content["page"]["figures"]


def test_runs_that_share_no_case_are_refused(tmp_path: Path) -> None:
    before = make_stored(tmp_path, "light", tasks=("repo_analysis",), samples=2)
    after = make_stored(tmp_path, "medium", tasks=("safety_assessment",), samples=2)
    with pytest.raises(ConfigurationError, match="'light' and 'medium' share no case"):
        compare(tmp_path, before, after)


# ------------------------------------------------------------------------------------------------------ plain tables


def test_tables_of_others_become_a_page_of_the_same_kind(tmp_path: Path) -> None:
    tables = {"Two words": pd.DataFrame({"a_name": ["x|y"], "count": [3], "share": [0.25]}), "Empty": pd.DataFrame()}
    write_overview(tmp_path, table_page("Title", ["A lead."], tables), tables, {"more": 1})
    content = json.loads((tmp_path / "overview.json").read_text())
    assert content["two_words"] == [{"a_name": "x|y", "count": 3, "share": 0.25}]
    assert content["more"] == 1
    assert "| x\\|y | 3 | 0.250 |" in (tmp_path / "overview.md").read_text()
    page = (tmp_path / "overview.html").read_text()
    assert "Nothing to show." in page
    assert 'class="sortable"' in page


def test_what_is_made_for_each_run_starts_with_its_name_in_the_order_of_the_runs(
    members: tuple[StoredRun, StoredRun],
) -> None:
    runs = [members[1], members[0]]
    table = per_run(Samples.prepare(together(runs)), [run.name for run in runs], arms)
    assert table.columns[0] == "run"
    assert list(dict.fromkeys(table["run"])) == ["medium", "light"]


# ------------------------------------------------------------------------------------------------------- money


def with_money(run: StoredRun, currency: str = "USD") -> StoredRun:
    rates = {model: Rates(input=1.0, output=4.0) for model in set(run.samples["model"])}
    return replace(run, samples=with_prices(run.samples, rates, currency))


def test_runs_with_prices_are_compared_in_money_too(members: tuple[StoredRun, StoredRun], tmp_path: Path) -> None:
    before, _ = members
    content = compare(tmp_path, with_money(before), with_money(replace(before, name="again")))
    for table in ("effects", "changes"):
        assert {"tokens", "time", "money", "quality"} == {row["comparison"] for row in rows(content, table)}, table
    changed = [row for row in rows(content, "changes") if row["comparison"] == "money"]
    assert {row["value"] for row in changed} == {1.0}


@pytest.mark.parametrize("currency", ["EUR", None], ids=["another currency", "no prices"])
def test_money_of_two_runs_is_compared_only_in_one_currency(
    members: tuple[StoredRun, StoredRun], tmp_path: Path, currency: str | None
) -> None:
    before, _ = members
    after = replace(before, name="again")
    content = compare(tmp_path, with_money(before), with_money(after, currency) if currency else after)
    within = {row["run"] for row in rows(content, "effects") if row["comparison"] == "money"}
    assert within == {"light", "again"} if currency else {"light"}, "a ratio within one run needs no other"
    assert "money" not in {row["comparison"] for row in rows(content, "changes")}


# ------------------------------------------------------------------------------------------------------------- agents


@pytest.mark.parametrize("prompts", [("baseline", "tools"), ()], ids=["beside prompts", "alone"])
def test_an_agent_with_a_tool_is_compared_with_the_agent(tmp_path: Path, prompts: tuple[str, ...]) -> None:
    arms_of = (*prompts, "agent", "agent-index", "agent-none")
    ratios = {"agent-index": 0.5, "agent-none": 0.2}
    runs = [make_stored(tmp_path, name, approaches=arms_of, ratios=ratios) for name in ("light", "medium")]
    content = compare(tmp_path, *runs)
    found = {row["approach"]: row for row in rows(content, "effects") if row["comparison"] == "tokens"}
    against = {"agent-index": "agent", "agent-none": "agent"} | ({"tools": "baseline"} if prompts else {})
    assert {arm: row["reference"] for arm, row in found.items()} == against
    assert found["agent-index"]["value"] == pytest.approx(0.5, rel=0.2)
    words = content["page"]["figures"]["effects-forest"]["caption"]
    assert words.startswith(f"Fewer tokens than {'agent or baseline' if prompts else 'agent'} in ")
