"""Progress lines for a person watching a run: requests done, total, and estimated time left."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import msgspec

from ai_dev_tools.benchmark._util.clock import duration
from ai_dev_tools.benchmark.errors import BenchmarkError
from ai_dev_tools.benchmark.records import paths
from ai_dev_tools.benchmark.records.block import Block

INTERVAL_S = 3.0


class BlockProgress:
    """Prints a line at the start, then every few seconds, and at the end of a block."""

    def __init__(self, block: Block, missing: int, log: Callable[[str], None]) -> None:
        self._block = block
        self._missing = missing
        self._log = log
        self._lock = threading.Lock()
        self._done = 0
        self._failed = 0
        self._lost = 0
        self._warned: set[str] = set()
        self._started = time.monotonic()
        self._printed = self._started
        self._run_done = min(samples_kept(block), block.run_requests - missing)
        log(f"{block.task} on {block.model}: asking {missing} of {len(block.approaches) * block.samples} requests")

    def finished(self, error: BenchmarkError | None, lost: int = 0) -> None:
        """Count one request.

        Args:
            lost: how many of those counted ended without a connection one after another, this one last: what becomes
                of them is open, as a server that is restarted is asked for them again.
        """
        with self._lock:
            self._done += 1
            self._failed += error is not None
            self._lost = lost
            now = time.monotonic()
            if self._done < self._missing and now - self._printed < INTERVAL_S:
                return
            self._printed = now
        self._log(self._line(now - self._started))

    def warn(self, about: str, line: str) -> None:
        """Say what is odd about a sample, once for all samples of the block that are odd in this way."""
        with self._lock:
            if about in self._warned:
                return
            self._warned.add(about)
        self._log(f"warning: {self._block.task} on {self._block.model}: {line}")

    def asked_again(self, count: int) -> None:
        """Subtract failed requests that are asked again in this run."""
        with self._lock:
            self._done -= count
            self._failed -= count
            self._lost = 0

    def _line(self, elapsed_s: float) -> str:
        here = self._done - self._lost
        done = self._run_done + here
        left_s = elapsed_s / max(1, here) * max(0, self._block.run_requests - done)
        failed = f", {self._failed - self._lost} failed" if self._failed > self._lost else ""
        lost = f", {self._lost} lost with the server" if self._lost else ""
        return (
            f"{self._block.task} on {self._block.model}: {here}/{self._missing}{failed}{lost}"
            f" | run: {done}/{self._block.run_requests} requests, about {duration(left_s)} left"
        )


class _Planned(msgspec.Struct):
    """What this module needs of a line of the ledger.

    `records.plan` reads all of it, but takes long to import.
    """

    plan: str
    models: list[str]
    tasks: dict[str, list[str]]


_decoder = msgspec.json.Decoder(_Planned)


def samples_kept(block: Block) -> int:
    """How many samples of this run there are.

    Those of tasks, arms and indices that it does not ask for do not count.
    """
    wanted = {f"{sample}.json" for sample in range(block.samples)}
    kept = 0
    for model, task in _blocks_of_run(block):
        for approach in block.approaches:
            with suppress(FileNotFoundError, NotADirectoryError):
                folder = paths.sample_file(Path(block.results), model, task, approach, 0).parent
                kept += sum(entry.name in wanted for entry in os.scandir(folder))
    return kept


def _blocks_of_run(block: Block) -> list[tuple[str, str]]:
    """Every (model, task) of the plan in force; this block alone if the ledger cannot tell."""
    try:
        for line in reversed((Path(block.results) / Path(paths.PLANS).name).read_bytes().splitlines()):
            planned = _decoder.decode(line)
            if planned.plan == block.plan:
                return [(model, task) for model in planned.models for task in planned.tasks]
    except (OSError, msgspec.MsgspecError):
        pass
    return [(block.model, block.task)]
