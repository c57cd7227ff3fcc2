"""The dialect of OpenAI's API: what is sent, how its streams are read, and what a server is not asked for twice."""

from __future__ import annotations

import json
import threading
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ai_dev_tools.benchmark._util.wire import Secrets
from ai_dev_tools.benchmark.endpoints.chat import Accepted, Chat, Reply
from ai_dev_tools.benchmark.endpoints.openai_client import FORMATS, OpenAIClient, fewer
from ai_dev_tools.benchmark.endpoints.openai_errors import Refused, error_of, read_refusal, refused_in_stream
from ai_dev_tools.benchmark.endpoints.pacing import MOST_WAIT_S, Pace, span_s, used_up_s
from ai_dev_tools.benchmark.errors import (
    BenchmarkError,
    ConfigurationError,
    ContextOverflowError,
    MalformedResponseError,
    ModelError,
    OverloadedError,
)
from fakes.openai_api import DONE, FakeOpenAI, error, sse
from fakes.openai_faults import begun, ended
from fakes.scripted_socket import Script, serving, streams, whole
from support.recorded import exchanges

SCHEMA = {"type": "object", "properties": {"colour": {"type": "string"}}}
OPTIONS = {"temperature": 0.0, "num_ctx": 8192, "num_predict": 512, "seed": 7}
CHAT = Chat("fake:1b", "Request 00000001\n\nWhich colour?", SCHEMA, OPTIONS)


def reply_to(script: Script) -> Reply:
    reply = Reply()
    with serving(script) as server:
        OpenAIClient(server.url).ask(CHAT, 30, reply)
    return reply


# --- what is sent ---------------------------------------------------------------------------------------------------


def test_a_request_in_full() -> None:
    assert OpenAIClient("http://x").body(CHAT) == {
        "model": "fake:1b",
        "messages": [{"role": "user", "content": "Request 00000001\n\nWhich colour?"}],
        "stream_options": {"include_usage": True},
        "temperature": 0.0,
        "seed": 7,
        "max_tokens": 512,
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "answer", "strict": True, "schema": SCHEMA},
        },
    }


@pytest.mark.parametrize(
    ("think", "effort"),
    [(None, None), (True, None), (False, "none"), ("low", "low"), ("medium", "medium"), ("high", "high")],
)
def test_the_levels_of_thinking(think: Any, effort: str | None) -> None:
    assert OpenAIClient("http://x").body(replace(CHAT, think=think)).get("reasoning_effort") == effort


@pytest.mark.parametrize(
    ("address", "asked"),
    [
        ("http://gpu:8000", "http://gpu:8000/v1"),
        ("http://gpu:8000/", "http://gpu:8000/v1"),
        ("https://models.example/v1", "https://models.example/v1"),
        ("https://models.example/openai/v1/", "https://models.example/openai/v1"),
        ("https://models.example/v1beta/openai", "https://models.example/v1beta/openai"),
    ],
)
def test_an_address_without_a_path_gets_the_usual_one(address: str, asked: str) -> None:
    assert OpenAIClient.server_url(address) == asked


# --- what the server does not take ----------------------------------------------------------------------------------


def unless(field: str, message: str, kind: str | None = None) -> Any:
    """Refuse requests that hold a field, of `response_format` those of one kind, in a server's words."""

    def refuse(body: dict[str, Any]) -> tuple[int, dict[str, Any]] | None:
        held = body.get(field)
        if held is None or (kind and (held.get("type") != kind)):
            return None
        return 400, error(message)

    return refuse


