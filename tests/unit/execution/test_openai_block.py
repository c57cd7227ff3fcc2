"""A block that is asked in the dialect of OpenAI's API: what a sample holds, what stays null, what is asked again."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pandas as pd
import pytest

from ai_dev_tools.benchmark.analysis.flatten import sample_row
from ai_dev_tools.benchmark.analysis.samples_table import prepare
from ai_dev_tools.benchmark.analysis.validity import DEFAULTS, options_changed
from ai_dev_tools.benchmark.endpoints import EndpointSpec, open_endpoint
from ai_dev_tools.benchmark.endpoints.chat import Chat as Asked
from ai_dev_tools.benchmark.endpoints.chat import Reply
from ai_dev_tools.benchmark.endpoints.external import find_dialect
from ai_dev_tools.benchmark.endpoints.openai_client import OpenAIClient
from ai_dev_tools.benchmark.errors import BenchmarkError, BudgetReached, ConfigurationError, ModelError, OverloadedError
from ai_dev_tools.benchmark.execution import request as measure
from ai_dev_tools.benchmark.execution import run_block
from ai_dev_tools.benchmark.execution.budget import BudgetAccount, paid_for, spent_so_far
from ai_dev_tools.benchmark.records.block import Block, cells, request_digest
from ai_dev_tools.benchmark.records.prices import Budget, Rates
from ai_dev_tools.benchmark.records.sample import Sample
from fakes.faulty_proxy import Chat, Fault
from fakes.ollama import FakeOllama
from fakes.openai_api import FakeOpenAI, error
from fakes.openai_faults import refuse
from support.invented import verdicts
from support.making import SCHEMA, block, prompts

ENDPOINT = {"instance": "small", "model": "fake:1b", "max_concurrent": 1, "startup_timeout_s": 5}


@pytest.fixture
def fake() -> Iterator[FakeOpenAI]:
    with FakeOpenAI() as server:
        yield server


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "BACKOFF_BASE_S", 0.01)


def a_block(folder: Path, url: str, endpoint: dict[str, Any] | None = None, **changed: Any) -> Block:
    return block(**{"results": str(folder), "endpoint": ENDPOINT | {"kind": url} | (endpoint or {})} | changed)


def run(asked: Block, lines: list[str] | None = None) -> list[Sample]:
    return run_block(asked, prompts(asked), (lines if lines is not None else []).append, threading.Event())


def identity(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "identity" / "fake-1b" / "colours.json").read_text())["sessions"][-1]
    return found


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
    samples = run(
        a_block(tmp_path, fake.url.removesuffix("/v1"), samples=4, cases=["one", "two", "three", "four"]), lines
    )
    assert {sample.request.api for sample in samples} == {"openai"}
    assert any("speaks another API than before: 6 samples" in line for line in lines)


# --- what a server does not take ------------------------------------------------------------------------------------


def test_what_is_left_out_is_left_out_in_every_arm_and_flagged_and_written_down(
    tmp_path: Path, fake: FakeOpenAI
) -> None:
    fake.refuse = lambda body: (400, error("json_schema is not supported")) if "json_schema" in str(body) else None
    samples = run(a_block(tmp_path, fake.url))
    assert {tuple(sample.flags) for sample in samples} == {("format_json_object",)}
    assert {chat.body["response_format"]["type"] for chat in fake.chats} == {"json_object"}
    assert len(fake.chats) == len(samples), "nothing measured was sent to find out"
    assert identity(tmp_path)["asked"]["accepted"]["format"] == "json_object"


def test_all_replicas_are_asked_alike(tmp_path: Path, fake: FakeOpenAI) -> None:
    with FakeOpenAI() as other:
        other.refuse = lambda body: (400, error("unknown field: seed")) if "seed" in body else None
        asked = a_block(tmp_path, fake.url, {"replicas": [other.url]}, samples=6)
        samples = run(asked)
        assert other.chats
    assert {tuple(sample.flags) for sample in samples} == {("seed_not_taken",)}
    assert not any("seed" in chat.body for chat in fake.chats)


def test_a_server_that_refuses_everything_ends_the_block_with_one_line(tmp_path: Path, fake: FakeOpenAI) -> None:
    fake.refuse = lambda body: (400, error("this model is being upgraded"))
    with pytest.raises(ModelError, match=r"^small: the server says: this model is being upgraded") as caught:
        run(a_block(tmp_path, fake.url))
    assert "\n" not in str(caught.value)
    assert fake.chats == []


def test_a_limit_at_the_warm_up_is_sat_out(tmp_path: Path, fake: FakeOpenAI) -> None:
    fake.refuse = lambda body: (429, error("slow down")) if len(fake.others) == 1 else None
    assert all(sample.status == "completed" for sample in run(a_block(tmp_path, fake.url)))


def test_a_later_session_that_is_asked_otherwise_is_flagged_and_said(tmp_path: Path, fake: FakeOpenAI) -> None:
    run(a_block(tmp_path, fake.url))
    fake.refuse = lambda body: (400, error("unknown field: seed")) if "seed" in body else None
    lines: list[str] = []
    samples = run(a_block(tmp_path, fake.url, samples=4, cases=["one", "two", "three", "four"]), lines)
    flagged = [sample for sample in samples if "asked_differently" in sample.flags]
    assert [sample.case for sample in flagged] == ["four", "four"]
    assert any("as in an earlier session (seed: False, not True)" in line for line in lines)
    _, state = options_changed(prepare(pd.DataFrame([sample_row(sample, "") for sample in samples])), DEFAULTS)
    assert sum(state) == 2


def test_a_server_that_names_limits_is_not_probed_for_slots(tmp_path: Path, fake: FakeOpenAI) -> None:
    fake.headers = lambda number: {"x-ratelimit-remaining-requests": "900", "x-ratelimit-reset-requests": "60s"}
    run(a_block(tmp_path, fake.url, {"max_concurrent": 4}))
    assert [body["messages"][0]["content"] for body in fake.others] == [measure.WARM_UP]


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
    samples = run(a_block(tmp_path, fake.url, samples=4, cases=["one", "two", "three", "four"]))
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


# --- limits ---------------------------------------------------------------------------------------------------------


def limited_for(seconds: int, header: str = "Retry-After: {}") -> Fault:
    return lambda wire: refuse(wire, "429 Too Many Requests", "Limit reached", header.format(seconds))


@pytest.mark.parametrize("header", ["Retry-After: {}", "x-ratelimit-reset-tokens: {}s"])
def test_a_pause_that_the_server_asks_for_is_kept_by_all_threads_of_a_block(
    tmp_path: Path, fake: FakeOpenAI, header: str
) -> None:
    limited = threading.Event()

    def choose(chat: Chat) -> Fault | None:
        first, _ = not limited.is_set(), limited.set()
        return limited_for(1, header) if first else None

    fake.choose = choose
    samples = run(a_block(tmp_path, fake.url, {"max_concurrent": 3}, samples=12, cases=[f"case{n}" for n in range(12)]))
    assert all(sample.status == "completed" for sample in samples)
    first, *later = fake.arrived
    under_way = [moment for moment in later if moment - first < 0.9]
    assert len(under_way) <= 2, "only what had been sent beside it came within the second"


def test_a_limit_that_is_used_up_is_waited_for_before_it_is_met(tmp_path: Path, fake: FakeOpenAI) -> None:
    spent = {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "1s"}
    fake.headers = lambda number: spent if number == 2 else {}
    samples = run(a_block(tmp_path, fake.url))
    assert {len(sample.attempts) for sample in samples} == {1}
    assert fake.arrived[2] - fake.arrived[1] >= 0.9


def test_a_wait_that_no_run_should_sit_out_ends_the_block_and_keeps_what_there_is(
    tmp_path: Path, fake: FakeOpenAI
) -> None:
    fake.choose = lambda chat: limited_for(7200) if len(fake.chats) > 2 else None
    with pytest.raises(
        OverloadedError, match=r"^small: the server accepts no more requests for 2\.0 h; .* Run the same"
    ):
        run(a_block(tmp_path, fake.url))
    asked = len(fake.chats)
    fake.choose = lambda chat: None
    assert all(sample.status == "completed" for sample in run(a_block(tmp_path, fake.url)))
    assert len(fake.chats) - asked == 4


# --- money ----------------------------------------------------------------------------------------------------------

RATES = Rates(input=2e6, output=8e6, cached_input=0.5e6, per_hour=0.0)


def counted_so(counted: dict[str, Any]) -> dict[str, Any]:
    return {"prompt_tokens": 1000, "completion_tokens": 50, "prompt_tokens_details": {"cached_tokens": 600}}


def test_cached_tokens_are_paid_at_their_own_price_and_counted_once(tmp_path: Path, fake: FakeOpenAI) -> None:
    fake.usage = counted_so
    asked = a_block(tmp_path, fake.url, budget=Budget(1e9, "EUR", {"fake:1b": RATES}))
    samples = run(asked)
    each = 400 * 2 + 600 * 0.5 + 50 * 8
    assert paid_for(tmp_path, {"fake:1b": RATES}) == pytest.approx(len(samples) * each)
    warm_ups = len(fake.others)
    assert spent_so_far(tmp_path, {"fake:1b": RATES}) == pytest.approx((len(samples) + warm_ups) * each)


def test_a_prompt_is_paid_in_full_where_the_server_is_not_told_how_long_the_context_may_be(tmp_path: Path) -> None:
    long = Asked("fake:1b", "x" * 50_000, None, {"num_ctx": 512, "num_predict": 10})
    account = BudgetAccount(Budget(40_000, "EUR", {"fake:1b": Rates(input=1e6, output=1e6)}), tmp_path, "fake:1b")
    with FakeOpenAI() as fake:
        client = OpenAIClient(fake.url)
        client.payer = account
        with pytest.raises(BudgetReached, match=r"may cost up to 50,\d+\.00 EUR"):
            client.ask(long, 10, Reply())
        assert fake.asked == []


def test_a_budget_below_one_request_asks_nothing_and_a_larger_one_asks_what_is_missing_and_nothing_twice(
    tmp_path: Path, fake: FakeOpenAI
) -> None:
    fake.usage = counted_so
    seen: list[int] = []
    for amount in (10, 7_000, 10_000, 1e9):
        asked = a_block(tmp_path, fake.url, budget=Budget(amount, "EUR", {"fake:1b": RATES}))
        if amount < 1e9:
            with pytest.raises(BudgetReached, match="Run the same command with a larger budget"):
                run(asked)
            assert spent_so_far(tmp_path, {"fake:1b": RATES}) <= amount
        else:
            assert len(run(asked)) == 6
        seen.append(len(fake.chats))
    assert seen[0] == 0
    assert 0 < seen[1] < seen[2] < seen[3] == 6, "each once"


# --- replay ---------------------------------------------------------------------------------------------------------


def test_a_replay_gives_the_same_samples_again(tmp_path: Path, fake: FakeOpenAI) -> None:
    fake.usage = lambda counted: counted | {"completion_tokens_details": {"reasoning_tokens": 3}}
    first = run(a_block(tmp_path / "first", fake.url, {"api": "openai"}))
    replayed = {"kind": "replay", "replay_from": str(tmp_path / "first"), "api": "openai"}
    again = run(a_block(tmp_path / "again", fake.url, replayed))
    same = ("response", "score", "status", "done_reason", "input_tokens", "output_tokens", "reasoning_tokens", "load_s",
            "prompt_eval_s", "eval_s", "rest_s", "total_s", "model_digest", "request")  # fmt: skip
    for before, after in zip(first, again, strict=True):
        for name in same:
            assert getattr(before, name) == getattr(after, name), name


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


# --- replay ---------------------------------------------------------------------------------------------------------


def judged(samples: list[Sample]) -> list[tuple[Any, ...]]:
    """What the verdicts on tokens of these samples say."""
    table = pd.DataFrame([sample_row(sample) for sample in samples])
    rows = verdicts(table, resamples=199)
    rows = rows[rows["outcome"] == "tokens"]
    wanted = ["task", "verdict", "ratio", "low", "high", "pairs", "flagged", "dropped", "quality_difference", "reasons"]
    return [tuple(row) for row in rows[wanted].fillna(-1).itertuples(index=False)]


@pytest.mark.parametrize("named", [True, False], ids=["named", "found out"])
def test_a_run_that_was_asked_in_openais_api_replays_with_the_same_verdicts(
    tmp_path: Path, fake: FakeOpenAI, named: bool
) -> None:
    fake.usage = lambda counted: (
        counted
        | {
            "prompt_tokens_details": {"cached_tokens": 16},
            "completion_tokens_details": {"reasoning_tokens": 3},
        }
    )
    design: dict[str, Any] = {
        "cases": [f"case{n}" for n in range(8)], "samples": 8, "approaches": ["baseline", "tools", "no_context"]
    }  # fmt: skip
    folder = tmp_path / "lab"
    url = fake.url if named else fake.url.removesuffix("/v1")
    api = {"api": "openai"} if named else {}
    recorded = run(a_block(folder, url, api, **design))
    asked = len(fake.chats)
    player = {"replay_from": str(folder)} | api
    replayed = run(a_block(tmp_path / "lab@replay", "replay", player, **design))
    assert len(fake.chats) == asked
    names = [
        "status",
        "answer",
        "score",
        "input_tokens",
        "output_tokens",
        "prompt_cached_tokens",
        "reasoning_tokens",
        "done_reason",
    ]
    for one, other in zip(recorded, replayed, strict=True):
        assert [getattr(one, name) for name in names] == [getattr(other, name) for name in names]
    assert judged(replayed) == judged(recorded)
