"""Every fault at a server that speaks OpenAI's API: the right class, the right number of tries, nothing lost.

As test_faults, whose table in docs/reliability.md has these rows as well.
"""

from __future__ import annotations

import functools

import pytest

from fakes.openai_api import FakeOpenAI
from fakes.openai_faults import FAULTS
from support.faults import (
    Expected,
    Seen,
    check_block,
    check_rerun,
    check_table,
    check_tries,
    completed,
    observe,
    passing,
    rows,
)

EXPECTED: dict[str, Expected] = {
    "closed_before_the_answer": passing("connection closed before any answer", "connection"),
    "reset_in_mid_stream": passing("connection reset in mid-stream", "connection"),
    "html_502": passing("HTML page with status 502", "connection"),
    "html_200": passing("HTML page with status 200", "malformed_response"),
    "truncated_event": passing("stream cut in the middle of an event", "malformed_response"),
    "stream_without_end": passing("stream without `finish_reason` and `[DONE]`", "malformed_response"),
    "done_only": passing("`[DONE]` alone", "malformed_response"),
    "done_without_a_reason": passing("`[DONE]` without `finish_reason`", "malformed_response"),
    "error_object_in_mid_stream": passing('`{"object": "error"}` in mid-stream: out of memory', "runner"),
    "runner_gone_in_mid_stream": passing("`error` event: the runner has terminated", "runner"),
    "broken_off_by_the_server": passing('`finish_reason: "error"`', "runner"),
    "limit_in_mid_stream": passing("`error` event with code 429", "overloaded"),
    "limited_429": passing("429, no `Retry-After`", "overloaded"),
    "limited_429_retry_after": passing("429 with `Retry-After` (obeyed by all threads)", "overloaded"),
    "limited_429_reset": passing("429 with `x-ratelimit-reset-requests` (obeyed)", "overloaded"),
    "overloaded_529": passing("529: overloaded", "overloaded"),
    "stall_in_mid_stream": Expected("stall in mid-stream", "timeout", status="timeout"),
    "keep_alives_without_end": Expected("keep-alive comments that never end", "timeout", status="timeout"),
    "quota_429": Expected("429: `insufficient_quota`", "configuration", asked_again=True),
    "refused_401": Expected("401: no access", "configuration", asked_again=True),
    "refused_403": Expected("403: no access", "configuration", asked_again=True),
    "not_found_404": Expected("404: model not found", "model"),
    "error_400": Expected("400: the server refuses the request", "model"),
    "overflow_400": Expected("400: `context_length_exceeded`", "context_overflow"),
    "overflow_in_mid_stream": Expected("`error` event: the prompt does not fit", "context_overflow"),
    "filtered": Expected('`finish_reason: "content_filter"`', "model"),
    "called_a_tool": Expected('`finish_reason: "tool_calls"`', "model"),
    "capped": completed('`finish_reason: "length"`', "output_capped"),
    "no_done": completed("`[DONE]` is missing after the whole answer"),
    "no_usage": completed("answer without `usage`", "tokens_missing"),
    "refusal": completed("`refusal` in place of an answer", "refused"),
    "comments_and_keep_alives": completed("comments, pings and CRLF in the stream"),
    "not_streamed": completed("one JSON object instead of a stream"),
    "cut_anywhere_by_chunks": completed("events cut anywhere by chunks"),
    "limited_429_reset_alone": passing("429 with `x-ratelimit-reset-tokens` alone (obeyed)", "overloaded"),
    "failed_500": passing("500: the server failed", "runner"),
    "html_500": passing("HTML page with status 500", "runner"),
    "error_with_status_200": passing('`{"error": …}` with code 502 and status 200', "connection"),
    "not_utf8": passing("an event that is not UTF-8", "malformed_response"),
    "redirected_307": Expected("307 to another server (not followed)", "configuration", asked_again=True),
    "policy_400": Expected("400: the content is forbidden", "model"),
    "compressed": completed("compressed stream, though none was asked for"),
    "usage_everywhere": completed("`usage` in every event"),
    "fields_of_others": completed("byte order mark, empty choices, thoughts, fields of other types"),
}
BEGIN = "<!-- faults of the OpenAI dialect: made by tests/endpoints/test_faults_openai.py -->"
HANGING = ("stall_in_mid_stream", "keep_alives_without_end")


@functools.cache
def see(name: str) -> Seen:
    with FakeOpenAI() as fake:
        return observe(fake, FAULTS[name], hangs=name in HANGING, at_once=6 if "limited" in name else 1)


def test_every_fault_has_its_row() -> None:
    assert set(EXPECTED) == set(FAULTS)


@pytest.mark.parametrize("name", EXPECTED)
def test_a_fault_ends_in_its_class_after_its_tries_and_loses_nothing(name: str) -> None:
    check_tries(EXPECTED[name], see(name))
    check_block(EXPECTED[name], see(name))


@pytest.mark.parametrize("name", EXPECTED)
def test_a_rerun_asks_again_what_may_pass_and_only_that(name: str) -> None:
    check_rerun(EXPECTED[name], see(name))


@pytest.mark.parametrize("name", ["limited_429_retry_after", "limited_429_reset", "limited_429_reset_alone"])
def test_the_pause_asked_for_is_kept(name: str) -> None:
    for sample in see(name).of("two"):
        assert [attempt.backoff_s > 0.25 for attempt in sample.attempts] == [True, True, False]


def test_what_a_filter_or_a_tool_call_cost_is_still_counted() -> None:
    for sample in see("capped").of("two"):
        assert (sample.done_reason, bool(sample.output_tokens)) == ("length", True)
    for sample in see("filtered").of("two"):
        assert (sample.response, sample.done_reason) == ('{"col', "content_filter")


def test_a_refusal_is_an_answer_that_is_worth_nothing() -> None:
    assert all((sample.response, sample.score) == ("I cannot.", 0.0) for sample in see("refusal").of("two"))


def test_the_table_in_the_documentation_is_what_was_seen() -> None:
    head = [
        "| what happens | sample | attempts | when the second attempt is answered | a rerun |",
        "|---|---|---|---|---|",
    ]
    check_table(BEGIN, "\n".join([*head, *rows(EXPECTED, see)]))