@pytest.mark.parametrize(
    ("refuse", "expected"),
    [
        (lambda body: None, Accepted()),
        (unless("response_format", "'response_format' is not supported"), Accepted(format="none")),
        (
            unless("response_format", "json_schema is not supported by this model", "json_schema"),
            Accepted(format="json_object"),
        ),
        (
            unless("max_tokens", "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."),
            Accepted(cap="max_completion_tokens"),
        ),
        (unless("seed", "Unrecognized request argument supplied: seed"), Accepted(seed=False)),
        (unless("temperature", "'temperature' does not support 0 with this model"), Accepted(temperature=False)),
        (unless("stream_options", "Extra inputs are not permitted: stream_options"), Accepted(usage=False)),
        (
            unless("reasoning_effort", "reasoning_effort: Input should be 'low', 'medium' or 'high'"),
            Accepted(think=False),
        ),
    ],
)
def test_a_warm_up_leaves_out_what_a_server_refuses_and_nothing_else(refuse: Any, expected: Accepted) -> None:
    with FakeOpenAI() as fake:
        fake.refuse = refuse
        client = OpenAIClient(fake.url)
        client.warm_up(replace(CHAT, content="Warm up.", think=False), 30)
        assert client.accepted == expected
        client.ask(replace(CHAT, think=False), 30, Reply())
        assert len(fake.chats) == 1, "what is measured is asked once"


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (Refused(400, "'temperature' does not support 0 with reasoning models"), Accepted(temperature=False)),
        (Refused(400, "unsupported parameter with reasoning models", (), "temperature"), Accepted(temperature=False)),
        (Refused(400, "Reasoning is not supported, nor is a seed"), Accepted(think=False)),
        (Refused(404, "the model `structured-seed` does not exist"), None),
        (Refused(400, "no"), None),
    ],
)
def test_a_refusal_is_about_the_field_that_it_names_first(said: Refused, expected: Accepted | None) -> None:
    assert fewer(Accepted(), said) == expected


def test_several_refusals_are_heeded_one_after_another() -> None:
    def refuse(body: dict[str, Any]) -> tuple[int, dict[str, Any]] | None:
        for field in ("seed", "temperature", "max_tokens", "response_format"):
            if field in body:
                return 422, {"detail": [{"loc": ["body", field], "msg": "Extra inputs are not permitted"}]}
        return None

    with FakeOpenAI() as fake:
        fake.refuse = refuse
        client = OpenAIClient(fake.url)
        client.warm_up(CHAT, 30)
    assert client.accepted == Accepted("none", "max_completion_tokens", seed=False, temperature=False)
    assert client.accepted.flags == ("format_none", "seed_not_taken", "temperature_not_taken")


def test_a_refusal_that_names_nothing_that_can_be_left_out_is_the_error() -> None:
    with FakeOpenAI() as fake:
        fake.refuse = lambda body: (400, error("this model is being upgraded"))
        with pytest.raises(ModelError, match="this model is being upgraded"):
            OpenAIClient(fake.url).warm_up(CHAT, 30)


@pytest.mark.parametrize("status", [400, 422, 500])
def test_a_schema_that_is_refused_without_a_word_is_found_out(status: int) -> None:
    with FakeOpenAI() as fake:
        fake.refuse = lambda body: (status, error("Bad request")) if "response_format" in body else None
        client = OpenAIClient(fake.url)
        client.warm_up(CHAT, 30)
    assert client.accepted == Accepted("none")


def test_a_request_that_is_refused_in_passing_leaves_nothing_out() -> None:
    said = iter([(500, error("try later"))])
    with FakeOpenAI() as fake:
        fake.refuse = lambda body: next(said, None)
        client = OpenAIClient(fake.url)
        client.warm_up(CHAT, 30)
    assert client.accepted == Accepted()


@given(st.sampled_from(FORMATS), st.text(max_size=80), st.text(max_size=20))
def test_leaving_out_comes_to_an_end(form: str, message: str, param: str) -> None:
    accepted: Accepted | None = Accepted(form)
    for _ in range(12):
        accepted = fewer(accepted, Refused(400, message, (), param)) if accepted else None
    assert accepted is None


# --- how a stream is read -------------------------------------------------------------------------------------------

USAGE = {
    "prompt_tokens": 33,
    "completion_tokens": 6,
    "prompt_tokens_details": {"cached_tokens": 12},
    "completion_tokens_details": {"reasoning_tokens": 4},
}


def test_a_stream_is_put_together_and_what_is_not_told_is_null() -> None:
    last = {"model": "m-2024", "system_fingerprint": "fp_1", "choices": [], "usage": USAGE}
    reply = reply_to(streams(sse(begun('{"a": '), begun("1}"), ended("stop"), last) + DONE))
    assert (reply.text, reply.pieces, reply.served) == ('{"a": 1}', 2, "m-2024@fp_1")
    assert reply.final == {
        "done": True,
        "done_reason": "stop",
        "load_duration": None,
        "prompt_eval_count": 33,
        "eval_count": 6,
        "prompt_eval_cached_count": 12,
        "reasoning_count": 4,
    }


