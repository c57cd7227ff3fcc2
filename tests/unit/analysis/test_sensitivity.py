"""The words at other margins: those at the declared ones are the verdicts, and laxer margins never say less."""

from __future__ import annotations

import pandas as pd
import pytest

from ai_dev_tools.benchmark.analysis.samples_table import ALL
from ai_dev_tools.benchmark.analysis.sensitivity import COST, QUALITY, sensitivity
from ai_dev_tools.benchmark.analysis.verdicts import judge, measure_claims
from support.invented import declare, invent


@pytest.fixture(scope="module")
def samples() -> pd.DataFrame:
    return invent(n=24, ratio=0.85, noise=0.1, quality={"tools": 0.66})


def words(table: pd.DataFrame, setting: str) -> dict[float, str]:
    rows = table[(table["claim"] == "tokens:tools") & (table["setting"] == setting)]
    return dict(zip(rows["value"], rows["verdict"], strict=True))


def test_at_the_declared_margins_the_result_is_the_verdict(samples: pd.DataFrame) -> None:
    plans = [declare(samples, quality={"margin": 0.12})]
    measured = measure_claims(samples, plans, resamples=999)
    found, judged = sensitivity(measured), judge(measured).verdicts
    declared = found[found["declared"] == "yes"]
    assert set(declared["setting"]) == {COST, QUALITY}
    assert set(declared["value"]) == {0.95, 0.12}
    primary = judged[judged["task"] == ALL].set_index("claim")
    for row in declared.itertuples():
        assert (row.verdict, row.reasons) == (primary["verdict"][row.claim], primary["reasons"][row.claim])


def test_a_verdict_may_depend_on_the_margin_and_a_laxer_one_never_takes_it_away(samples: pd.DataFrame) -> None:
    found = sensitivity(measure_claims(samples, [declare(samples)], resamples=999))
    cost, quality = words(found, COST), words(found, QUALITY)
    assert list(cost) == [0.99, 0.95, 0.90, 0.80]
    assert (cost[0.95], cost[0.80]) == ("saves", "inconclusive")
    assert list(quality) == [0.05, 0.10, 0.15, 0.20]
    assert (quality[0.05], quality[0.20]) == ("inconclusive", "saves")
    for said in (list(cost.values()), list(reversed(quality.values()))):
        assert said == sorted(said, key=lambda word: word != "saves")


def test_without_a_plan_no_margin_gives_a_verdict(samples: pd.DataFrame) -> None:
    assert set(sensitivity(measure_claims(samples, resamples=0))["verdict"]) == {"inconclusive"}
