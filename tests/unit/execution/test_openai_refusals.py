"""What a server with OpenAI's API does not take: fields, requests beyond a limit, and requests that nobody pays."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from ai_dev_tools.benchmark.analysis.flatten import sample_row
from ai_dev_tools.benchmark.analysis.samples_table import prepare
from ai_dev_tools.benchmark.analysis.validity import DEFAULTS, options_changed
from ai_dev_tools.benchmark.endpoints.chat import Chat as Asked
from ai_dev_tools.benchmark.endpoints.chat import Reply
from ai_dev_tools.benchmark.endpoints.openai_client import OpenAIClient
from ai_dev_tools.benchmark.endpoints.pacing import Pace
from ai_dev_tools.benchmark.errors import BudgetReached, ModelError, OverloadedError
from ai_dev_tools.benchmark.execution import request as measure
from ai_dev_tools.benchmark.execution.budget import BudgetAccount, paid_for, spent_so_far
from ai_dev_tools.benchmark.records.prices import Budget, Rates
from fakes.faulty_proxy import Chat, Fault
from fakes.openai_api import FakeOpenAI, error
from fakes.openai_faults import refuse
from support.openai_blocks import FOUR, a_block, identity, run


@pytest.fixture
def fake() -> Iterator[FakeOpenAI]:
    with FakeOpenAI() as server:
        yield server


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


def test_a_limit_at_the_warm_up_is_waited_out(tmp_path: Path, fake: FakeOpenAI) -> None:
    fake.refuse = lambda body: (429, error("slow down")) if len(fake.others) == 1 else None
    assert all(sample.status == "completed" for sample in run(a_block(tmp_path, fake.url)))


def test_a_later_session_that_is_asked_otherwise_is_flagged_and_said(tmp_path: Path, fake: FakeOpenAI) -> None:
    run(a_block(tmp_path, fake.url))
    fake.refuse = lambda body: (400, error("unknown field: seed")) if "seed" in body else None
    lines: list[str] = []
    samples = run(a_block(tmp_path, fake.url, **FOUR), lines)
    flagged = [sample for sample in samples if "asked_differently" in sample.flags]
    assert [sample.case for sample in flagged] == ["four", "four"]
    assert any("as in an earlier session (seed: False, not True)" in line for line in lines)
    _, state = options_changed(prepare(pd.DataFrame([sample_row(sample, "") for sample in samples])), DEFAULTS)
    assert sum(state) == 2


def test_a_server_that_names_limits_is_not_probed_for_slots(tmp_path: Path, fake: FakeOpenAI) -> None:
    fake.headers = lambda number: {"x-ratelimit-remaining-requests": "900", "x-ratelimit-reset-requests": "60s"}
    run(a_block(tmp_path, fake.url, {"max_concurrent": 4}))
    assert [body["messages"][0]["content"] for body in fake.others] == [measure.WARM_UP]


# --- limits ---------------------------------------------------------------------------------------------------------


def limited_for(seconds: int, header: str = "Retry-After: {}") -> Fault:
    return lambda wire: refuse(wire, "429 Too Many Requests", "Limit reached", header.format(seconds))


@pytest.mark.parametrize("header", ["Retry-After: {}", "x-ratelimit-reset-tokens: {}s"])
def test_a_pause_that_the_server_asks_for_is_kept_by_all_threads_of_a_block(
    tmp_path: Path, fake: FakeOpenAI, header: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    limited, held, hold = threading.Event(), threading.Event(), Pace.hold
    monkeypatch.setattr(Pace, "hold", lambda pace, seconds: (hold(pace, seconds), held.set()))

    def choose(chat: Chat) -> Fault | None:
        first, _ = not limited.is_set(), limited.set()
        if first:
            return limited_for(1, header)
        held.wait(30)  # an answer before that would let its thread ask again
        return None

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
