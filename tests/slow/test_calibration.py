"""Calibration by simulation: every promised error rate holds, Bonferroni over all cells. Slow."""

from __future__ import annotations

import importlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from ai_dev_tools.benchmark.analysis.samples_table import ALL
from support.invented import verdicts
from support.repository import ROOT

REPLICATES = int(os.environ.get("CALIBRATION_REPLICATES", "1500"))
"""Every bound is a binomial one for this number; the table in the documentation has 10,000."""


@pytest.fixture(scope="module")
def calibration() -> Iterator[ModuleType]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "benchmarks")
        yield importlib.import_module("calibration")


@pytest.mark.slow
def test_every_promised_rate_holds(calibration: ModuleType, tmp_path: Path) -> None:
    script, stored = ROOT / "benchmarks" / "calibration.py", tmp_path / "rates.json"
    done = subprocess.run(
        [sys.executable, str(script), "--replicates", str(REPLICATES), "--json", str(stored)],
        check=False, capture_output=True, text=True, timeout=3000,
        env=os.environ | {"OMP_NUM_THREADS": "1"},  # one process per core already
    )  # fmt: skip
    assert stored.exists(), done.stderr
    rates = [calibration.Rate(**rate) for rate in json.loads(stored.read_text())["rates"]]
    promised = [rate for rate in rates if rate.promised]
    broken = [rate for rate in promised if rate.broken(len(promised))]
    assert len(promised) > 110
    assert not broken, "\n".join(map(str, broken))
    assert done.returncode == 0


@pytest.mark.parametrize(("replicates", "held", "over"), [(10_000, 0.051, 0.06), (2_000, 0.058, 0.075)])
def test_a_broken_promise_would_be_noticed(calibration: ModuleType, replicates: int, held: float, over: float) -> None:
    """Whatever the number of replicates: a promise is broken when chance alone cannot explain the rate."""
    assert not calibration.Rate("g", "c", 20, held, 0.05, False, True, replicates).broken(100)
    assert calibration.Rate("g", "c", 20, over, 0.05, False, True, replicates).broken(100)
    assert calibration.Rate("g", "c", 20, 0.90, 0.93, True, True, replicates).broken(100)
    assert not calibration.Rate("g", "c", 20, over, 0.05, False, False, replicates).broken(100)


def test_the_rates_do_not_depend_on_the_number_of_processes(
    calibration: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calibration, "GROUPS", (calibration.near_one, calibration.failures, calibration.single_tasks))
    assert calibration.run(3, 1) == calibration.run(3, 2)


def test_the_tables_in_the_documentation_are_a_full_run() -> None:
    page = (ROOT / "docs" / "calibration.md").read_text(encoding="utf-8")
    block = re.search(r"<!-- calibration -->(.*)<!-- /calibration -->", page, flags=re.S)
    assert block is not None
    assert "10,000 replicates of single decisions, 500 of whole runs" in block.group(1)
    worlds = (
        "looks at 12, 20, 32",
        "rare expensive cases",
        "overflow",
        "2, 2, 2, 2, 2, 30",
        "planned for 80 %",
        "equal tool",
    )
    assert [world for world in worlds if world not in block.group(1)] == []


def test_a_filled_run_is_judged_as_the_same_run_from_its_samples(calibration: ModuleType) -> None:
    """What is simulated is what is judged: the same scores and costs as a samples table give the same verdict."""
    runs = importlib.import_module("calibration_runs")
    sizes, models = (4, 9), 2
    layout = runs.Layout(sizes, models)
    rng = np.random.default_rng(1)
    shape = (models, 2, 9)
    made = runs.Draw(
        0.1 * rng.standard_normal(shape), 0.6 * np.exp(0.2 * rng.standard_normal(shape)), np.full(shape, 1000.0)
    )
    filled = layout.judge(made)
    samples = runs._samples(sizes, models)
    model, task = (samples[name].str[1:].astype(int) for name in ("model", "task"))
    at = model, task, samples["sample"]
    own = samples["approach"] == "tools"
    tokens = made.length[at] * np.where(own, made.ratio[at], 1.0)
    score = np.where(own, 0.7 + made.gained[at], 0.7)
    samples = samples.assign(input_tokens=tokens - 10, total_tokens=tokens, score=score, num_ctx=8192)
    guesses = samples["approach"] == "no_context"
    samples.loc[guesses, "score"] = 0.2
    table = verdicts(samples, [layout.gates.in_force.plan], resamples=0)
    for one, (_, row) in zip(filled, table[table["task"] == ALL].iterrows(), strict=True):
        assert row["models"] == one.model
        assert row["verdict"] == one.word
        assert row["claim_quality_p"] == pytest.approx(one.gate.claim.adjusted)
        assert row["quality_difference"] == pytest.approx(one.gate.difference)
        assert row["ratio"] == pytest.approx(np.exp(one.clean.source.estimate))
        assert (row["bill_ratio"], row["bill_high"]) == pytest.approx(
            (one.bill.ratio, one.bill.bound("high", one.bill_level))
        )


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [["--rows", "1000000", "--cpu"], ["--rows", "576", "--seconds", "3", "--cpu"]])
def test_the_scale_benchmark_stays_within_its_limits(arguments: list[str]) -> None:
    script = ROOT / "benchmarks" / "scale.py"
    done = subprocess.run(
        [sys.executable, str(script), *arguments], check=False, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stdout + done.stderr
