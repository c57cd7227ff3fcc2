"""Slots of a server that others run: no more is sent than it serves at once, so that no time holds another's work."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_dev_tools.benchmark.analysis.flatten import sample_row
from ai_dev_tools.benchmark.analysis.samples import Samples
from ai_dev_tools.benchmark.endpoints import ReadyEndpoint
from ai_dev_tools.benchmark.endpoints.ollama_client import OllamaClient
from ai_dev_tools.benchmark.errors import EndpointConnectionError
from ai_dev_tools.benchmark.execution import request as measure
from ai_dev_tools.benchmark.execution import slots
from ai_dev_tools.benchmark.execution.job import RUN_PID
from ai_dev_tools.benchmark.execution.slots import ProbedAnswer, overlapping, spread
from ai_dev_tools.benchmark.execution.threads import FAILURES_IN_A_ROW
from support.bench import Bench, Fake, Reply
from support.making import block

LATENCY_S = 0.2


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server has a second to show that a slot is free, instead of five or more, and is asked three times at most."""
    monkeypatch.setattr(measure, "TURN_S", (1.0, 1.0))
    monkeypatch.setattr(slots, "ROUNDS", 3)


@pytest.fixture
def fake(request: pytest.FixtureRequest) -> Iterator[Fake]:
    with Fake(slots=getattr(request, "param", 1), latency_s=LATENCY_S) as server:
        yield server


def recorded(bench: Bench) -> list[dict[str, Any]]:
    """What the last session recorded of the server's slots."""
    return list(bench.sessions()[-1]["slots"])


def probes(fake: Fake) -> int:
    return sum(body["messages"][0]["content"] == slots.PROMPT for body in fake.warm_ups)


@pytest.mark.parametrize(("fake", "at_once"), [(1, 1), (2, 2), (4, 4), (8, 4)], indirect=["fake"])
def test_no_more_is_sent_than_the_server_serves_at_once(bench: Bench, at_once: int) -> None:
    samples = bench.run(samples=4, endpoint={"max_concurrent": 4})
    assert {sample.status for sample in samples} == {"completed"}
    assert bench.fake.most_at_once == at_once
    assert max(sample.in_flight for sample in samples) == at_once
    assert [one["at_once"] for one in recorded(bench)] == [at_once]
    told = [line for line in bench.lines if "OLLAMA_NUM_PARALLEL=4" in line]
    assert len(told) == (at_once < 4)


def test_one_line_says_how_many_and_what_to_do(bench: Bench) -> None:
    bench.run(samples=1, endpoint={"max_concurrent": 4})
    (line,) = [line for line in bench.lines if "at once" in line]
    assert line == (
        f"small: {bench.fake.url} serves 1 request at once, so no more are sent instead of 4, because the others would wait there. "
        "To have 4, start that server with OLLAMA_NUM_PARALLEL=4"
    )


def test_behind_one_slot_four_at_a_time_measure_the_ratio_that_one_at_a_time_measures(
    tmp_path: Path, fake: Fake
) -> None:
    """The true ratio is 0.4; four requests in the line of one slot made it 0.88."""

    def work(number: int, reply: Reply) -> Reply:
        heavy = "by baseline" in fake.requests[number]["messages"][0]["content"]
        return reply[0], reply[1], 0.25 if heavy else 0.1

    fake.bend = work
    ratios = {}
    for most in (1, 4):
        bench = Bench(tmp_path / f"at-once-{most}", fake)
        samples = bench.run(samples=6, endpoint={"max_concurrent": most})
        seconds = {arm: [s.duration_s for s in samples if s.approach == arm] for arm in ("baseline", "tools")}
        logs = [
            math.log(own / other)
            for own, other in zip(seconds["tools"], seconds["baseline"], strict=True)
            if own is not None and other is not None
        ]
        ratios[most] = math.exp(sum(logs) / len(logs))
    assert ratios[4] == pytest.approx(ratios[1], rel=0.4)
    assert ratios[4] < 0.6


