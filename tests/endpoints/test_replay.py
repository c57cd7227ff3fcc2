"""Recorded samples, asked again through the measuring client: same answers, counts, times and failures."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import urllib3

from ai_dev_tools.benchmark.endpoints import EndpointSpec, open_endpoint
from ai_dev_tools.benchmark.endpoints.ollama_client import OllamaClient, Reply
from ai_dev_tools.benchmark.endpoints.replay import closing_fields
from ai_dev_tools.benchmark.endpoints.server_counts import readings
from ai_dev_tools.benchmark.errors import BenchmarkError, ConfigurationError
from ai_dev_tools.benchmark.records.block import nonce
from ai_dev_tools.benchmark.records.conversation import conversation_digest
from ai_dev_tools.benchmark.records.episode import EpisodeLimits, Turn
from ai_dev_tools.benchmark.records.sample import (
    Attempt,
    EndpointIdentity,
    Request,
    Resources,
    Sample,
    SampleError,
    write_sample,
)

PROMPT = "## Question\n\nWhich function is weak?"
MODEL = "llama3.2:1b"


def recorded(**changes: Any) -> Sample:
    """A completed sample of 0.25 s whose first token came after 0.1 s."""
    sample = Sample(
        profile="light", instance="small", model=MODEL, model_digest="a" * 64, task="t", case="c", cluster="c",
        size="S",
        approach="baseline", sample=0, repeat=0, seed=42, status="completed", error=None,
        response='{"weak": ["parse"]}', answer={"weak": ["parse"]}, score=1.0, input_tokens=123,
        output_tokens=9, total_tokens=132, duration_s=0.25,
        time_to_first_token_s=0.1, load_s=0.01, prompt_eval_s=0.08, eval_s=0.15, rest_s=0.01, tool_s=0.0,
        prompt_cached_tokens=0, resources=Resources(), plan=None, done_reason="stop",
        attempts=[Attempt("2026-01-01T00:00:00Z", 0.25)], order=0, in_flight=1, session="s",
        started_at="2026-01-01T00:00:00Z", flags=[],
        request=Request("d", hashlib.sha256(PROMPT.encode()).hexdigest(), {"seed": 42}, 1),
        endpoint=EndpointIdentity("external", "0.12.6"),
    )  # fmt: skip
    return msgspec.structs.replace(sample, **changes)


def failed(error_class: str, message: str = "as recorded") -> Sample:
    error = SampleError(error_class, message)
    status = "timeout" if error_class == "timeout" else "failed"
    return recorded(status=status, error=error, response=None, attempts=[Attempt("2026-01-01T00:00:00Z", 0.02, error)])


def body(prompt: str = PROMPT, seed: int = 42, nonce: str = "01234567") -> dict[str, Any]:
    content = f"Request {nonce}\n\n{prompt}"
    return {
        "model": MODEL,
        "messages": [{"role": "user", "content": content}],
        "options": {"seed": seed, "num_predict": 512},
    }


Write = Callable[..., EndpointSpec]


@pytest.fixture
def recording(tmp_path: Path) -> Write:
    """Write samples where a run writes them; the spec that replays them."""

    def write(*samples: Sample) -> EndpointSpec:
        for number, sample in enumerate(samples):
            write_sample(tmp_path / "samples" / "llama3.2-1b" / "t" / sample.approach / f"{number}.json", sample)
        return EndpointSpec(kind="replay", model=MODEL, replay_from=str(tmp_path / "samples"))

    return write


def test_an_answer_that_looped_is_replayed_as_one() -> None:
    looped = recorded(
        done_reason="loop", input_tokens=None, total_tokens=None, output_tokens=40, load_s=None, eval_s=None
    )
    looped.prompt_eval_s = looped.prompt_cached_tokens = None
    found = readings(Reply(final=closing_fields(looped)))
    assert found.flags == ("looped", "output_capped")
    assert (found.done_reason, found.output_tokens, found.input_tokens) == ("loop", 40, None)
    assert (found.load_s, found.rest_s) == (None, None)


def test_an_answer_comes_back_with_its_counts_and_times(recording: Write) -> None:
    with open_endpoint(recording(recorded())) as endpoint:
        reply = Reply()
        OllamaClient(endpoint.base_url).chat(body(), 5, reply)
    assert reply.text == '{"weak": ["parse"]}'
    assert 0.25 <= reply.duration_s < 10
    assert reply.time_to_first_token_s is not None
    assert 0.1 <= reply.time_to_first_token_s < 10
    final = {
        k: reply.final[k] for k in ("prompt_eval_count", "eval_count", "load_duration", "eval_duration", "done_reason")
    }
    expected = {"load_duration": 10_000_000, "eval_duration": 150_000_000, "done_reason": "stop"}
    assert final == {"prompt_eval_count": 123, "eval_count": 9, **expected}


def test_it_is_identified_as_a_replay_of_the_recorded_server(recording: Write) -> None:
    with open_endpoint(recording(recorded())) as endpoint:
        assert (endpoint.kind, endpoint.version) == ("replay", "replay of 0.12.6")
        assert endpoint.model_digest == "a" * 64
        assert urllib3.request("GET", f"{endpoint.base_url}/api/version").status == 200


def test_a_request_is_recognised_by_prompt_and_seed_whatever_its_nonce(recording: Write) -> None:
    other = recorded(seed=43, response='{"weak": []}', approach="tools")
    with open_endpoint(recording(recorded(), other)) as endpoint:
        client = OllamaClient(endpoint.base_url)
        for seed, nonce, text in ((43, "1", '{"weak": []}'), (42, "2", '{"weak": ["parse"]}')):
            reply = Reply()
            client.chat(body(seed=seed, nonce=nonce), 5, reply)
            assert reply.text == text


@pytest.mark.parametrize("changed", [{"prompt": "Another question"}, {"seed": 7}])
def test_a_request_that_was_not_recorded_is_refused(recording: Write, changed: dict[str, Any]) -> None:
    with open_endpoint(recording(recorded())) as endpoint, pytest.raises(BenchmarkError, match="was not recorded"):
        OllamaClient(endpoint.base_url).chat(body(**changed), 5, Reply())


@pytest.mark.parametrize(
    "error_class", ["connection", "overloaded", "malformed_response", "model", "context_overflow", "timeout"]
)
def test_a_failure_fails_again_in_the_same_class(recording: Write, error_class: str) -> None:
    message = "the prompt exceeds the context" if error_class == "context_overflow" else "as recorded"
    with open_endpoint(recording(failed(error_class, message))) as endpoint, pytest.raises(BenchmarkError) as caught:
        OllamaClient(endpoint.base_url).chat(body(), 0.3 if error_class == "timeout" else 60, Reply())
    assert caught.value.error_class == error_class


@pytest.mark.parametrize(
    ("error_class", "message"),
    [
        ("runner", "the server says: llama runner process has terminated (500)"),
        ("model", "the server says: this model cannot do that (400)"),
        ("overloaded", "the server is busy (503): try later"),
        ("configuration", "the server refuses access (401). Set its token"),
        ("connection", "a proxy cannot reach the server (502)"),
    ],
)
def test_a_failure_is_reported_in_the_same_words(recording: Write, error_class: str, message: str) -> None:
    with open_endpoint(recording(failed(error_class, message))) as endpoint, pytest.raises(BenchmarkError) as caught:
        OllamaClient(endpoint.base_url).chat(body(), 60, Reply())
    assert (caught.value.error_class, str(caught.value)) == (error_class, message)


def test_attempts_are_played_in_turn(recording: Write) -> None:
    busy = Attempt("2026-01-01T00:00:00Z", 0.01, SampleError("overloaded", "busy"), 0.1)
    retried = recorded(attempts=[busy, busy, Attempt("2026-01-01T00:00:00Z", 0.25)])
    with open_endpoint(recording(retried)) as endpoint:
        client = OllamaClient(endpoint.base_url)
        for _ in range(2):
            with pytest.raises(BenchmarkError, match="busy"):
                client.chat(body(), 5, Reply())
        client.chat(body(), 5, Reply())


def test_requests_of_an_agent_of_others_get_the_turn_with_the_same_words_or_else_the_next(recording: Write) -> None:
    """Agents may ask two things side by side, in any order, and may say what time it is."""
    asked = [["One?"], ["One?", "Yes.", "Two?"], ["It is 10:00. Three?"]]
    turns = [
        Turn(text=f"Answer {number}", conversation=conversation_digest(texts), done_reason="stop")
        for number, texts in enumerate(asked)
    ]
    sample = recorded(turns=turns, limits=EpisodeLimits(), approach="agent")
    opening = f"Request {nonce(42, 'agent', 0)}"
    with open_endpoint(recording(sample)) as endpoint:
        for texts, said in ((asked[1], 1), (["It is 11:00. Three?"], 0), (asked[2], 2)):
            messages = [{"role": "user", "content": text} for text in [f"{opening}\n\n{texts[0]}", *texts[1:]]]
            wanted = body() | {"messages": messages, "stream": False}
            reply = urllib3.request("POST", f"{endpoint.base_url}/api/chat", json=wanted).json()
            assert reply["message"]["content"] == f"Answer {said}" and reply["done"] is True
        reply = urllib3.request("POST", f"{endpoint.base_url}/api/chat", json=wanted)
        assert reply.status == 404 and "was not recorded" in reply.json()["error"]


def test_what_a_model_called_is_called_again_whatever_it_wrote(recording: Write) -> None:
    several = json.dumps([["look", '{"path": "a.py"}'], ["run", "{broken"]])
    turns = [
        Turn(text="", asked="[user] One?", action="look, run", arguments=several, done_reason="stop"),
        Turn(text="", action="run", arguments="{broken", done_reason="stop"),
    ]
    with open_endpoint(recording(recorded(turns=turns, limits=EpisodeLimits(), approach="agent"))) as endpoint:
        called = []
        for _ in turns:
            wanted = body(nonce=nonce(42, "agent", 0)) | {"stream": False, "tools": [{"type": "function"}]}
            reply = urllib3.request("POST", f"{endpoint.base_url}/api/chat", json=wanted).json()
            called.append([tuple(call["function"].values()) for call in reply["message"]["tool_calls"]])
    assert called == [[("look", {"path": "a.py"}), ("run", "{broken")], [("run", "{broken")]]


def test_counts_that_were_absent_stay_absent(recording: Write) -> None:
    with open_endpoint(recording(recorded(input_tokens=None, eval_s=None))) as endpoint:
        reply = Reply()
        OllamaClient(endpoint.base_url).chat(body(), 5, reply)
    assert {"prompt_eval_count", "eval_duration"} & set(reply.final) == set()


def test_a_warm_up_needs_no_recording(recording: Write) -> None:
    warm_up = body("Warm up.") | {"options": {"seed": 0, "num_predict": 1}}
    with open_endpoint(recording(recorded())) as endpoint:
        OllamaClient(endpoint.base_url).chat(warm_up, 5, Reply())


@pytest.mark.parametrize("where", ["nowhere", "damaged", "other model"])
def test_nothing_to_replay_is_one_line(recording: Write, tmp_path: Path, where: str) -> None:
    spec = recording(recorded(model="other:1b")) if where == "other model" else recording()
    if where == "damaged":
        path = tmp_path / "samples" / "llama3.2-1b" / "t" / "baseline" / "0.json"
        path.parent.mkdir(parents=True)
        path.write_text("{")
    with pytest.raises(ConfigurationError, match="no recorded samples") as caught, open_endpoint(spec):
        pass
    assert "\n" not in str(caught.value)


def test_it_needs_no_port_of_its_own(recording: Write) -> None:
    """The port of the recorded server is often taken by that very server."""
    spec = recording(recorded())
    with open_endpoint(spec) as first:
        taken = int(first.base_url.rpartition(":")[2])
        with open_endpoint(msgspec.structs.replace(spec, port=taken)) as second:
            assert second.base_url != first.base_url


def test_it_ends_although_a_recorded_timeout_is_under_way(recording: Write) -> None:
    with open_endpoint(recording(failed("timeout"))) as endpoint, pytest.raises(BenchmarkError):
        OllamaClient(endpoint.base_url).chat(body(), 0.2, Reply())
    assert not [thread for thread in threading.enumerate() if "replay" in thread.name]


def test_it_ends_at_once(recording: Write) -> None:
    with open_endpoint(recording(recorded())):
        started = time.monotonic()
    assert time.monotonic() - started < 60


@pytest.mark.parametrize("headers", [{"Host": "evil.example"}, {"Origin": "http://evil.example"}])
def test_a_web_page_gets_no_recorded_answer(tmp_path: Path, headers: dict[str, str]) -> None:
    write_sample(tmp_path / "m/t/baseline/0.json", recorded())
    with open_endpoint(EndpointSpec(kind="replay", model=MODEL, replay_from=str(tmp_path))) as endpoint:
        for method, path in (("GET", "/api/tags"), ("POST", "/api/chat")):
            asked = body() if method == "POST" else None
            reply = urllib3.request(method, endpoint.base_url + path, json=asked, headers=headers)
            assert reply.status == 403
            assert PROMPT.encode() not in reply.data


@pytest.mark.parametrize("length", ["-1", "many"])
def test_a_length_that_is_none_is_no_end_of_the_server(tmp_path: Path, length: str) -> None:
    write_sample(tmp_path / "m/t/baseline/0.json", recorded())
    with open_endpoint(EndpointSpec(kind="replay", model=MODEL, replay_from=str(tmp_path))) as endpoint:
        headers = {"Content-Length": length}
        assert urllib3.request("POST", f"{endpoint.base_url}/api/chat", headers=headers).status == 400
        assert urllib3.request("GET", f"{endpoint.base_url}/api/version").status == 200
