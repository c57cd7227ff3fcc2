"""A server of the run's own that dies in mid-run: restarted a bounded number of times, then the block stops early."""

from __future__ import annotations

import os
import re
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from ai_dev_tools.benchmark._util.processes import start_time
from ai_dev_tools.benchmark.errors import EndpointConnectionError, ModelError
from ai_dev_tools.benchmark.execution import MAX_RESTARTS, block_work, run_block
from ai_dev_tools.benchmark.execution import progress as progress_module
from ai_dev_tools.benchmark.execution import request as measure
from ai_dev_tools.benchmark.execution.progress import BlockProgress
from ai_dev_tools.benchmark.records.block import Block
from ai_dev_tools.benchmark.records.sample import Sample, read_sample
from support.making import block, prompts
from support.ollama_program import OLLAMA, put_ollama
from support.repository import ROOT

MODEL = "smollm2:135m"
CELLS = 16
SERVERS = ("endpoints.embedded", "fakes.ollama")


FAKE = f"""#!/bin/sh
PYTHONPATH="{ROOT / "tests"}" exec "{sys.executable}" -m fakes.ollama --port "${{OLLAMA_HOST##*:}}" --model {MODEL} --latency 0.05
"""


@pytest.fixture(
    params=["fake", pytest.param("embedded", marks=pytest.mark.slow), pytest.param("process", marks=pytest.mark.slow)]
)
def asked(request: pytest.FixtureRequest, tmp_path: Path, weights: Path, monkeypatch: pytest.MonkeyPatch) -> Block:
    """A block on a server of its own: a labelled fake as `ollama serve`, or the real model in both ways."""
    monkeypatch.setattr(measure, "BACKOFF_BASE_S", 0.02)
    real = OLLAMA.format(python=sys.executable, weights=weights)
    put_ollama(tmp_path, monkeypatch, FAKE if request.param == "fake" else real)
    kind = "embedded" if request.param == "embedded" else "process"
    endpoint = {"kind": kind, "instance": "small", "model": MODEL, "num_ctx": 512, "max_concurrent": 1}
    return block(
        model=MODEL,
        results=str(tmp_path / "results"),
        samples=CELLS // 2,
        timeout_s=30.0,
        options={"temperature": 0.0, "num_ctx": 512, "num_predict": 16},
        endpoint=endpoint | {"model_file": str(weights), "log_dir": str(tmp_path / "logs"), "startup_timeout_s": 60},
    )


class Killer:
    """Kills the server after each third finished sample, up to `times`: in between two requests, however fast they are."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, times: int) -> None:
        self.times = times
        self.killed: list[int] = []
        self._finished = 0
        self._begun = time.time()
        self._write = block_work.write_sample
        monkeypatch.setattr(block_work, "write_sample", self._write_and_kill)

    def _write_and_kill(self, path: Path, sample: Sample) -> None:
        self._write(path, sample)
        self._finished += sample.status == "completed"
        if sample.status == "completed" and self._finished % 3 == 0 and len(self.killed) < self.times:
            server = self.server()
            assert server, "a server answered, so there is one"
            os.kill(server, signal.SIGKILL)
            self.killed.append(server)

    def server(self) -> int | None:
        """A server that this test started: there may be one of the whole session besides."""
        for child in psutil.Process().children(recursive=True):
            try:
                command = " ".join(child.cmdline())
                ours = "endpoints.guard" not in command and child.create_time() >= self._begun - 1
                is_server = ours and any(name in command for name in SERVERS)
            except psutil.Error:
                continue
            if is_server and child.pid not in self.killed:
                return child.pid
        return None


def completed(folder: Path) -> dict[Path, Sample]:
    read = {path: read_sample(path) for path in (folder / "samples").rglob("[0-9]*.json")}
    return {
        path: sample for path, sample in read.items() if isinstance(sample, Sample) and sample.status == "completed"
    }


def run(asked: Block, said: Callable[[str], None]) -> list[Sample]:
    return run_block(asked, prompts(asked), said, threading.Event())


def test_a_server_that_dies_is_restarted_and_no_request_is_missing(
    asked: Block, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    killer = Killer(monkeypatch, times=1)
    samples = run(asked, said.append)
    assert len(killer.killed) == 1
    assert sum("stopped answering and is restarted" in line for line in said) == 1
    assert len(samples) == CELLS
    assert all(sample.status == "completed" for sample in samples)
    assert start_time(killer.killed[0]) is None
    counted = [int(found[1]) for line in said if (found := re.search(r"run: (\d+)/", line))]
    assert counted == sorted(counted), "nothing is counted twice, and nothing taken back"


def test_what_was_lost_with_a_server_is_not_counted_until_it_was_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress_module, "INTERVAL_S", 0.0)
    said: list[str] = []
    progress = BlockProgress(block(results=str(tmp_path), samples=5, run_requests=9), 9, said.append)
    for _ in range(3):
        progress.finished(None)
    for lost in range(1, 7):
        progress.finished(EndpointConnectionError("gone"), lost)
    assert "3/9, 6 lost with the server | run: 3/9" in said[-1]
    progress.asked_again(6)
    progress.finished(ModelError("refused"))
    assert "4/9, 1 failed | run: 4/9" in said[-1]
    for _ in range(5):
        progress.finished(None)
    assert "9/9, 1 failed | run: 9/9" in said[-1]


def test_what_broke_before_an_answer_came_again_has_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress_module, "INTERVAL_S", 0.0)
    said: list[str] = []
    progress = BlockProgress(block(results=str(tmp_path), run_requests=9), 9, said.append)
    progress.finished(EndpointConnectionError("gone"), 1)
    progress.finished(None)
    assert "2/9, 1 failed |" in said[-1]


def test_a_server_that_dies_again_and_again_ends_the_block_which_a_rerun_completes(
    asked: Block, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    killer = Killer(monkeypatch, times=MAX_RESTARTS + 1)
    with pytest.raises(EndpointConnectionError) as stopped:
        run(asked, said.append)
    assert len(killer.killed) == MAX_RESTARTS + 1
    assert sum("is restarted" in line for line in said) == MAX_RESTARTS
    kept = completed(Path(asked.results))
    assert f" kept, {CELLS - len(kept)} still missing" in str(stopped.value)
    assert "\n" not in str(stopped.value)
    assert killer.server() is None, "no server is left"

    samples = run(asked, said.append)
    assert len(samples) == CELLS
    assert all(sample.status == "completed" for sample in samples)
    after = completed(Path(asked.results))
    assert {path: after[path] for path in kept} == kept
