"""A block that is asked in the dialect of OpenAI's API: what a sample holds, what stays null, what is asked again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ai_dev_tools.benchmark.endpoints import EndpointSpec, open_endpoint
from ai_dev_tools.benchmark.endpoints.external import find_dialect
from ai_dev_tools.benchmark.endpoints.openai_client import OpenAIClient
from ai_dev_tools.benchmark.errors import BenchmarkError, ConfigurationError
from ai_dev_tools.benchmark.records.block import Block, cells, request_digest
from ai_dev_tools.benchmark.records.sample import Sample
from fakes.ollama import FakeOllama
from fakes.openai_api import FakeOpenAI
from support.making import SCHEMA, block
from support.openai_blocks import ENDPOINT, FOUR, a_block, identity, run


@pytest.fixture
def fake() -> Iterator[FakeOpenAI]:
    with FakeOpenAI() as server:
        yield server


def test_what_the_api_does_not_tell_is_null_with_its_reason_and_the_clients_clock_counts(
    tmp_path: Path, fake: FakeOpenAI
) -> None:
    for sample in run(a_block(tmp_path, fake.url)):
        assert (sample.status, sample.score) == ("completed", 1.0)
        assert (sample.load_s, sample.prompt_eval_s, sample.eval_s, sample.total_s, sample.rest_s) == (None,) * 5
        assert (sample.prompt_cached_tokens, sample.reasoning_tokens) == (None, None)
        assert sample.duration_s
        assert sample.input_tokens
        assert sample.flags == []
        assert (sample.request.api, sample.model_digest) == ("openai", "fake:1b@fp_fake")
        assert "num_ctx" not in sample.request.options, "it was not sent"
    said = identity(tmp_path)
    assert said["endpoint"]["api"] == "openai"
    assert said["model"]["digest"] is None
    assert {"digest", "load_s", "version"} <= set(said["model"]["not_told"])
    assert said["asked"]["accepted"]["format"] == "json_schema"


def test_tokens_from_a_cache_and_of_thoughts_are_recorded(tmp_path: Path, fake: FakeOpenAI) -> None:
    fake.usage = lambda counted: (
        counted
        | {
            "prompt_tokens_details": {"cached_tokens": 64},
            "completion_tokens_details": {"reasoning_tokens": 3},
        }
    )
    assert {(s.prompt_cached_tokens, s.reasoning_tokens) for s in run(a_block(tmp_path, fake.url))} == {(64, 3)}


# --- the digest -----------------------------------------------------------------------------------------------------


def digests(asked: Block) -> list[str]:
    return [request_digest(asked, cell, "p", SCHEMA) for cell in cells(asked)]


def test_the_dialect_is_part_of_a_digest_only_where_it_is_openais() -> None:
    plain = digests(block(endpoint=ENDPOINT | {"kind": "http://gpu:8000"}))
    assert plain[0] == "e1b2e572f86e25a367497247ebe429328e7340d6723043ff9b88ec2c79a1a8b7", (
        "as before there was another dialect"
    )
    assert digests(block(endpoint=ENDPOINT | {"kind": "auto", "api": "ollama"})) == plain
    named = digests(block(endpoint=ENDPOINT | {"kind": "http://gpu:8000", "api": "openai"}))
    assert digests(block(endpoint=ENDPOINT | {"kind": "http://gpu:8000/v1"})) == named
    assert not set(named) & set(plain)


def test_a_dialect_that_was_found_out_is_not_asked_again_once_it_is_named(tmp_path: Path, fake: FakeOpenAI) -> None:
    bare = fake.url.removesuffix("/v1")
    found = run(a_block(tmp_path, bare))
    assert {sample.request.api for sample in found} == {"openai"}
    asked = len(fake.chats)
    for again in (a_block(tmp_path, bare), a_block(tmp_path, bare, {"api": "openai"}), a_block(tmp_path, fake.url)):
        assert run(again) == found
    assert len(fake.chats) == asked


def test_an_ollama_that_was_replaced_is_asked_again_on_contact(tmp_path: Path, fake: FakeOpenAI) -> None:
    lines: list[str] = []
    with FakeOllama(["fake:1b"]) as ollama:
        run(a_block(tmp_path, ollama.url))
    samples = run(a_block(tmp_path, fake.url.removesuffix("/v1"), **FOUR), lines)
    assert {sample.request.api for sample in samples} == {"openai"}
    assert any("speaks another API than before: 6 samples" in line for line in lines)


# --- who answers ----------------------------------------------------------------------------------------------------


def test_another_fingerprint_in_mid_run_is_said_and_flagged(tmp_path: Path, fake: FakeOpenAI) -> None:
    lines: list[str] = []
    fake.fingerprint = lambda number: "fp_1" if number < 4 else "fp_2"  # the first is the warm-up's
    samples = run(a_block(tmp_path, fake.url), lines)
    assert [("model_changed" in s.flags, s.model_digest) for s in samples] == [
        *[(False, "fake:1b@fp_1")] * 3,
        *[(True, "fake:1b@fp_2")] * 3,
    ]
    assert sum("answers come from fake:1b@fp_2, not from fake:1b@fp_1" in line for line in lines) == 1


def test_another_fingerprint_than_that_of_an_earlier_session_is_flagged_too(tmp_path: Path, fake: FakeOpenAI) -> None:
    run(a_block(tmp_path, fake.url))
    fake.fingerprint = lambda number: "fp_2"
    samples = run(a_block(tmp_path, fake.url, **FOUR))
    assert sum("model_changed" in sample.flags for sample in samples) == 2


@pytest.mark.parametrize(
    ("endpoint", "wrong"),
    [
        ({"model": "other:1b"}, r"has no model 'other:1b' \(it has: fake:1b\)"),
        ({"token_env": "NO_SUCH_KEY"}, "the environment variable NO_SUCH_KEY is not set"),
        ({"kind": "http://127.0.0.1:9/v1"}, "does not answer .*`base_url`"),
    ],
)
def test_a_server_that_cannot_be_asked_is_said_in_one_line(
    fake: FakeOpenAI, endpoint: dict[str, Any], wrong: str
) -> None:
    spec = EndpointSpec.from_dict(ENDPOINT | {"kind": fake.url} | endpoint)
    with pytest.raises(BenchmarkError, match=wrong) as caught, open_endpoint(spec):
        pass
    assert str(caught.value).startswith("small: ")
    assert "\n" not in str(caught.value)


def test_a_wrong_key_is_said_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAB_KEY", "sk-Marker-0815")
    with FakeOpenAI(key="another") as fake:
        spec = EndpointSpec.from_dict(ENDPOINT | {"kind": fake.url, "token_env": "LAB_KEY"})
        with (
            pytest.raises(ConfigurationError, match=r"refuses access \(HTTP 401\)\. .*`key_env`") as caught,
            open_endpoint(spec),
        ):
            pass
    assert "Marker" not in str(caught.value)


def test_the_kind_auto_finds_such_a_server_where_no_ollama_is(fake: FakeOpenAI) -> None:
    spec = EndpointSpec.from_dict(ENDPOINT | {"kind": "auto", "host": "127.0.0.1", "port": fake.port})
    with open_endpoint(spec) as endpoint:
        assert (endpoint.base_url, endpoint.api, endpoint.told_by) == (fake.url, "openai", "openai")


def test_an_ollama_that_is_asked_through_its_v1_is_said_to_be_one(capsys: pytest.CaptureFixture[str]) -> None:
    with FakeOllama(["fake:1b"]) as ollama:
        spec = EndpointSpec.from_dict(ENDPOINT | {"kind": f"{ollama.url}/v1", "api": "openai"})
        assert find_dialect(spec, spec.base_url, {}) is OpenAIClient
    [line] = capsys.readouterr().err.splitlines()
    assert "its /v1 silently cuts prompts that are longer than its context" in line


@pytest.mark.parametrize("about", [{"max_model_len": 4096}, {"meta": {"n_ctx": 4096}}], ids=["vLLM", "llama.cpp"])
def test_a_context_that_the_list_of_models_tells_is_compared_with_the_one_that_is_planned(
    tmp_path: Path, fake: FakeOpenAI, about: dict[str, Any]
) -> None:
    fake.about = about
    lines: list[str] = []
    samples = run(a_block(tmp_path, fake.url), lines)
    assert {tuple(sample.flags) for sample in samples} == {("context_cut",)}
    assert any("context of 4096 tokens, not 8192" in line for line in lines)


def test_an_ollama_host_of_the_environment_is_not_meant(monkeypatch: pytest.MonkeyPatch, fake: FakeOpenAI) -> None:
    monkeypatch.setenv("OLLAMA_HOST", "http://127.0.0.1:9")
    spec = EndpointSpec.from_dict(
        ENDPOINT | {"kind": "external", "host": "127.0.0.1", "port": fake.port, "api": "openai"}
    )
    with open_endpoint(spec) as endpoint:
        assert (endpoint.base_url, endpoint.api) == (fake.url, "openai")


# --- real servers ---------------------------------------------------------------------------------------------------


def test_the_embedded_servers_own_v1_is_asked_with_a_schema_and_tells_its_times(
    tmp_path: Path, weights: Path, embedded_endpoint: Any
) -> None:
    asked = a_block(
        tmp_path,
        embedded_endpoint.base_url,
        {"api": "openai", "model": embedded_endpoint.model},
        model=embedded_endpoint.model,
        cases=["one"],
        samples=1,
        options={"temperature": 0.0, "num_ctx": 2048, "num_predict": 32},
        timeout_s=120.0,
    )
    for sample in run(asked):
        assert (sample.status, sample.done_reason) == ("completed", "stop")
        assert sample.answer["colour"] in ("red", "green"), "the schema was followed"
        assert sample.input_tokens
        assert sample.prompt_eval_s
        assert sample.eval_s
        assert sample.load_s is None
        assert sample.flags == []
    assert msgspec.json.decode(msgspec.json.encode(sample), type=Sample) == sample
