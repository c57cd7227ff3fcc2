"""Every fault on the way to an endpoint: the right class, the right number of attempts, a finished block, nothing lost.

A proxy (tests/fakes/faulty_proxy.py) breaks all attempts of case `two` and the first attempt of case `three`; case `one` is
left alone. The table in docs/reliability.md is made of what was seen here:
`UPDATE_DOCS=1 pytest tests/endpoints/test_faults.py`.
"""

from __future__ import annotations

import functools
import itertools
import threading
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from ai_dev_tools.benchmark.endpoints.ollama_client import status_error
from ai_dev_tools.benchmark.errors import EndpointConnectionError
from ai_dev_tools.benchmark.execution import request as measure
from ai_dev_tools.benchmark.records.sample import Sample, read_sample
from fakes.faults import FAULTS, Chat, Fault
from fakes.faulty_proxy import FaultyProxy
from fakes.ollama import FakeOllama
from support.faults import (
    LIMIT_S,
    MODEL,
    Expected,
    Seen,
    a_block,
    check_block,
    check_rerun,
    check_table,
    check_tries,
    completed,
    observe,
    passing,
    rows,
    run,
)
from support.making import block
from support.workflow_project import Project

BEGIN = "<!-- faults: made by tests/endpoints/test_faults.py -->"


EXPECTED: dict[str, Expected] = {
    "closed_before_the_answer": passing("connection closed before any answer", "connection"),
    "reset_in_mid_stream": passing("connection reset in mid-stream", "connection"),
    "cut_in_mid_chunk": passing("connection closed in the middle of a chunk", "connection"),
    "html_502": passing("HTML page with status 502", "connection"),
    "busy_503": passing("503, no `Retry-After`", "overloaded"),
    "busy_503_retry_after": passing("503 with `Retry-After: 1` (obeyed)", "overloaded"),
    "truncated_ndjson": passing("stream cut in mid-line", "malformed_response"),
    "invalid_json": passing("a line that is not JSON", "malformed_response"),
    "json_that_is_no_object": passing("a line that is not a JSON object", "malformed_response"),
    "invalid_utf8": passing("a line that is not UTF-8", "malformed_response"),
    "line_without_end": passing("a line of more than 16 MB", "malformed_response"),
    "no_done": passing("stream that ends without `done`", "malformed_response"),
    "loaded_only": passing('`done_reason: "load"` and no answer', "malformed_response"),
    "runner_killed_in_mid_stream": passing("the model's runner is killed in mid-answer", "runner"),
    "runner_stopped_500": passing("500: the runner has stopped", "runner"),
    "runner_terminated_500": passing("500: the runner has terminated: exit status 2", "runner"),
    "looped": completed("stream that ends without `done` after 31 equal tokens", "looped"),
    "stall_in_mid_stream": Expected("stall in mid-stream", "timeout", status="timeout"),
    "trickle_without_end": Expected("a trickle that never ends", "timeout", status="timeout"),
    "no_first_byte": Expected("no first byte within `task_timeout`", "timeout", status="timeout"),
    "not_found_404": Expected("404: model not found", "model"),
    "error_500": Expected("500: the server refuses the request", "model"),
    "error_in_mid_stream": Expected('`{"error": …}` in mid-stream under status 200', "model"),
    "overflow_400": Expected("400: the prompt does not fit", "context_overflow"),
    "refused_401": Expected("401: no access", "configuration", asked_again=True),
    "slow_first_byte": completed("slow first byte within `task_timeout`"),
    "no_token_counts": completed("answer without token counts", "tokens_missing"),
    "empty_errors": completed('`"error": null` and `"error": ""`'),
    "content_null": completed('`"content": null`'),
    "half_a_character": completed("half of a surrogate pair in the answer"),
    "absurd_durations": completed("negative, huge and non-numeric durations", "impossible_duration"),
    "answer_of_10_mb": completed("answer of 10 MB"),
    "two_lines_in_one_chunk_and_one_in_two": completed("lines cut anywhere by chunks"),
}


HANGING = ("stall_in_mid_stream", "trickle_without_end", "no_first_byte")


