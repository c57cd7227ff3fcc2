"""Samples are prepared once: the user's `validity:` and `plan.reference` reach everything that reads them."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ai_dev_tools.benchmark.analysis.comparison import compare
from ai_dev_tools.benchmark.analysis.metrics import compute_metrics
from ai_dev_tools.benchmark.analysis.samples import Samples
from ai_dev_tools.benchmark.analysis.validity_table import check_samples
from ai_dev_tools.benchmark.comparison import write_batch_report, write_comparison
from ai_dev_tools.benchmark.comparison.gate import judge_gate, parse_metrics
from ai_dev_tools.benchmark.comparison.run import StoredRun
from ai_dev_tools.benchmark.config.batches import Batch
from ai_dev_tools.benchmark.config.models import ValidityThresholds
from ai_dev_tools.benchmark.planning.planner import Target, plan, prospects
from ai_dev_tools.cli.benchmark_cli import main
from support.invented import declare, invent, judged
from support.project import make_project

STRICT = ValidityThresholds(other_cpu_cores=0.0, other_cpu_s=0.0)
"""Thresholds by which every sample of `busy` is void for time; by the default ones none is."""


def busy() -> pd.DataFrame:
    """Samples during each of which another program used a hundredth of a core second."""
    return invent(n=12)


def test_samples_are_prepared_once_and_passed_on() -> None:
    samples = Samples.prepare(busy(), STRICT, "tools")
    assert Samples.of(samples) is samples
    with pytest.raises(dataclasses.FrozenInstanceError):
        samples.reference = "baseline"  # type: ignore[misc]
    ledger = check_samples(samples)
    assert (ledger["status"] == "flagged").sum() == sum(np.sum(check.state == 1) for check in samples.checks)


def test_a_part_keeps_what_the_checks_found_among_all() -> None:
    table = busy()
    table.loc[table["approach"] == "tools", "session"] = "yesterday"
    tools = Samples.prepare(table).where("approach", "tools")
    assert tools.frame["why_time"].eq("other_session").all()
    assert tools.flagged("other_session").all()
    assert not Samples.prepare(tools.frame).frame["void_time"].any()  # by themselves nothing tells them apart


def test_what_is_impossible_stays_void_when_samples_are_checked_by_themselves() -> None:
    table = busy()
    table.loc[3, "duration_s"] = np.inf
    samples = Samples.prepare(table)
    again = samples.by_themselves(np.ones(len(samples.frame), dtype=bool))
    assert samples.frame["void_tokens"].sum() == again.frame["void_tokens"].sum() == 1


# ------------------------------------------------------------------------------------------------------ `validity:`


def test_cells_follow_the_users_thresholds() -> None:
    table = invent(n=6, tasks=("a",), approaches=("baseline",))
    table.loc[3, "started_at"] = (pd.Timestamp(table.loc[2, "started_at"]) - pd.Timedelta(seconds=3)).isoformat()
    notes = [
        compute_metrics(Samples.prepare(table, limits), only=["throughput"])["note"].iloc[0]
        for limits in (None, ValidityThresholds(clock_s=5.0))
    ]
    assert notes == ["a clock ran backwards", ""]


def test_the_gate_follows_the_users_thresholds() -> None:
    now, before = StoredRun("now", busy()), StoredRun("before", invent(n=12, seed=1))
    usual, strict = (
        judge_gate(now, before, parse_metrics(["time"]), resamples=0, thresholds=limits).iloc[0]
        for limits in (None, STRICT)
    )
    assert usual["pairs"] > 0
    assert strict["pairs"] == 0
    assert "flagged by validity checks" in strict["note"]


def test_the_gates_command_reads_thresholds_and_reference_from_the_project(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    project = make_project(tmp_path / "project")
    (tmp_path / "run.csv").write_text(busy().to_csv(index=False))
    command = ["gate", "--run", str(tmp_path / "run.csv"), "--baseline", str(tmp_path / "run.csv"), "--metric", "time"]
    command += ["--root", str(project), "--json"]
    assert main(command) == 0
    [usual] = json.loads(capsys.readouterr().out)
    config = project / "config" / "config.yaml"
    text = config.read_text().replace("validity: {}", "validity: {other_cpu_cores: 0, other_cpu_s: 0}")
    config.write_text(text.replace("reference: baseline ", "reference: no_context "))
    assert main(command) == 0
    [strict] = json.loads(capsys.readouterr().out)
    assert (usual["pairs"], strict["pairs"]) == (36, 0)
    assert main([*command, "--approach", "no_context", "--reference", "baseline"]) == 0


def test_the_planner_follows_the_users_thresholds() -> None:
    for make in (plan, lambda samples, target: prospects(36, samples, target)):
        usual, strict = (
            make(Samples.prepare(busy(), limits), Target()).set_index("outcome").loc["time"]
            for limits in (None, STRICT)
        )
        assert set(np.atleast_1d(usual["basis"])) == {"pilot"}
        assert set(np.atleast_1d(strict["basis"])) == {"assumed"}


@pytest.mark.parametrize("page", ["comparison", "batch"])
def test_comparisons_and_batches_follow_the_users_thresholds(tmp_path: Path, page: str) -> None:
    runs = [StoredRun(name, invent(n=12, profile=name)) for name in ("light", "medium")]
    found = []
    for limits in (None, STRICT):
        if page == "comparison":
            write_comparison(runs[0], runs[1], tmp_path, "baseline", limits)
        else:
            batch = Batch(description="", profiles=("light", "medium"), samples=12, nominal_minutes=None)
            write_batch_report("two", batch, runs, tmp_path, "baseline", limits)
        effects = pd.read_csv(tmp_path / "effects_within_each_run.csv")
        found.append(int(effects.loc[effects["comparison"] == "time", "pairs"].sum()))
    assert found == [2 * 2 * 36, 0]


# ------------------------------------------------------------------------------------------------- `plan.reference`

AWAY = {"other_session": {"session": "yesterday"}, "not_adjacent": {"order": 999}, "others_in_flight": {"in_flight": 4}}
"""What makes each check flag the samples of an arm, held against another one."""


@pytest.mark.parametrize("check", AWAY)
def test_checks_compare_arms_with_the_reference_of_the_plan(check: str) -> None:
    """One sample of `baseline` is away: against `baseline` all others of its case are flagged, against `tools-a` only it."""
    table = invent(n=8, tasks=("a",), approaches=("baseline", "tools-a", "tools-b"))
    row = table.index[(table["approach"] == "baseline") & (table["sample"] == 5)][0]
    for column, value in AWAY[check].items():
        table[column] = table[column].astype(object)
        table.loc[row, column] = value
    flagged = {
        reference: sorted(samples.frame["approach"][samples.flagged(check)])
        for reference in ("baseline", "tools-a")
        for samples in [Samples.prepare(table, reference=reference)]
    }
    assert flagged == {"baseline": ["tools-a", "tools-b"], "tools-a": ["baseline"]}


def test_a_plan_that_compares_with_another_arm_is_judged_by_that_arms_session() -> None:
    table = invent(n=12, approaches=("baseline", "no_context", "tools-a", "tools-b"))
    table.loc[table["approach"] == "baseline", "session"] = "yesterday"
    claim = {"id": "time:tools-b", "endpoint": "time", "approach": "tools-b", "reference": "tools-a"}
    verdicts, _, _ = judged(table, [declare(table, claims=[claim])], resamples=0)
    assert verdicts.iloc[0]["flagged"] == 0
    assert compare(table, "tools-b", "tools-a", comparisons=["time"], resamples=0)["flagged"].max() == 0