@settings(max_examples=25)
@given(
    st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), max_size=5),
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from(["", ": keep-alive", "event: ping\ndata: {}", "id: 3", "retry: 10"]),
    st.integers(1, 40),
)
def test_events_may_be_cut_anywhere_and_have_anything_between_them(
    texts: list[str], end: str, between: str, size: int
) -> None:
    parts = [f"data: {json.dumps(item)}" for item in (*map(begun, texts), ended("stop"))] + ["data:[DONE]"]
    data = f"\n\n{between}\n\n".join(parts).replace("\n", end).encode()
    reply = reply_to(streams(*(data[at : at + size] for at in range(0, len(data), size))))
    assert (reply.text, reply.pieces) == ("".join(texts), len(texts))


def test_thoughts_are_no_part_of_the_answer() -> None:
    thought = [{"choices": [{"delta": {name: "hm"}}]} for name in ("reasoning_content", "reasoning")]
    parts = {
        "choices": [{"delta": {"content": [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "a"}]}}]
    }
    reply = reply_to(streams(sse(*thought, parts, ended("stop")) + DONE))
    assert (reply.text, reply.pieces) == ("a", 1)


def test_times_that_llama_cpp_adds_are_taken() -> None:
    timings = {"timings": {"prompt_ms": 250.5, "predicted_ms": 1000}}
    final = reply_to(streams(sse(begun(), ended("stop") | timings) + DONE)).final
    assert (final["prompt_eval_duration"], final["eval_duration"]) == (250_500_000, 1_000_000_000)


@pytest.mark.parametrize("name", ["v1 chat", "v1 chat, stream with usage", "v1 chat, schema"])
def test_what_a_real_ollama_answers_in_this_dialect_is_read(name: str) -> None:
    answer = next(exchange.recorded for exchange in exchanges() if exchange.name == name)
    body = answer.body if isinstance(answer.body, str) else json.dumps(answer.body)
    reply = reply_to(whole(200, body.encode(), f"Content-Type: {answer.headers['content-type']}"))
    assert reply.served == "smollm2:135m@fp_ollama"
    assert (reply.final["prompt_eval_count"], reply.final["done_reason"]) == (
        33,
        "stop" if "schema" in name else "length",
    )
    assert reply.final["eval_count"] == (16 if "schema" in name else 6)
    assert reply.text


def test_what_a_real_ollama_says_of_an_unknown_model() -> None:
    answer = next(exchange.recorded for exchange in exchanges() if exchange.name == "v1 chat, unknown model")
    with pytest.raises(ModelError, match=r"model 'nope:1b' not found.*base_url"):
        reply_to(whole(answer.status, json.dumps(answer.body).encode()))


@settings(max_examples=30)
@given(st.binary(max_size=200))
def test_no_bytes_break_the_reader(data: bytes) -> None:
    with suppress(BenchmarkError):
        reply_to(streams(data))


@pytest.mark.parametrize(
    ("status", "message"),
    [(403, "forbidden"), (401, "You have insufficient permissions. Missing scopes: api.model.read"), (404, "no list"), (405, "")],
)  # fmt: skip
def test_a_list_of_models_that_a_server_does_not_show_is_not_needed(status: int, message: str) -> None:
    with serving(whole(status, json.dumps(error(message)).encode())) as server:
        assert OpenAIClient.listed("fake:1b", server.url, {}) == {}


def test_a_list_of_models_that_wants_another_key_is_said_with_what_to_do() -> None:
    with (
        serving(whole(401, json.dumps(error("Incorrect API key provided")).encode())) as server,
        pytest.raises(ConfigurationError, match=r"refuses access \(HTTP 401\)\. .*`key_env`"),
    ):
        OpenAIClient.listed("fake:1b", server.url, {})


# --- what goes wrong ------------------------------------------------------------------------------------------------


def test_a_body_that_is_too_large_is_a_prompt_that_is_too_long() -> None:
    assert isinstance(error_of(Refused(413, "Payload Too Large")), ContextOverflowError)


