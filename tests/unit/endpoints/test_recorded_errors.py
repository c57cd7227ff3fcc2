"""A recorded error, sent again by a replay, is recorded in the same class and the same words, however often."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ai_dev_tools.benchmark._util import wire
from ai_dev_tools.benchmark.endpoints.ollama_client import server_error, status_error
from ai_dev_tools.benchmark.endpoints.openai_errors import error_of, read_refusal
from ai_dev_tools.benchmark.endpoints.recorded_errors import IN_STREAM, as_sent
from ai_dev_tools.benchmark.errors import BenchmarkError

STATUSES = [IN_STREAM, 400, 401, 403, 404, 413, 429, 499, 500, 502, 503, 504]
SAID = st.one_of(
    st.text(max_size=400),
    st.sampled_from([
        "llama runner process has terminated", "the prompt exceeds the context", "no such model", "busy (503)",
        "unexpected EOF", "the server says: no", "(500)", "CUDA error: out of memory (400)",
    ]),
)  # fmt: skip


def recorded(status: int, said: str) -> BenchmarkError:
    return server_error(said, may_pass=True) if status == IN_STREAM else status_error(status, body(said))


def body(said: str) -> bytes:
    return json.dumps({"error": said}).encode()


def again(error: BenchmarkError) -> BenchmarkError:
    sent = as_sent(error.error_class, str(error))
    assert sent is not None
    return recorded(*sent)


@given(status=st.sampled_from(STATUSES), said=SAID)
@example(status=500, said="x" * 300)
@example(status=400, said="connection reset " * 30)
def test_an_error_is_recorded_alike_when_it_is_replayed(status: int, said: str) -> None:
    error = recorded(status, " ".join(said.split()) or "x")
    replayed = again(error)
    assert (replayed.error_class, str(replayed)) == (error.error_class, str(error))


@given(status=st.sampled_from(STATUSES[1:]), said=SAID)
@example(status=400, said="This model's maximum context length is 4096 tokens")
@example(status=429, said="slow down")
def test_of_a_server_with_openais_api_the_class_is_the_same_and_the_words_do_not_grow(status: int, said: str) -> None:
    error = error_of(read_refusal(status, body(" ".join(said.split()) or "x"), wire.Secrets()))
    once = again(error)
    assert once.error_class == error.error_class
    assert str(again(once)) == str(once)


@pytest.mark.parametrize(
    ("error_class", "message"),
    [
        ("connection", "the connection broke"),
        ("malformed_response", "a line of the answer is not JSON"),
        ("timeout", "no complete answer within 5 s"),
        ("interrupted", "the agent went away before the answer was complete"),
    ],
)
def test_what_no_answer_of_a_server_says_is_not_sent_as_one(error_class: str, message: str) -> None:
    assert as_sent(error_class, message) is None