@functools.cache
def see(name: str) -> Seen:
    with FakeOllama([MODEL]) as fake, FaultyProxy(fake.url) as proxy:
        return observe(proxy, FAULTS[name], hangs=name in HANGING, at_once=6 if "retry_after" in name else 1)


def test_every_fault_has_its_row() -> None:
    assert set(EXPECTED) == set(FAULTS)


@pytest.mark.parametrize("name", EXPECTED)
def test_a_fault_ends_in_its_class_after_its_tries(name: str) -> None:
    check_tries(EXPECTED[name], see(name))


@pytest.mark.parametrize("name", EXPECTED)
def test_a_block_goes_on_after_a_fault_and_loses_nothing(name: str) -> None:
    check_block(EXPECTED[name], see(name))


@pytest.mark.parametrize("name", EXPECTED)
def test_a_rerun_asks_again_what_may_pass_and_only_that(name: str) -> None:
    check_rerun(EXPECTED[name], see(name))


def test_the_pause_asked_for_is_kept() -> None:
    for sample in see("busy_503_retry_after").of("two"):
        assert [attempt.backoff_s >= 1.0 for attempt in sample.attempts] == [True, True, False]
    assert all(attempt.backoff_s < 1.0 for sample in see("busy_503").of("two") for attempt in sample.attempts)


def test_a_pause_may_be_asked_for_as_a_date() -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    assert 50 < (status_error(503, b"", {"Retry-After": date}).retry_after_s or 0) <= 60
    assert status_error(503, b"", {"Retry-After": "Wed, 01 Jan 2020 00:00:00 GMT"}).retry_after_s == 0
    assert status_error(503, b"", {"Retry-After": "soon"}).retry_after_s is None


def test_every_try_says_why_it_failed() -> None:
    for sample in see("html_502").of("three"):
        first, second = sample.attempts
        assert first.error
        assert first.error.class_ == "connection"
        assert second.error is None
        assert second.started_at > first.started_at


def test_a_timeout_keeps_what_came_and_lasts_as_long_as_the_limit() -> None:
    for sample in see("stall_in_mid_stream").of("two"):
        assert sample.response == '{"col'
        assert sample.duration_s
        assert LIMIT_S - 0.05 <= sample.duration_s < LIMIT_S + 10  # the clock of the limit starts a moment earlier
    for sample in see("trickle_without_end").of("two"):
        assert sample.duration_s
        assert sample.duration_s < LIMIT_S + 10, "pieces do not prolong the limit"


def test_a_slow_first_byte_is_seen_as_such() -> None:
    assert all((sample.time_to_first_token_s or 0) >= 0.3 for sample in see("slow_first_byte").of("two"))


def test_what_the_server_does_not_tell_is_unknown_never_zero() -> None:
    for sample in see("no_token_counts").of("two"):
        assert (sample.input_tokens, sample.output_tokens, sample.total_tokens) == (None, None, None)
    for sample in see("absurd_durations").of("two"):
        assert (sample.load_s, sample.prompt_eval_s, sample.eval_s) == (None, None, None)
        assert sample.input_tokens


def test_an_answer_that_looped_is_scored_as_it_stands_with_what_was_seen_as_its_tokens() -> None:
    for sample in (*see("looped").of("two"), *see("looped").of("three")[:1]):
        assert (sample.response, sample.done_reason) == ("{" + "\u00a0" * 31, "loop")
        assert (sample.input_tokens, sample.output_tokens, sample.total_tokens) == (None, 32, None)
        assert sample.score == 0
        assert sample.flags == ["looped", "output_capped"]
        assert (sample.load_s, sample.eval_s) == (None, None)


def test_half_a_character_is_marked() -> None:
    assert all((sample.response or "").startswith("\ufffd") for sample in see("half_a_character").of("two"))


def test_a_huge_answer_is_kept_whole() -> None:
    assert all(len(sample.response or "") == 10_000_000 for sample in see("answer_of_10_mb").of("two"))


# --- connections refused: nothing there at all ---------------------------------------------------------------------


