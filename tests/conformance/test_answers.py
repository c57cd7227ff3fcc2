"""Answers of generate and chat: fields, units, streaming shape, options, formats, loading and unloading."""

from __future__ import annotations

import json
import time
from typing import Any

import jsonschema
import pytest

from support.asking import Reply, Server

SCHEMA = {
    "type": "object",
    "properties": {
        "colour": {"enum": ["red", "green"]},
        "sizes": {"type": "array", "items": {"type": "integer"}, "maxItems": 2},
    },
    "required": ["colour", "sizes"],
    "additionalProperties": False,
}
DURATIONS = ("total_duration", "load_duration", "prompt_eval_duration", "eval_duration")


@pytest.fixture(params=["generate", "chat"])
def ask(request: pytest.FixtureRequest, server: Server) -> Any:
    """Both ways to ask: `ask(prompt, **fields)`."""
    return getattr(server, request.param)


def text(reply: dict[str, Any]) -> str:
    return reply["message"]["content"] if "message" in reply else reply["response"]


def test_whole_answer_has_counts_and_times_in_nanoseconds(ask: Any, server: Server) -> None:
    started = time.perf_counter()
    reply: Reply = ask("Say hello.")
    wall_ns = (time.perf_counter() - started) * 1e9
    answer = reply.json
    assert reply.status == 200
    assert answer["model"] == server.model
    assert answer["done"] is True
    assert answer["done_reason"] in ("stop", "length")
    assert text(answer)
    assert answer["prompt_eval_count"] > 0
    assert 0 < answer["eval_count"] <= 8
    assert all(type(answer[name]) is int for name in DURATIONS)
    assert sum(answer[name] for name in DURATIONS[1:]) <= answer["total_duration"] * 1.02
    assert 1e6 < answer["total_duration"] < wall_ns


def test_stream_is_one_object_a_line_and_only_the_last_is_done(ask: Any) -> None:
    reply: Reply = ask("Say hello.", stream=True)
    assert reply.headers["Content-Type"].startswith("application/x-ndjson")
    *pieces, last = reply.lines
    assert pieces
    assert all(piece["done"] is False and "total_duration" not in piece for piece in pieces)
    assert all(piece["created_at"] for piece in pieces)
    assert last["done"] is True
    assert last["total_duration"] > 0
    assert text(last) == ""


def test_streaming_is_the_default(server: Server) -> None:
    body = {"model": server.model, "prompt": "Hello", "options": {"num_predict": 2}}
    assert len(server.request("POST", "/api/generate", json=body).lines) > 1


def test_pieces_of_a_stream_make_the_whole_answer(ask: Any) -> None:
    streamed = "".join(text(piece) for piece in ask("Name a colour.", stream=True).lines)
    assert streamed == text(ask("Name a colour.").json)


def test_num_predict_cuts_and_says_length(ask: Any) -> None:
    answer = ask("Tell me a long story.", options={"num_predict": 3}).json
    assert answer["eval_count"] == 3
    assert answer["done_reason"] == "length"


def test_a_stop_word_ends_the_answer_and_is_not_part_of_it(server: Server) -> None:
    options = {"num_predict": 40, "stop": ["5"]}
    answer = server.generate("1 2 3 1 2 3 4 5 1 2 3 4", raw=True, options=options).json
    whole = server.generate("1 2 3 1 2 3 4 5 1 2 3 4", raw=True, options={"num_predict": 40}).json
    assert "5" in whole["response"], "the model does not count: this test says nothing"
    assert answer["response"] == whole["response"].split("5")[0]
    assert answer["done_reason"] == "stop"


def test_a_schema_is_followed_and_unasked_keys_stay_out(ask: Any) -> None:
    answer = ask("Describe a shirt as JSON.", format=SCHEMA, options={"num_predict": 80}).json
    jsonschema.validate(json.loads(text(answer)), SCHEMA)


def test_format_json_gives_an_object(server: Server) -> None:
    answer = server.chat(
        "Reply with a JSON object with one key: name.", format="json", options={"num_predict": 120}
    ).json
    assert text(answer).lstrip().startswith("{")


@pytest.mark.parametrize("wrong", ["xml", 5, {"type": "nonsense"}])
def test_a_wrong_format_is_refused_not_ignored(server: Server, wrong: Any) -> None:
    reply = server.generate(format=wrong)
    assert reply.status in (400, 500)
    assert "format" in reply.json["error"] or "schema" in reply.json["error"]


def test_the_same_seed_gives_the_same_answer_and_another_seed_another(server: Server) -> None:
    def answer(seed: int) -> str:
        options = {"temperature": 1.5, "seed": seed, "num_predict": 16}
        return str(server.generate("Invent a word.", options=options).json["response"])

    assert answer(1) == answer(1)
    assert answer(1) != answer(2)


def test_raw_sends_the_prompt_without_the_template(server: Server) -> None:
    raw, templated = server.generate("Hi", raw=True).json, server.generate("Hi").json
    assert raw["prompt_eval_count"] < templated["prompt_eval_count"]


