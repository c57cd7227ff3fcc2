"""Fifty kills of a real run; `python tests/slow/soak/kill_loop.py --kills N` goes on for longer, SOAK_KILLS=N here."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from slow.soak.kill_loop import soak

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(("server", "kills"), [("fake", 50), ("embedded", 5), ("agents", 6), ("programs", 6)])
def test_kills_lose_nothing_repeat_nothing_and_leave_nothing(tmp_path: Path, server: str, kills: int) -> None:
    kills = int(os.environ.get("SOAK_KILLS", kills))
    outcome = soak(kills, seed=int(os.environ.get("SOAK_SEED", "1")), server=server, folder=tmp_path)
    print(outcome)
    assert outcome.wrong == []
    assert sum(outcome.kills.values()) == kills
    assert outcome.samples > 0