def test_each_replica_is_asked_for_itself_and_gets_as_much_as_it_serves(tmp_path: Path, fake: Fake) -> None:
    with Fake(slots=3, latency_s=LATENCY_S) as other:
        bench = Bench(tmp_path / "light", fake)
        samples = bench.run(samples=6, endpoint={"max_concurrent": 3, "replicas": [other.url]})
        assert [one["at_once"] for one in recorded(bench)] == [1, 3]
        assert (fake.most_at_once, other.most_at_once) == (1, 3)
        assert max(sample.in_flight for sample in samples) == 4


def test_who_sends_one_at_a_time_needs_not_to_know(bench: Bench) -> None:
    bench.run(samples=1, endpoint={"max_concurrent": 1})
    assert probes(bench.fake) == 0


@pytest.mark.parametrize("fake", [4], indirect=True)
def test_probes_load_nothing_again_and_are_no_samples(bench: Bench) -> None:
    bench.run(samples=1, endpoint={"max_concurrent": 4})
    for body in bench.fake.warm_ups:
        changed = {name: value for name, value in body["options"].items() if name not in ("num_predict", "seed")}
        assert changed == {"temperature": 0.0, "num_ctx": 8192}
    assert probes(bench.fake) >= 4
    assert len(bench.asked) == 2


@pytest.mark.parametrize("fake", [0], indirect=True)
def test_a_server_that_answers_at_once_is_not_taken_for_one_slot(bench: Bench) -> None:
    bench.fake.latency_s = 0.0
    bench.fake.gate = lambda: bench.fake.most_at_once >= 4
    samples = bench.run(samples=4, endpoint={"max_concurrent": 4})
    assert max(sample.in_flight for sample in samples) == 4
    assert [one["at_once"] for one in recorded(bench)] in ([None], [4])


# --- once per run ---------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("one_run")
def test_the_blocks_of_a_run_share_what_was_found(bench: Bench) -> None:
    bench.run(samples=1, endpoint={"max_concurrent": 4})
    asked = probes(bench.fake)
    bench.run(samples=2, endpoint={"max_concurrent": 4})
    assert probes(bench.fake) == asked > 0
    assert [one["at_once"] for one in recorded(bench)] == [1]
    assert bench.fake.most_at_once == 1


@pytest.mark.usefixtures("one_run")
@pytest.mark.parametrize("fake", [0], indirect=True)
def test_a_server_that_is_too_fast_to_show_it_is_asked_once(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slots, "SHORT_S", 3600.0)
    monkeypatch.setattr(slots, "overlapping", lambda _: 1)
    bench.run(samples=1, endpoint={"max_concurrent": 4})
    asked = probes(bench.fake)
    assert asked == 4 * 3, "no round is repeated once the longest answers were too short"
    bench.run(samples=2, endpoint={"max_concurrent": 4})
    assert probes(bench.fake) == asked
    assert [(one["at_once"], one["too_fast"]) for one in recorded(bench)] == [(None, True)]


