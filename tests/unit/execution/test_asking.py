"""What a block asks: each cell once, in order; and what becomes of requests that fail."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from ai_dev_tools.benchmark._util.clock import duration
from ai_dev_tools.benchmark.endpoints.ollama_client import OllamaClient
from ai_dev_tools.benchmark.endpoints.resource_use import ResourceMonitor
from ai_dev_tools.benchmark.errors import OverloadedError
from ai_dev_tools.benchmark.execution import request as measure
from ai_dev_tools.benchmark.execution.recording import sample_of
from ai_dev_tools.benchmark.records.block import cells, nonce
from ai_dev_tools.benchmark.records.sample import EndpointIdentity, SampleError, read_sample
from support.bench import Bench, Reply, answering
from support.making import prompt, prompts

# --- the first run --------------------------------------------------------------------------------------------------


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
    assert sample.rest_s is not None
    assert sample.duration_s >= 0.05
    assert 0 <= sample.rest_s <= sample.duration_s - 0.04
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


@pytest.mark.parametrize("think", [True, False, "low", "medium", "high"])
def test_what_is_said_of_thinking_is_sent(bench: Bench, think: Any) -> None:
    bench.run(think=think)
    assert {request["think"] for request in (*bench.asked, *bench.fake.warm_ups)} == {think}


def test_nothing_is_said_of_thinking_where_it_is_left_out(bench: Bench) -> None:
    bench.run(think=None)
    assert bench.asked
    assert not any("think" in request for request in (*bench.asked, *bench.fake.warm_ups))


def test_a_right_answer_behind_thoughts_and_in_a_fence_is_right(bench: Bench) -> None:
    bench.run(samples=1, approaches=["tools"])
    (plain,) = bench.run(samples=1, approaches=["tools"])
    bench.fake.thinks, right = True, bench.fake.answer
    bench.fake.answer = lambda prompt, schema: f"<think>No.</think>\n```JSON\n{right(prompt, schema)}\n```<|im_end|>"
    (sample,) = bench.run(samples=1, approaches=["tools"], think=True)
    assert (sample.answer, sample.score) == (plain.answer, plain.score)
    assert sample.answer is not None


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


# --- failures -------------------------------------------------------------------------------------------------------


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


def test_a_case_whose_corpus_is_missing_is_left_out_and_reported(bench: Bench) -> None:
    given = prompts(bench.block())
    for arm in ("baseline", "tools"):
        given["two", arm] = prompt("two", arm, "", prompt=None, error=SampleError("corpus", "offline"))
    assert {s.case for s in bench.run(given)} == {"one", "three"}
    assert "colours: 2 samples skipped" in bench.lines[-1]
    assert len(bench.files()) == 4


def test_a_timeout_is_a_censored_row_with_what_had_come(bench: Bench) -> None:
    bench.fake.bend = lambda n, reply: (reply[0], reply[1], 60.0) if n == 0 else reply
    samples = bench.run(timeout_s=1.0, samples=1)
    assert samples[0].status == "timeout"
    assert samples[0].error is not None
    assert samples[0].error.class_ == "timeout"
    assert samples[0].duration_s is not None
    assert 1.0 <= samples[0].duration_s < 30
    assert len(samples[0].attempts) == 1
    assert samples[1].status == "completed"


def test_a_task_may_have_a_limit_of_its_own(bench: Bench) -> None:
    bench.fake.bend = lambda n, reply: (reply[0], reply[1], 5.0)
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


def test_an_error_of_a_request_says_where_it_happened(bench: Bench) -> None:
    bench.fake.bend = answering(503, "server busy")
    wanted = bench.block(attempts=2)
    (cell, *_), client = cells(wanted), OllamaClient(bench.fake.url)
    asked = measure.ask(
        wanted, cell, prompt(cell.case, cell.approach), client, ResourceMonitor(None), threading.Event(), lambda: 1
    )
    assert isinstance(asked.error, OverloadedError)
    assert (asked.error.instance, asked.error.attempts) == ("small", 2)
    sample = sample_of(
        wanted, cell, prompt(cell.case, cell.approach), asked, "s", None, EndpointIdentity("external", "1")
    )
    assert asked.error.request == sample.request.digest


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
        ({"eval_duration": 10**400}, "impossible_duration"),
        ({"load_duration": "long", "eval_count": -1}, "tokens_missing"),
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


# --- small parts ----------------------------------------------------------------------------------------------------


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