def test_a_short_outage_is_waited_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "backoff", lambda *_: 2.0)
    with FakeOllama([MODEL]) as fake, FaultyProxy(fake.url) as proxy:

        def go_away(chat: Chat) -> Fault | None:
            if "three" in chat.prompt and chat.attempt == 1 and not proxy.broken:
                proxy.close()
                threading.Timer(0.15, proxy.listen).start()
                return FAULTS["closed_before_the_answer"]
            return None

        proxy.choose = go_away
        samples = run(a_block(tmp_path, proxy.url))
    assert all(sample.status == "completed" for sample in samples)
    assert sorted(len(sample.attempts) for sample in samples) == [1, 1, 1, 1, 1, 2]


@pytest.mark.parametrize("slots", [1, 4])
def test_a_lasting_outage_stops_the_block_early_and_the_rerun_asks_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, slots: int
) -> None:
    monkeypatch.setattr(measure, "BACKOFF_BASE_S", 0.01)
    with FakeOllama([MODEL]) as fake, FaultyProxy(fake.url) as proxy:
        asked = a_block(tmp_path, proxy.url, max_concurrent=slots)
        asked = block(**{**{name: getattr(asked, name) for name in asked.__struct_fields__}, "samples": 12})

        def end(chat: Chat) -> Fault | None:
            if len(proxy.chats) >= 8:
                proxy.close()
                return FAULTS["closed_before_the_answer"]
            return None

        proxy.choose = end
        with pytest.raises(
            EndpointConnectionError, match=r"stopped answering; .* Check the server and run the same command"
        ):
            run(asked)
        proxy.choose = lambda _: None
        kept = {path: read_sample(path) for path in (tmp_path / "samples").rglob("*.json")}
        good = {path: s for path, s in kept.items() if isinstance(s, Sample) and s.status == "completed"}
        lost = [s for s in kept.values() if isinstance(s, Sample) and s.status != "completed"]
        assert 1 <= len(good) <= 7
        assert {s.error.class_ for s in lost if s.error} == {"connection"}
        assert all(len(s.attempts) == 3 for s in lost)
        assert len(kept) < 24, "it stops early"
        proxy.listen()
        before = len(proxy.chats)
        samples = run(asked)
        assert len(samples) == 24
        assert all(sample.status == "completed" for sample in samples)
        assert len(proxy.chats) - before == 24 - len(good)
        assert {path: read_sample(path) for path in good} == good


# --- through the whole workflow ------------------------------------------------------------------------------------


def test_a_run_through_all_faults_completes(tmp_path: Path) -> None:
    """The real workflow; every other try of a request meets the next fault of all that end by themselves."""
    coming = itertools.cycle([FAULTS[name] for name in EXPECTED if name not in HANGING])

    def choose(chat: Chat) -> Fault | None:
        return next(coming) if chat.attempt % 2 else None

    project = Project.create(tmp_path)
    try:
        with FakeOllama(["llama3.2:1b"]) as fake, FaultyProxy(fake.url, choose) as proxy:
            settings = {
                "profile": "light",
                "endpoint": proxy.url,
                "tasks": "systematic_fix",
                "samples": 6,
                "retry_attempts": 4,
            }
            project.run("run", **settings)
            assert len(proxy.broken) >= 12, "many kinds of faults happened"
            first = project.sample_files("light")
            assert len(first) == 18
            proxy.choose, before = (lambda _: None), len(proxy.chats)
            project.run("run", **settings, retry="all")
            again = project.sample_files("light")
        completed = {name: sample for name, sample in first.items() if sample["status"] == "completed"}
        assert {name: again[name] for name in completed} == completed
        assert all(sample["status"] == "completed" for sample in again.values())
        assert len(proxy.chats) - before == 18 - len(completed)
    finally:
        project.clean_up()


# --- the table -----------------------------------------------------------------------------------------------------


def table() -> str:
    lines = [
        "| what happens | sample | attempts | when the second attempt is answered | a rerun |",
        "|---|---|---|---|---|",
        "| connection refused | `connection` | 3 | completed, 2 attempts | asks again; after 3 samples in a row the block"
        " stops early |",
    ]
    return "\n".join([*lines, *rows(EXPECTED, see)])


def test_the_table_in_the_documentation_is_what_was_seen() -> None:
    check_table(BEGIN, table())
