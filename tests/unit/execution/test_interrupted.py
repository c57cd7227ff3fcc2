"""Endpoints that go away, disks that fill up, runs that are stopped: nothing finished is lost."""

from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ai_dev_tools.benchmark.endpoints import EndpointSpec, ReadyEndpoint, endpoint_kind
from ai_dev_tools.benchmark.errors import BenchmarkError, ConfigurationError, EndpointConnectionError
from ai_dev_tools.benchmark.execution import block_work, run_block
from ai_dev_tools.benchmark.execution.threads import FAILURES_IN_A_ROW
from ai_dev_tools.benchmark.records.sample import Sample, read_sample, write_sample
from support.bench import Bench, Reply, breaking_off
from support.making import prompts

# --- the endpoint goes away -----------------------------------------------------------------------------------------


def test_an_endpoint_that_is_not_there_is_one_line_and_nothing_is_written(bench: Bench) -> None:
    with pytest.raises(BenchmarkError) as caught:
        bench.run(endpoint={"kind": "http://127.0.0.1:9"})
    assert "\n" not in str(caught.value)
    assert bench.files() == []


def test_a_lost_connection_stops_early_keeps_what_is_there_and_a_rerun_asks_the_rest(bench: Bench) -> None:
    bench.fake.bend = breaking_off(bench.fake, after=4)
    with pytest.raises(EndpointConnectionError, match=r"stopped answering; .* run the same command again"):
        bench.run(samples=10, attempts=1)
    assert len(bench.asked) == 4 + FAILURES_IN_A_ROW
    good = [
        s
        for p in bench.folder.rglob("samples/**/*.json")
        if isinstance(s := read_sample(p), Sample) and s.status == "completed"
    ]
    assert len(good) == 4
    bench.fake.bend = lambda n, reply: reply
    samples = bench.run(samples=10)
    assert len(bench.asked) == 16
    assert {s.status for s in samples} == {"completed"}


def test_an_endpoint_of_ours_is_restarted_and_the_lost_cells_are_asked_again(bench: Bench) -> None:
    restarts: list[int] = []

    def restart(endpoint: ReadyEndpoint) -> None:
        restarts.append(1)
        bench.fake.bend = lambda n, reply: reply

    @endpoint_kind("test_restartable")
    def _open(spec: EndpointSpec) -> Iterator[ReadyEndpoint]:
        yield ReadyEndpoint(bench.fake.url, "test_restartable", "1", spec.model, "weights-1", _restart=restart)

    bench.fake.bend = breaking_off(bench.fake, after=2)
    samples = bench.run(samples=5, attempts=1, endpoint={"kind": "test_restartable"})
    assert restarts == [1]
    assert [s.status for s in samples] == ["completed"] * 10
    assert len(bench.fake.warm_ups) == 2
    assert any("is restarted" in line for line in bench.lines)


def test_a_sample_that_cannot_be_written_ends_the_block_in_one_line(bench: Bench) -> None:
    bench.folder.mkdir()
    (bench.folder / "samples").write_text("in the way")
    with pytest.raises(ConfigurationError, match=r"cannot move .* Make the results folder writable") as caught:
        bench.run()
    assert "\n" not in str(caught.value)


def test_a_disk_that_fills_up_ends_the_block_in_one_line_and_keeps_what_is_there(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    sync = os.fsync

    def full_from_the_third_sample_on(descriptor: int) -> None:
        if len(bench.samples_there()) >= 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", full_from_the_third_sample_on)
    with pytest.raises(ConfigurationError, match=r"cannot write .*No space left on device. Free disk space") as caught:
        bench.run()
    assert "\n" not in str(caught.value)
    assert len(bench.asked) == 3
    assert len(bench.samples_there()) == 2
    monkeypatch.undo()
    assert len(bench.run()) == 6
    assert len(bench.asked) == 4


# --- at once --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("slots", [1, 3])
def test_never_more_requests_than_allowed_are_under_way(slots: int, bench: Bench) -> None:
    bench.fake.gate = lambda: bench.fake.most_at_once >= slots
    samples = bench.run(samples=6, endpoint={"max_concurrent": slots})
    assert bench.fake.most_at_once == slots
    assert max(s.in_flight for s in samples) == slots
    assert [s.order for s in samples] == list(range(12))
    assert {s.status for s in samples} == {"completed"}


def test_a_block_counts_as_many_under_way_for_its_first_case_as_for_its_last(bench: Bench) -> None:
    """Slots that filled one by one gave the arms of the first case different numbers, and so void times: a third
    of a run of three samples, whatever the server."""
    bench.fake.latency_s = 0.05
    samples = bench.run(samples=6, endpoint={"max_concurrent": 3})
    assert {s.in_flight for s in samples if s.order < 9} == {3}, "the last three may be sent when others have ended"


def test_a_sample_that_is_being_written_when_a_run_is_stopped_is_waited_for(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop = threading.Event()

    def slowly(path: Path, sample: Sample) -> None:
        stop.set()
        time.sleep(0.5)
        write_sample(path, sample)

    monkeypatch.setattr(block_work, "write_sample", slowly)
    wanted = bench.block()
    run_block(wanted, prompts(wanted), bench.lines.append, stop)
    assert bench.files() == ["fake-1b/colours/baseline/0.json"]


def test_stopping_writes_nothing_more(bench: Bench) -> None:
    bench.fake.latency_s = 0.2
    stop = threading.Event()

    def stop_at_the_fifth(number: int, reply: Reply) -> Reply:
        if number == 4:
            stop.set()
        return reply

    bench.fake.bend = stop_at_the_fifth
    wanted = bench.block(samples=20, endpoint={"max_concurrent": 2})
    run_block(wanted, prompts(wanted), bench.lines.append, stop)
    there = bench.files()
    assert 0 < len(there) <= 5
    time.sleep(0.5)
    assert bench.files() == there
    asked = len(bench.fake.requests)
    assert asked - len(there) <= 2
    samples = bench.run(samples=20, endpoint={"max_concurrent": 8})
    assert len(samples) == 40
    assert len(bench.asked) == 40 - len(there)