def test_raw_excludes_a_system_message(server: Server) -> None:
    reply = server.generate("Hi", raw=True, system="You are terse.")
    assert reply.status == 400
    assert "raw mode" in reply.json["error"]


def test_system_is_part_of_the_prompt(server: Server) -> None:
    short, long = (server.generate("Hi", system=system).json for system in ("Be terse.", "Be terse. " * 9))
    assert long["prompt_eval_count"] > short["prompt_eval_count"]


def test_a_template_of_the_request_replaces_the_models(server: Server) -> None:
    filled = server.generate("b c", system="a", template="{{ if .System }}{{ .System }} {{ end }}{{ .Prompt }}").json
    raw = server.generate("a b c", raw=True).json
    assert (filled["prompt_eval_count"], filled["response"]) == (raw["prompt_eval_count"], raw["response"])


def test_a_conversation_is_longer_than_its_first_turn(server: Server) -> None:
    first = server.chat("Hi").json
    third = server.chat("Hi", "Hello! How can I help?", "Name a colour.").json
    assert third["prompt_eval_count"] > first["prompt_eval_count"]
    assert third["message"]["role"] == "assistant"


def test_thinking_can_be_switched_off(ask: Any) -> None:
    assert ask("Hi", think=False).status == 200


def test_texts_become_vectors_of_length_one(server: Server) -> None:
    both = server.request("POST", "/api/embed", json={"model": server.model, "input": ["hello", "good bye"]}).json
    alone = server.request("POST", "/api/embed", json={"model": server.model, "input": "hello"}).json
    assert [len(vector) for vector in both["embeddings"]] == [len(alone["embeddings"][0])] * 2
    assert both["embeddings"][0] == pytest.approx(alone["embeddings"][0], abs=1e-3)
    assert sum(number * number for number in alone["embeddings"][0]) == pytest.approx(1, abs=1e-3)
    assert both["prompt_eval_count"] > alone["prompt_eval_count"]


def test_no_text_is_no_vector_and_a_number_is_no_text(server: Server) -> None:
    assert server.request("POST", "/api/embed", json={"model": server.model, "input": []}).json["embeddings"] == []
    assert server.request("POST", "/api/embed", json={"model": server.model, "input": [1]}).status == 400
    assert server.request("POST", "/api/embed", json={"model": "no-such-model:1b", "input": "x"}).status == 404


def test_nothing_to_answer_loads_the_model(server: Server) -> None:
    for answer in (server.generate("").json, server.chat().json):
        assert (answer["done"], answer["done_reason"]) == (True, "load")
        assert text(answer) == ""


def test_nothing_to_answer_and_keep_alive_zero_unloads_it(server: Server) -> None:
    for ask_nothing in (lambda: server.generate("", keep_alive=0), lambda: server.chat(keep_alive=0)):
        server.generate("")
        assert ask_nothing().json["done_reason"] == "unload"
        assert _gone_within(server, seconds=60)


def test_keep_alive_zero_unloads_after_the_answer(server: Server) -> None:
    assert server.generate("Hi", keep_alive=0).json["eval_count"] > 0
    assert _gone_within(server, seconds=60)


def test_the_first_request_after_unloading_tells_its_load_time(server: Server) -> None:
    server.generate("", keep_alive=0)
    assert _gone_within(server, seconds=60)
    cold = server.generate().json["load_duration"]
    warm = min(server.generate().json["load_duration"] for _ in range(3))
    assert cold > 5 * warm


def test_a_prompt_that_does_not_fit_is_refused_when_cutting_is_forbidden(ask: Any) -> None:
    reply: Reply = ask("word " * 600, truncate=False, options={"num_ctx": 512})
    assert reply.status == 400
    assert "context" in reply.json["error"]


def test_a_prompt_that_does_not_fit_is_cut_silently_by_default(server: Server) -> None:
    answer = server.generate("word " * 600, options={"num_ctx": 512}).json
    assert 0 < answer["prompt_eval_count"] <= 512


def test_an_answer_ends_where_the_context_ends(server: Server) -> None:
    options = {"num_ctx": 256, "num_predict": 400, "temperature": 2.0}
    answer = server.generate("Tell a very long story. " * 30, truncate=False, shift=False, options=options).json
    assert answer["prompt_eval_count"] + answer["eval_count"] <= 257


def test_a_client_that_goes_away_frees_the_server(server: Server) -> None:
    import urllib3

    pool = urllib3.PoolManager(headers=server.headers)
    body = {"model": server.model, "prompt": "Tell a story without end.", "options": {"num_predict": 4000}}
    reply = pool.request("POST", f"{server.base_url}/api/generate", json=body, preload_content=False)
    reply.read(64)
    reply.close()
    started = time.perf_counter()
    assert server.generate("Hi", options={"num_predict": 1}).status == 200
    assert time.perf_counter() - started < 30


def _gone_within(server: Server, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if all(model["name"] != server.model for model in server.request("GET", "/api/ps").json["models"]):
            return True
        time.sleep(0.1)
    return False
