"""Calibration by simulation: every promised error rate holds, Bonferroni over all cells. Slow."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from invented import declare, invent

from ai_dev_tools.benchmark.analysis.sampletable import ALL
from ai_dev_tools.benchmark.analysis.verdicts import verdicts

ROOT = Path(__file__).parents[1]
REPLICATES = int(os.environ.get("CALIBRATION_REPLICATES", "10000"))


@pytest.fixture(scope="module")
def calibration() -> ModuleType:
    spec = importlib.util.spec_from_file_location("calibration", ROOT / "benchmarks" / "calibration.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["calibration"] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_every_promised_rate_holds(calibration: ModuleType) -> None:
    rates = [rate for group in calibration.GROUPS for rate in group(REPLICATES)]
    promised = [rate for rate in rates if rate.promised]
    broken = [rate for rate in promised if rate.broken(len(promised))]
    assert len(promised) > 90
    assert not broken, "\n".join(map(str, broken))


def test_a_broken_promise_would_be_noticed(calibration: ModuleType) -> None:
    held = calibration.Rate("g", "c", 20, 0.051, 0.05, False, True, 10_000)
    assert not held.broken(100)
    assert calibration.Rate("g", "c", 20, 0.06, 0.05, False, True, 10_000).broken(100)
    assert calibration.Rate("g", "c", 20, 0.91, 0.93, True, True, 10_000).broken(100)
    assert not calibration.Rate("g", "c", 20, 0.06, 0.05, False, False, 10_000).broken(100)


def test_the_tables_in_the_documentation_are_a_full_run() -> None:
    page = (ROOT / "docs" / "statistics.md").read_text(encoding="utf-8")
    block = re.search(r"<!-- calibration -->(.*)<!-- /calibration -->", page, flags=re.S)
    assert block is not None
    assert "10,000 replicates each" in block.group(1)


@pytest.mark.slow
@pytest.mark.parametrize(("ratio", "quality"), [(1.01, 0.7), (0.6, 0.3)])
def test_whole_runs_without_a_true_saving_hardly_ever_save(ratio: float, quality: float) -> None:
    """From samples to words: no cheaper at equal quality, and cheaper but saying nothing (as `no_context` does)."""
    words = []
    for seed in range(200):
        samples = invent(n=8, ratio=ratio, noise=0.2, quality={"baseline": 0.5, "tools": quality}, seed=seed)
        table = verdicts(samples, [declare(samples)], resamples=999)
        words += table.loc[table["task"] == ALL, "verdict"].tolist()
    assert np.mean([word == "saves" for word in words]) <= 0.02


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [["--rows", "1000000"], ["--rows", "576", "--seconds", "3"]])
def test_the_scale_benchmark_stays_within_its_limits(arguments: list[str]) -> None:
    script = ROOT / "benchmarks" / "scale.py"
    done = subprocess.run(
        [sys.executable, str(script), *arguments], check=False, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stdout + done.stderr