@pytest.mark.parametrize(
    "body",
    [b'{"error": {"message": "no such field"}}', b'{"error": "no such field"}', b'{"detail": "no such field"}',
     b'{"object": "error", "message": "no such field", "code": 400}', b"no such field"],
)  # fmt: skip
def test_a_refusal_is_read_in_each_of_its_forms(body: bytes) -> None:
    assert read_refusal(400, body, Secrets()).message == "no such field"


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key_is_said_without_the_servers_words_and_with_what_to_do(status: int) -> None:
    problem = error_of(Refused(status, "Incorrect API key provided: sk-Mark****ker"))
    assert isinstance(problem, ConfigurationError)
    assert "key_env" in str(problem)
    assert "sk-" not in str(problem)


@pytest.mark.parametrize(
    ("code", "status"),
    [
        (429, 429),
        ("503", 503),
        ("\u00b2", 200),
        ("\u0664\u0662\u0669", 200),
        ("9" * 5000, 200),
        (True, 200),
        (4.2, 200),
    ],
)
def test_the_code_of_an_error_in_a_stream_may_be_a_status(code: object, status: int) -> None:
    assert refused_in_stream({"error": {"message": "no", "code": code}}, Secrets()).status == status


@settings(max_examples=60)
@given(st.integers(201, 599), st.binary(max_size=120))
def test_every_refusal_is_one_line_of_some_class(status: int, body: bytes) -> None:
    assert "\n" not in str(error_of(read_refusal(status, body, Secrets())))


# --- limits ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("1s", 1), ("6m0s", 360), ("20ms", 0.02), ("1h2m3.5s", 3723.5), ("7", 7), ("0", 0), ("soon", None), ("", None),
     (None, None), ("-3", None), ("nan", None), ("1s soon", None)],
)  # fmt: skip
def test_the_time_until_a_limit_is_reset(text: str | None, seconds: float | None) -> None:
    assert span_s(text) == (None if seconds is None else pytest.approx(seconds))


def test_a_reset_may_be_a_moment() -> None:
    import time

    assert span_s(str(time.time() + 50)) == pytest.approx(50, abs=5)
    assert span_s(str(int((time.time() + 50) * 1000))) == pytest.approx(50, abs=5)
    assert span_s("1000000001") == 0


@given(st.text(max_size=30))
def test_any_reset_is_a_span_or_nothing(text: str) -> None:
    seconds = span_s(text)
    assert seconds is None or seconds >= 0


def test_a_limit_counts_when_it_leaves_no_room_for_another_request() -> None:
    tokens = {"x-ratelimit-remaining-tokens": "900", "x-ratelimit-reset-tokens": "30s"}
    assert used_up_s(tokens, 500) == 0
    assert used_up_s(tokens, 1000) == 30
    assert used_up_s({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "2s"} | tokens) == 2
    assert used_up_s({"x-ratelimit-remaining": "0"}) == 0, "until when is not said"


def test_a_pause_holds_for_everybody_and_the_longer_one_counts() -> None:
    said: list[float] = []
    pace = Pace(said.append)
    pace.hold(50)
    pace.hold(49)
    pace.hold(2)
    assert said == [50], "a pause is said once, and a short one not at all"
    pace.hold(1)
    assert 40 < pace.pause_s <= 50
    pace.hold(1e9)
    assert pace.pause_s <= MOST_WAIT_S
    stopped = threading.Event()
    stopped.set()
    pace.wait(stopped)


def test_how_long_to_wait_is_said_in_several_ways() -> None:
    def wait_s(**headers: str) -> float | None:
        return error_of(
            Refused(429, "slow down"), {name.replace("_", "-"): v for name, v in headers.items()}
        ).retry_after_s

    assert wait_s(retry_after="3") == 3
    assert wait_s(retry_after_ms="1500", retry_after="3") == 1.5
    assert wait_s(x_ratelimit_remaining_requests="0", x_ratelimit_reset_requests="6m0s") == 360
    assert wait_s() is None
    assert isinstance(error_of(Refused(429, "slow down")), OverloadedError)


def test_a_stream_without_an_end_is_malformed() -> None:
    with pytest.raises(MalformedResponseError):
        reply_to(streams(sse(begun())))
