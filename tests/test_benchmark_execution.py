"""The block runner: asks exactly what is missing, writes each sample at once, and loses nothing whatever breaks."""

from __future__ import annotations

import errno
import json
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from fakes.ollama import FakeOllama
from making import block, prompt, prompts

from ai_dev_tools.benchmark import execution, measure
from ai_dev_tools.benchmark.design import Block, cells, nonce
from ai_dev_tools.benchmark.endpoints import EndpointSpec, ReadyEndpoint, endpoint_kind
from ai_dev_tools.benchmark.errors import BenchmarkError, ConfigurationError, EndpointConnectionError, OverloadedError
from ai_dev_tools.benchmark.execution import retryable, run_block
from ai_dev_tools.benchmark.progress import duration
from ai_dev_tools.benchmark.prompts import Prompt
from ai_dev_tools.benchmark.samples import Sample, SampleError, read_sample, write_sample

Reply = tuple[int, list[dict[str, Any]], float]
Prompts = dict[tuple[str, str], Prompt]


class Fake(FakeOllama):
    """LABELLED FAKE whose digest, statuses and durations a test can bend.

    Attributes:
        digest: of the model's weights.
        bend: changes the reply to the n-th measured request, from 0.
        most_at_once: largest number of requests that were being answered at the same time.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(["fake:1b"], **settings)
        self.digest = "weights-1"
        self.bend: Callable[[int, Reply], Reply] = lambda number, reply: reply
        self.times: list[float] = []
        self.warm_ups: list[dict[str, Any]] = []

    def _listed(self, model: str) -> dict[str, Any]:
        return super()._listed(model) | {"digest": self.digest}

    def reply(self, method: str, path: str, body: bytes) -> Reply:
        before = len(self.requests)
        reply = super().reply(method, path, body)
        if path != "/api/chat":
            return reply
        if len(self.requests) == before:
            self.warm_ups.append(json.loads(body))
            return reply
        self.times.append(time.perf_counter())
        return self.bend(before, reply)

    def most_at_once(self) -> int:
        return max(sum(start <= other < start + self.latency_s for other in self.times) for start in self.times)


@pytest.fixture
def fake() -> Iterator[Fake]:
    with Fake() as server:
        yield server


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short pauses, and no waiting for the disk: that files are durable is a matter of test_benchmark_samples."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    monkeypatch.setattr(measure, "BACKOFF_BASE_S", 0.01)


class Bench:
    """A results folder and a server; each `run` is one block job."""

    def __init__(self, folder: Path, fake: Fake) -> None:
        self.fake = fake
        self.folder = folder
        self.lines: list[str] = []
        self.asked: list[dict[str, Any]] = []

    def block(self, **changed: Any) -> Block:
        endpoint = {
            "kind": self.fake.url,
            "instance": "small",
            "model": "fake:1b",
            "max_concurrent": 1,
            "startup_timeout_s": 5,
        }
        return block(**{"results": str(self.folder), "endpoint": endpoint | changed.pop("endpoint", {})} | changed)

    def run(self, given: Prompts | None = None, only: tuple[str, int] | None = None, **changed: Any) -> list[Sample]:
        """Run the block; `asked` then holds what this run asked."""
        wanted = self.block(**changed)
        self.fake.requests.clear()
        self.lines.clear()
        try:
            return run_block(
                wanted, prompts(wanted) if given is None else given, self.lines.append, threading.Event(), only
            )
        finally:
            self.asked = list(self.fake.requests)

    def path(self, approach: str, sample: int) -> Path:
        return self.folder / "samples" / "fake-1b" / "colours" / approach / f"{sample}.json"

    def files(self, below: str = "samples") -> list[str]:
        root = self.folder / below
        return sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())

    def samples_there(self) -> list[str]:
        return [name for name in self.files() if name.endswith(".json") and not name.startswith(".")]

    def about(self) -> list[str]:
        """Which case and arm each request of the last run was about."""
        return [asked["messages"][0]["content"].split("\n\n")[1] for asked in self.asked]


@pytest.fixture
def bench(tmp_path: Path, fake: Fake) -> Bench:
    return Bench(tmp_path / "light", fake)


Bend = Callable[[int, Reply], Reply]


def answering(status: int, error: str, when: Callable[[int], bool] = lambda number: True) -> Bend:
    """An HTTP error instead of the answers that `when` picks by their number."""
    return lambda number, reply: (status, [{"error": error}], 0.0) if when(number) else reply


def breaking_off(fake: Fake, after: int) -> Bend:
    """Every connection is cut once so many requests were answered."""

    def bend(number: int, reply: Reply) -> Reply:
        if number >= after:
            for transport in list(fake.open_connections):
                transport.abort()
        return reply

    return bend


# --- the first run ------------------------------------------------------------------------------------------------


def test_every_cell_is_asked_once_in_order_and_stored(bench: Bench) -> None:
    samples = bench.run()
    plan = cells(bench.block())
    assert [(s.order, s.approach, s.sample, s.case, s.seed) for s in samples] == [
        (c.order, c.approach, c.sample, c.case, c.seed) for c in plan
    ]
    assert bench.about() == [f"What about {c.case} by {c.approach}?" for c in plan]
    assert bench.files() == sorted(f"fake-1b/colours/{c.approach}/{c.sample}.json" for c in plan)
    assert all(read_sample(bench.path(s.approach, s.sample)) == s for s in samples)


def test_what_a_request_says(bench: Bench) -> None:
    (sample,) = bench.run(samples=1, approaches=["tools"])
    (asked,) = bench.asked
    assert asked == {
        "model": "fake:1b",
        "messages": [
            {"role": "user", "content": f"Request {nonce(sample.seed, 'tools', 0)}\n\nWhat about one by tools?"}
        ],
        "format": prompt("one", "tools").answer_schema,
        "options": {"temperature": 0.0, "num_ctx": 8192, "num_predict": 512, "seed": sample.seed},
        "think": False,
        "truncate": False,
        "shift": False,
        "stream": True,
    }


def test_what_a_sample_says(bench: Bench) -> None:
    bench.fake.answer = lambda prompt, schema: '{"colour": "red"}'
    bench.fake.latency_s = 0.05
    (sample,) = bench.run(samples=1, approaches=["baseline"])
    assert (sample.status, sample.error, sample.answer, sample.score) == ("completed", None, {"colour": "red"}, 1.0)
    assert (sample.output_tokens, sample.done_reason, sample.prompt_cached_tokens) == (5, "stop", 0)
    assert sample.input_tokens is not None
    assert sample.total_tokens == sample.input_tokens + 5
    assert sample.duration_s is not None
    assert sample.queue_s is not None
    assert sample.duration_s >= 0.05
    assert 0 <= sample.queue_s <= sample.duration_s - 0.04
    assert (sample.model_digest, sample.endpoint.kind, sample.endpoint.version) == (
        "weights-1",
        "external",
        "0.0.0-fake",
    )
    assert (sample.plan, sample.in_flight, sample.flags) == ("0123456789abcdef", 1, [])
    assert (sample.request.protocol, sample.request.options["seed"]) == (1, sample.seed)
    assert len(sample.attempts) == 1
    assert sample.attempts[0].started_at == sample.started_at


def test_the_warm_up_loads_the_model_with_the_same_options_and_is_no_sample(bench: Bench) -> None:
    bench.run()
    (warm_up,) = bench.fake.warm_ups
    (first, *_) = bench.asked
    same = ("model", "format", "think", "truncate", "shift", "stream")
    assert {key: warm_up[key] for key in same} == {key: first[key] for key in same}
    assert warm_up["options"] == first["options"] | {"num_predict": 1, "seed": 0}


def test_one_sample_alone_is_asked_alone_and_reused_by_the_block(bench: Bench) -> None:
    (sample,) = bench.run(only=("tools", 1))
    assert (sample.approach, sample.sample) == ("tools", 1)
    assert bench.about() == ["What about two by tools?"]
    bench.run()
    assert len(bench.asked) == 5


def test_progress_is_told_from_the_start_to_the_end(bench: Bench) -> None:
    bench.run()
    assert bench.lines[0] == "colours on fake:1b: asking 6 of 6 requests"
    assert "6/6 | run: 6/6 requests" in bench.lines[-1]


# --- running again ------------------------------------------------------------------------------------------------


def test_a_rerun_asks_nothing_and_contacts_nobody(bench: Bench) -> None:
    first = bench.run()
    bench.fake.counts.clear()
    assert bench.run() == first
    assert bench.fake.counts == Counter()
    assert bench.lines == []


@pytest.mark.parametrize(
    "changed",
    [{"plan": "another"}, {"round": 3}, {"timeout_s": 1.0}, {"attempts": 1}, {"run_requests": 99}, {"instance": "x"}],
    ids=str,
)
def test_what_does_not_change_a_request_asks_nothing(changed: dict[str, Any], bench: Bench) -> None:
    bench.run()
    bench.run(**changed)
    assert bench.asked == []


def test_the_changed_prompt_of_one_case_asks_exactly_that_case(bench: Bench) -> None:
    bench.run()
    given = prompts(bench.block())
    given["two", "tools"] = prompt("two", "tools", "Changed.")
    samples = bench.run(given)
    assert bench.about() == ["Changed."]
    assert len(samples) == 6
    assert len(bench.files()) == 6
    (old,) = bench.files("superseded")
    assert old.startswith("fake-1b/colours/tools/1.")


def test_a_corrected_truth_scores_the_answers_at_hand_again(bench: Bench) -> None:
    before = bench.run()
    given = prompts(bench.block(), truth={"colour": "blue"})
    after = bench.run(given)
    assert bench.asked == []
    assert {sample.score for sample in before} == {1.0}
    assert {sample.score for sample in after} == {0.0}
    kept = read_sample(bench.path("tools", 0))
    assert isinstance(kept, Sample)
    assert kept.score == 0.0, "the file says it too"


def test_more_samples_ask_only_the_new_ones(bench: Bench) -> None:
    first = bench.run()
    samples = bench.run(samples=4)
    assert sorted(bench.about()) == ["What about one by baseline?", "What about one by tools?"]
    assert samples[:6] == first
    assert {s.repeat for s in samples[6:]} == {1}


def test_another_approach_asks_only_its_own(bench: Bench) -> None:
    bench.run()
    samples = bench.run(approaches=["baseline", "tools", "no_context"])
    assert {about.split(" by ")[1] for about in bench.about()} == {"no_context?"}
    assert len(bench.asked) == 3
    assert len(samples) == 9


def test_fewer_samples_or_arms_leave_the_others_where_they_are(bench: Bench) -> None:
    bench.run()
    assert len(bench.run(samples=1, approaches=["tools"])) == 1
    assert bench.asked == []
    assert len(bench.files()) == 6


def test_other_options_ask_everything_again_and_lose_nothing(bench: Bench) -> None:
    bench.run()
    bench.run(options={"temperature": 0.7, "num_ctx": 8192, "num_predict": 512})
    assert len(bench.asked) == 6
    assert len(bench.files("superseded")) == 6


def test_other_weights_under_the_same_name_are_asked_again_on_contact(bench: Bench) -> None:
    bench.run()
    bench.fake.digest = "weights-2"
    bench.run()
    assert bench.asked == [], "without contact nobody knows"
    samples = bench.run(samples=4)
    assert len(bench.asked) == 8
    assert {s.model_digest for s in samples} == {"weights-2"}
    assert [s.order for s in samples] == list(range(8))
    assert len(bench.files("superseded")) == 6
    assert "other weights" in bench.lines[0]


@pytest.mark.parametrize(
    "content",
    [b"", b"{}", b"not json", b"\xff\xfe", b'{"profile": "light"}', b"[" * 100_000],
    ids=lambda content: repr(content[:10]),
)
def test_a_damaged_sample_file_is_set_aside_and_asked_again(content: bytes, bench: Bench) -> None:
    bench.run()
    bench.path("tools", 2).write_bytes(content)
    samples = bench.run()
    assert bench.about() == ["What about three by tools?"]
    assert len(samples) == 6
    assert "warning: " in bench.lines[0]
    assert "set aside and asked again" in bench.lines[0]
    (aside,) = (bench.folder / "superseded").rglob("*.json")
    assert aside.read_bytes() == content


@pytest.mark.parametrize(
    "change", [{"case": "one"}, {"profile": "heavy"}, {"approach": "baseline"}, {"sample": 7}, {"task": "x"}], ids=str
)
def test_a_sample_file_of_another_cell_is_not_believed(change: dict[str, Any], bench: Bench) -> None:
    bench.run()
    path = bench.path("tools", 2)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    bench.run()
    assert bench.about() == ["What about three by tools?"]


def test_a_folder_in_the_place_of_a_sample_is_set_aside(bench: Bench) -> None:
    (bench.path("tools", 0) / "sub").mkdir(parents=True)
    assert len(bench.run()) == 6
    assert bench.path("tools", 0).is_file()


# --- failures -----------------------------------------------------------------------------------------------------


def test_a_failed_request_is_a_row_and_the_rest_goes_on(bench: Bench) -> None:
    bench.fake.bend = answering(500, "runner crashed", lambda n: n == 2)
    samples = bench.run()
    assert [s.status for s in samples] == ["completed"] * 2 + ["failed"] + ["completed"] * 3
    failed = samples[2]
    assert failed.error is not None
    assert failed.error.class_ == "model"
    assert "runner crashed" in failed.error.message
    assert (failed.score, failed.answer, failed.input_tokens) == (None, None, None)


def test_a_tool_that_failed_is_a_row_without_a_request(bench: Bench) -> None:
    given = prompts(bench.block())
    given["two", "tools"] = prompt(
        "two", "tools", "", prompt=None, error=SampleError("tool", "bandit crashed"), tool_s=2.5
    )
    samples = bench.run(given)
    assert len(bench.asked) == 5
    (failed,) = [s for s in samples if s.status == "failed"]
    assert failed.error == SampleError("tool", "bandit crashed")
    assert (failed.approach, failed.case, failed.tool_s, failed.attempts, failed.duration_s) == (
        "tools",
        "two",
        2.5,
        [],
        None,
    )
    bench.run(given)
    assert bench.asked == []


def test_a_block_in_which_nothing_can_be_asked_needs_no_server(bench: Bench) -> None:
    broken = {"prompt": None, "error": SampleError("tool", "x")}
    bench.run(prompts(bench.block(), **broken), endpoint={"kind": "http://127.0.0.1:9"})
    assert len(bench.files()) == 6


def test_a_case_whose_corpus_is_missing_is_left_out_and_told(bench: Bench) -> None:
    given = prompts(bench.block())
    for arm in ("baseline", "tools"):
        given["two", arm] = prompt("two", arm, "", prompt=None, error=SampleError("corpus", "offline"))
    assert {s.case for s in bench.run(given)} == {"one", "three"}
    assert "colours: 2 samples skipped" in bench.lines[-1]
    assert len(bench.files()) == 4


def test_a_timeout_is_a_censored_row_with_what_had_come(bench: Bench) -> None:
    bench.fake.bend = lambda n, reply: (reply[0], reply[1], 2.0) if n == 0 else reply
    samples = bench.run(timeout_s=0.3, samples=1)
    assert samples[0].status == "timeout"
    assert samples[0].error is not None
    assert samples[0].error.class_ == "timeout"
    assert samples[0].duration_s == pytest.approx(0.3, abs=0.3)
    assert len(samples[0].attempts) == 1
    assert samples[1].status == "completed"


def test_a_task_may_have_a_limit_of_its_own(bench: Bench) -> None:
    bench.fake.latency_s = 0.5
    (sample,) = bench.run(prompts(bench.block(), timeout_s=0.2), samples=1, approaches=["tools"])
    assert sample.status == "timeout"


def test_an_overloaded_server_is_asked_again_with_another_nonce(bench: Bench) -> None:
    bench.fake.bend = answering(503, "server busy", lambda n: n < 2)
    (sample,) = bench.run(samples=1, approaches=["tools"])
    assert sample.status == "completed"
    assert [attempt.error.class_ if attempt.error else None for attempt in sample.attempts] == [
        "overloaded",
        "overloaded",
        None,
    ]
    assert sample.flags == ["retried"]
    contents = [asked["messages"][0]["content"] for asked in bench.asked]
    assert contents == [f"Request {nonce(sample.seed, 'tools', n)}\n\nWhat about one by tools?" for n in range(3)]


def test_tries_are_bounded(bench: Bench) -> None:
    bench.fake.bend = answering(503, "server busy")
    (sample,) = bench.run(samples=1, approaches=["tools"], attempts=2)
    assert sample.error is not None
    assert (sample.status, sample.error.class_, len(sample.attempts)) == ("failed", "overloaded", 2)


def test_an_unparseable_answer_is_completed_never_retried_and_scores_0(bench: Bench) -> None:
    bench.fake.answer = lambda prompt, schema: "I think it is red."
    (sample,) = bench.run(samples=1, approaches=["tools"])
    assert (sample.status, sample.answer, sample.score, len(sample.attempts)) == ("completed", None, 0.0, 1)
    bench.run(samples=1, approaches=["tools"], retry="all")
    assert bench.asked == []


@pytest.mark.parametrize(
    ("final", "expected"),
    [
        ({"done_reason": "length"}, "output_capped"),
        ({"prompt_eval_count": None}, "tokens_missing"),
        ({"eval_count": -5}, "tokens_missing"),
        ({"eval_duration": 10**15}, "impossible_duration"),
        ({"load_duration": -1}, "impossible_duration"),
    ],
    ids=str,
)
def test_what_a_check_should_know_is_flagged(final: dict[str, Any], expected: str, bench: Bench) -> None:
    bench.fake.bend = lambda n, reply: (reply[0], [*reply[1][:-1], reply[1][-1] | final], reply[2])
    (sample,) = bench.run(samples=1, approaches=["tools"])
    assert sample.flags == [expected]
    assert read_sample(bench.path("tools", 0)) == sample


def test_a_token_count_that_is_missing_is_unknown_and_not_zero(bench: Bench) -> None:
    def without(n: int, reply: Reply) -> Reply:
        keep = {k: v for k, v in reply[1][-1].items() if not k.startswith(("prompt_eval", "eval"))}
        return reply[0], [*reply[1][:-1], keep], reply[2]

    bench.fake.bend = without
    (sample,) = bench.run(samples=1, approaches=["tools"])
    assert (sample.input_tokens, sample.output_tokens, sample.total_tokens) == (None, None, None)
    assert (sample.prompt_eval_s, sample.eval_s, sample.prompt_cached_tokens) == (None, None, None)


# --- which failures a rerun asks again ----------------------------------------------------------------------------

CLASSES = [
    "connection",
    "overloaded",
    "interrupted",
    "malformed_response",
    "timeout",
    "context_overflow",
    "model",
    "tool",
]
PASSING = CLASSES[:4]


@pytest.mark.parametrize(
    ("retry", "again"),
    [("default", PASSING), ("all", CLASSES), ("none", [])],
)
def test_retry_policies(retry: str, again: list[str], bench: Bench) -> None:
    samples = bench.run(samples=8, approaches=["tools"], cases=[f"c{n}" for n in range(8)])
    for sample, kind in zip(samples, CLASSES, strict=True):
        status = "timeout" if kind == "timeout" else "failed"
        write_sample(
            bench.path("tools", sample.sample),
            msgspec.structs.replace(sample, status=status, error=SampleError(kind, "x")),
        )
    before = {kind: read_sample(bench.path("tools", n)) for n, kind in enumerate(CLASSES)}
    assert retryable([s for s in before.values() if isinstance(s, Sample)], retry) == len(again)
    after = bench.run(samples=8, approaches=["tools"], cases=[f"c{n}" for n in range(8)], retry=retry)
    assert len(bench.asked) == len(again)
    assert [s.status == "completed" for s in after] == [kind in again for kind in CLASSES]
    assert len(bench.files("superseded")) == len(again)


def test_a_completed_sample_is_never_asked_again(bench: Bench) -> None:
    bench.run()
    bench.run(retry="all")
    assert bench.asked == []


# --- the endpoint goes away ---------------------------------------------------------------------------------------


def test_an_endpoint_that_is_not_there_is_one_line_and_nothing_is_written(bench: Bench) -> None:
    with pytest.raises(BenchmarkError) as caught:
        bench.run(endpoint={"kind": "http://127.0.0.1:9"})
    assert "\n" not in str(caught.value)
    assert bench.files() == []


def test_a_lost_connection_stops_early_keeps_what_is_there_and_a_rerun_asks_the_rest(bench: Bench) -> None:
    bench.fake.bend = breaking_off(bench.fake, after=4)
    with pytest.raises(EndpointConnectionError, match=r"stopped answering; .* run the same command again"):
        bench.run(samples=10, attempts=1)
    assert len(bench.asked) == 4 + execution.FAILURES_IN_A_ROW
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


# --- at once ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("slots", [1, 3])
def test_never_more_requests_than_allowed_are_under_way(slots: int, bench: Bench) -> None:
    bench.fake.latency_s = 0.1
    samples = bench.run(samples=6, endpoint={"max_concurrent": slots})
    assert bench.fake.most_at_once() == slots
    assert max(s.in_flight for s in samples) == slots
    assert [s.order for s in samples] == list(range(12))
    assert {s.status for s in samples} == {"completed"}


def test_a_block_counts_as_many_under_way_for_its_first_case_as_for_its_last(bench: Bench) -> None:
    """Slots that filled one by one gave the arms of the first case different numbers, and so void times: a third
    of a run of three samples, whatever the server."""
    bench.fake.latency_s = 0.02
    samples = bench.run(samples=6, endpoint={"max_concurrent": 3})
    assert {s.in_flight for s in samples} == {3}


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


# --- small parts --------------------------------------------------------------------------------------------------


def test_the_pause_between_tries_grows_is_capped_and_obeys_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "BACKOFF_BASE_S", 0.5)
    plain = OverloadedError("busy")
    assert all(0 <= measure.backoff(attempt, plain) <= 0.5 * 2**attempt for attempt in range(6) for _ in range(20))
    assert all(measure.backoff(50, plain) <= measure.BACKOFF_CAP_S for _ in range(20))
    assert measure.backoff(0, OverloadedError("busy", retry_after_s=7)) == 7
    assert measure.backoff(0, OverloadedError("busy", retry_after_s=1e9)) == 300


@pytest.mark.parametrize(
    ("seconds", "words"), [(0, "0 s"), (89, "89 s"), (91, "2 min"), (5400, "1.5 h"), (90000, "25.0 h")]
)
def test_durations_for_people(seconds: float, words: str) -> None:
    assert duration(seconds) == words