@pytest.mark.usefixtures("one_run")
def test_a_server_that_was_restarted_is_asked_again(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has not loaded the model, as far as the warm-up, and may have other slots."""
    bench.run(samples=1, endpoint={"max_concurrent": 4})
    usual = bench.fake.reply
    unloaded: Reply = (200, [{"models": []}], 0.0)
    monkeypatch.setattr(
        bench.fake,
        "reply",
        lambda method, path, body: unloaded if path == "/api/ps" else usual(method, path, body),
    )
    bench.fake.slots = 4
    bench.run(samples=4, endpoint={"max_concurrent": 4})
    assert [one["at_once"] for one in recorded(bench)] == [4]


def test_another_run_asks_again(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(RUN_PID, str(os.getppid()))
    bench.run(samples=1, endpoint={"max_concurrent": 4})
    asked = probes(bench.fake)
    monkeypatch.setenv(RUN_PID, str(os.getpid()))
    bench.run(samples=2, endpoint={"max_concurrent": 4})
    assert probes(bench.fake) > asked


# --- where slots cannot be told ----------------------------------------------------------------------------------------


def test_what_waited_all_the_same_voids_time_and_never_tokens(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slots, "probe", lambda _client, _chat, asked, _timeout_s: asked)
    bench.fake.latency_s = 0.8
    samples = bench.run(samples=2, endpoint={"max_concurrent": 4})
    assert any("does not show how many requests it serves at once" in line for line in bench.lines)
    table = Samples.prepare(pd.DataFrame([sample_row(sample) for sample in samples])).frame.sort_values("duration_s")
    assert table["void_time"].tolist() == [False, True, True, True]
    assert set(table["why_time"]) == {"", "queued"}
    assert not table["void_tokens"].any()


# --- a turn that never began ------------------------------------------------------------------------------------------


def test_a_request_whose_turn_never_began_is_not_a_measured_time_out(bench: Bench) -> None:
    """Somebody else's long request has the one slot; ours gives up in the line."""
    bench.fake.slots = 1
    bench.fake.served = 1  # taken, and never given back
    (sample,) = bench.run(samples=1, approaches=["tools"], timeout_s=0.3, endpoint={"startup_timeout_s": 0.3})
    assert sample.error is not None
    assert (sample.status, sample.error.class_, len(sample.attempts)) == ("failed", "no_turn", 1)
    bench.fake.served = 0  # given back
    (again,) = bench.run(samples=1, approaches=["tools"], timeout_s=10.0)
    assert again.status == "completed"


def test_a_server_that_hangs_is_left_after_a_few_and_none_of_them_is_a_measurement(bench: Bench) -> None:
    bench.fake.slots = bench.fake.served = 1
    with pytest.raises(EndpointConnectionError, match=r"stopped answering; 0 samples are kept, 6 still missing"):
        bench.run(timeout_s=0.3, endpoint={"startup_timeout_s": 0.3})
    assert len(bench.asked) == FAILURES_IN_A_ROW
    bench.fake.served = 0
    assert {sample.status for sample in bench.run()} == {"completed"}


def test_a_slow_request_that_had_its_turn_is_a_measured_time_out(bench: Bench) -> None:
    bench.fake.slots = 2
    bench.fake.bend = lambda n, reply: (reply[0], reply[1], 60.0)
    (sample,) = bench.run(samples=1, approaches=["tools"], timeout_s=0.5)
    assert sample.status == "timeout"
    bench.run(samples=1, approaches=["tools"], timeout_s=0.5)
    assert bench.asked == []


# --- a real server ----------------------------------------------------------------------------------------------------


def test_a_real_model_behind_one_slot_is_seen_to_have_one(embedded_endpoint: ReadyEndpoint) -> None:
    body = slots.probe_chat(block(model=embedded_endpoint.model, options={"num_ctx": 2048, "temperature": 0.0}))
    client = OllamaClient(embedded_endpoint.base_url, 3, embedded_endpoint.headers)
    assert slots.probe(client, body, slots.Slots("", None, wanted=3), timeout_s=120).at_once == 1


# --- what probes show -------------------------------------------------------------------------------------------------


@given(
    n=st.integers(1, 8),
    have=st.integers(1, 8),
    prefill=st.floats(0.001, 2),
    write=st.floats(0.05, 5),
    noise=st.lists(st.floats(0, 0.2), min_size=8, max_size=8),
)
def test_overlaps_show_the_slots_whatever_the_speed(
    n: int, have: int, prefill: float, write: float, noise: list[float]
) -> None:
    """`have` slots; the reader of each answer is late by up to a fifth of the time of writing."""
    turns = []
    free = [0.0] * have
    for number in range(n):
        slot = min(range(have), key=free.__getitem__)
        begin = free[slot] + prefill
        end = free[slot] = begin + write
        turns.append(ProbedAnswer(0.0, begin + noise[number] * write, end + noise[number] * write))
    assert overlapping(turns) == min(n, have)


@pytest.mark.parametrize(("have", "ends"), [(1, [1, 2, 3, 4]), (2, [1, 1, 2, 2]), (4, [1, 1.05, 1.1, 1.1])])
def test_the_spread_of_ends_shows_the_slots_where_nothing_is_seen_being_written(have: int, ends: list[float]) -> None:
    assert spread([ProbedAnswer(0.0, end, end) for end in ends]) == have


def test_what_is_recorded_is_a_row_of_the_samples_table_too(bench: Bench) -> None:
    (sample,) = bench.run(samples=1, approaches=["tools"])
    assert sample_row(sample)["total_s"] == sample.total_s
