"""Processes: their end is seen in the same way on every system."""

from __future__ import annotations

import os
import signal
import subprocess

import psutil
import pytest

from ai_dev_tools.benchmark._util.processes import ended_within


def test_the_end_of_a_child_is_seen_without_waitid_and_its_use_can_still_be_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """macOS has os.waitid only since Python 3.13."""
    monkeypatch.delattr(os, "waitid", raising=False)
    child = subprocess.Popen(["sleep", "60"])
    try:
        assert not ended_within(child.pid, 0.0)
        child.kill()
        assert ended_within(child.pid, 30.0)
        assert psutil.Process(child.pid).status() == psutil.STATUS_ZOMBIE, "nobody has waited for it"
    finally:
        child.kill()
        assert child.wait() == -signal.SIGKILL
