"""An archive of a run with prices has them, and what was computed with them follows from its samples."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import msgspec
import pytest

from ai_dev_tools.benchmark.archive import verify
from support.archived import MODEL, PROFILE, record_run

PRICES = {MODEL: {"input": 1.0, "cached_input": 0.1, "output": 4.0, "currency": "EUR"}}


def test_prices_are_in_the_archive_and_what_follows_from_them_is_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = record_run(
        tmp_path / "run",
        monkeypatch,
        change=lambda sample: msgspec.structs.replace(sample, reasoning_tokens=2),
        prices=PRICES,
        budget=5.0,
    )
    archive = made.archive()
    assert verify(archive, recompute=True).findings == []
    with zipfile.ZipFile(archive) as opened:
        [plan] = [json.loads(line) for line in opened.read(f"results/{PROFILE}/plans.jsonl").splitlines()]
        header, first, *_ = opened.read("recorded/tables/samples.csv").decode().splitlines()
    assert plan["prices"] == {
        "currency": "EUR",
        "models": {MODEL: {"input": 1.0, "cached_input": 0.1, "output": 4.0}},
    }
    assert {"price_input", "currency", "money", "reasoning_tokens"} <= set(header.split(","))
    row = dict(zip(header.split(","), first.split(","), strict=True))
    assert (row["currency"], row["reasoning_tokens"]) == ("EUR", "2")
    assert float(row["money"]) == pytest.approx((int(row["input_tokens"]) + 4 * int(row["output_tokens"])) / 1e6)
