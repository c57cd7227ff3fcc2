"""A budget: a run stops asking before it is exceeded, keeps everything, says what is missing, and goes on with a larger one."""

from __future__ import annotations

import fcntl
import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from ai_dev_tools.benchmark.endpoints.chat import Chat, Reply
from ai_dev_tools.benchmark.errors import (
    BudgetReached,
    ConfigurationError,
    EndpointConnectionError,
    RequestTimeoutError,
)
from ai_dev_tools.benchmark.execution.budget import BudgetAccount, _in_flight, paid_for, spent_so_far
from ai_dev_tools.benchmark.execution.request import chat_of
from ai_dev_tools.benchmark.records.block import cells
from ai_dev_tools.benchmark.records.prices import Budget, Rates
from fakes.agent_model import action, answer, in_turn, playing
from support.bench import Bench
from support.episodes import episode_prompts
from support.making import prompts

RATES = {"fake:1b": Rates(input=1e6, output=1e6)}
"""A token costs one, so that money is a number of tokens."""
CHAT = Chat("fake:1b", "x" * 100, {}, {"num_predict": 50})


def budget(amount: float, **rates: Rates) -> Budget:
    return Budget(amount, "USD", RATES | rates)


def worst(bench: Bench) -> float:
    """The worst case of any of its requests."""
    block = bench.block()
    account, given = BudgetAccount(budget(1), bench.folder, "fake:1b"), prompts(block)
    chats = (chat_of(block, cell, given[cell.case, cell.approach], 0) for cell in cells(block))
    return max(account.worst_case(chat, 10) for chat in chats)


RED = {"colour": "red"}
READING = (action("list_files", path=""), action("read_file", path="sky.py", start=1), answer(RED))
WORST = BudgetAccount(budget(1), Path(), "fake:1b").worst_case(CHAT, 10)


def total(bench: Bench) -> float:
    """What the stored samples cost."""
    return paid_for(bench.folder, RATES)


# --- one request ----------------------------------------------------------------------------------------------------


def answered(reply: Reply, read: int = 30, written: int = 5) -> None:
    reply.final = {"prompt_eval_count": read, "eval_count": written}


def test_a_request_is_held_at_its_worst_case_and_then_costs_what_was_used(tmp_path: Path) -> None:
    account = BudgetAccount(budget(1000), tmp_path, "fake:1b")
    reply = Reply()
    with account.paying(CHAT, 10, reply):
        assert spent_so_far(tmp_path, RATES) == WORST
        answered(reply)
    assert spent_so_far(tmp_path, RATES) == 35


def test_one_that_could_exceed_the_budget_is_not_sent(tmp_path: Path) -> None:
    said = f"0.00 USD of the budget of {WORST - 1:.2f} USD .* may cost up to {WORST:.2f} USD"
    with (
        pytest.raises(BudgetReached, match=said),
        BudgetAccount(budget(WORST - 1), tmp_path, "fake:1b").paying(CHAT, 10, Reply()),
    ):
        pytest.fail("it was sent")
    reply = Reply()
    with BudgetAccount(budget(WORST), tmp_path, "fake:1b").paying(CHAT, 10, reply):
        answered(reply)


@pytest.mark.parametrize("in_another_job", [False, True])
def test_a_request_waits_for_those_in_flight_since_they_may_come_to_less(tmp_path: Path, in_another_job: bool) -> None:
    first, other = (BudgetAccount(budget(1.5 * WORST), tmp_path, "fake:1b") for _ in range(2))
    sent = threading.Event()

    def second() -> None:
        with (other if in_another_job else first).paying(
            CHAT, 10, Reply(final={"prompt_eval_count": 1, "eval_count": 1})
        ):
            sent.set()

    waiting = threading.Thread(target=second)
    reply = Reply()
    with first.paying(CHAT, 10, reply):
        waiting.start()
        waiting.join(0.1)
        assert waiting.is_alive() and not sent.is_set()
        answered(reply)
    waiting.join()
    assert sent.is_set()
    assert spent_so_far(tmp_path, RATES) == 35 + 2


def test_a_block_begins_only_when_it_is_known_what_those_of_other_jobs_cost(tmp_path: Path) -> None:
    one, other = (BudgetAccount(budget(1.5 * WORST), tmp_path, "fake:1b") for _ in range(2))
    begins = threading.Thread(target=other.require, args=(CHAT, 10))
    reply = Reply()
    with one.paying(CHAT, 10, reply):
        begins.start()
        begins.join(0.05)
        assert begins.is_alive()
        answered(reply)
    begins.join()


def test_what_says_that_requests_are_in_flight_can_be_read_as_nfs_wants_of_a_shared_lock(tmp_path: Path) -> None:
    flight = _in_flight(tmp_path, fcntl.LOCK_SH)
    assert flight is not None
    with flight:
        assert flight.readable() and flight.writable()


def test_where_those_in_flight_come_to_their_worst_case_the_budget_is_reached(tmp_path: Path) -> None:
    one, other = (BudgetAccount(budget(2 * WORST - 1), tmp_path, "fake:1b") for _ in range(2))
    found: list[str] = []

    def second() -> None:
        with pytest.raises(BudgetReached) as caught, other.paying(CHAT, 10, Reply()):
            pytest.fail("both could exceed it together")
        found.append(str(caught.value))

    waiting = threading.Thread(target=second)
    with one.paying(CHAT, 10, Reply()):  # nobody counted it
        waiting.start()
    waiting.join()
    assert found[0].startswith(f"{WORST:.2f} USD of the budget")


HOLDS = """
import sys, time
from pathlib import Path
from ai_dev_tools.benchmark.endpoints.chat import Chat, Reply
from ai_dev_tools.benchmark.execution.budget import BudgetAccount
from ai_dev_tools.benchmark.records.prices import Budget, Rates

chat = Chat("fake:1b", "x" * 100, {}, {"num_predict": 50})
with BudgetAccount(Budget(1000, "USD", {"fake:1b": Rates(1e6, 1e6)}), Path(sys.argv[1]), "fake:1b").paying(chat, 10, Reply()):
    print("sent", flush=True)
    time.sleep(60)
"""


def test_what_a_killed_job_held_stays_held_and_is_not_waited_for(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLDS, str(tmp_path)], stdout=subprocess.PIPE, text=True) as job:
        assert job.stdout is not None
        assert job.stdout.readline() == "sent\n"
        job.kill()
    assert spent_so_far(tmp_path, RATES) == WORST
    with (
        pytest.raises(BudgetReached, match=f"{WORST:.2f} USD of the budget"),
        BudgetAccount(budget(1.5 * WORST), tmp_path, "fake:1b").paying(CHAT, 10, Reply()),
    ):
        pytest.fail("it was sent")


def test_a_disk_that_is_full_when_an_answer_is_there_loses_nothing_and_nobody_waits_for_ever(tmp_path: Path) -> None:
    account = BudgetAccount(budget(1.5 * WORST), tmp_path, "fake:1b")
    said: list[str] = []

    def second() -> None:
        try:
            with account.paying(CHAT, 10, Reply()):
                pytest.fail("it was sent")
        except ConfigurationError as error:
            said.append(str(error))

    waiting = threading.Thread(target=second, daemon=True)
    reply = Reply()
    with account.paying(CHAT, 10, reply):
        waiting.start()
        waiting.join(0.05)
        (tmp_path / "spent.json").unlink()
        (tmp_path / "spent.json").mkdir()  # nothing can be written there any more, as on a full disk
        answered(reply)
    waiting.join(30)
    assert not waiting.is_alive()
    assert said[0].startswith(f"cannot write {tmp_path / 'spent.json'}")


@pytest.mark.parametrize(
    ("error", "pieces", "paid"),
    [
        (RequestTimeoutError("late"), 0, WORST),
        (EndpointConnectionError("broke"), 3, WORST),
        (EndpointConnectionError("no connection"), 0, 0),
        (KeyboardInterrupt(), 0, WORST),
    ],
    ids=["timed out", "broken off", "never there", "stopped"],
)
def test_what_nobody_counted_costs_its_worst_case_if_it_may_have_been_charged(
    tmp_path: Path, error: BaseException, pieces: int, paid: float
) -> None:
    reply = Reply(pieces=pieces)
    with pytest.raises(type(error)), BudgetAccount(budget(1000), tmp_path, "fake:1b").paying(CHAT, 10, reply):
        raise error
    assert spent_so_far(tmp_path, RATES) == paid


@pytest.mark.parametrize("read", [-1, True, 2**40, 10**400])
def test_a_count_that_cannot_be_one_is_none(tmp_path: Path, read: int) -> None:
    reply = Reply()
    with BudgetAccount(budget(1000), tmp_path, "fake:1b").paying(CHAT, 10, reply):
        answered(reply, read)
    assert spent_so_far(tmp_path, RATES) == WORST


def test_the_worst_case_is_a_token_for_each_byte_and_an_answer_of_full_length() -> None:
    assert 100 + 50 < WORST < 100 + 50 + 300, "and what a template may add"


def test_the_context_window_bounds_the_worst_case(tmp_path: Path) -> None:
    small = Chat("fake:1b", "x" * 10_000, {}, {"num_predict": 50, "num_ctx": 512})
    assert BudgetAccount(budget(1), tmp_path, "fake:1b").worst_case(small, 10) == 512 + 50


def test_an_hour_of_your_own_machine_is_paid_by_the_seconds(tmp_path: Path) -> None:
    hourly = Budget(100, "EUR", {"m": Rates(per_hour=3600.0)})
    account = BudgetAccount(hourly, tmp_path, "m")
    assert account.worst_case(CHAT, 10) == 10
    reply = Reply(duration_s=2.5)
    with account.paying(CHAT, 10, reply):
        answered(reply)
    assert spent_so_far(tmp_path, hourly.rates) == pytest.approx(2.5)


@pytest.mark.parametrize(
    "content", [b"", b"{", b'{"money": -1}', b"null", b'{"money": 1e999, "currency": "USD", "rates": {}}']
)
def test_a_damaged_file_is_counted_again_from_the_samples(tmp_path: Path, bench: Bench, content: bytes) -> None:
    bench.run()
    (bench.folder / "spent.json").write_bytes(content)
    account = BudgetAccount(budget(1e6), bench.folder, "fake:1b")
    account.require(CHAT, 10)
    assert spent_so_far(bench.folder, RATES) == total(bench) > 0


def test_other_prices_are_counted_from_the_samples_too(bench: Bench) -> None:
    bench.run(budget=budget(1e6))
    dearer = {"fake:1b": Rates(input=2e6, output=2e6)}
    assert spent_so_far(bench.folder, dearer) == 2 * total(bench)


# --- a block --------------------------------------------------------------------------------------------------------


def stopped(bench: Bench, amount: float, **changed: Any) -> str:
    with pytest.raises(BudgetReached) as caught:
        bench.run(budget=budget(amount), **changed)
    return str(caught.value)


def test_a_budget_stops_keeps_says_what_is_missing_and_a_larger_one_goes_on(bench: Bench) -> None:
    bench.run()
    whole, files = total(bench), bench.samples_there()
    assert len(files) == 6
    bench.folder = bench.folder.with_name("again")
    most = 0.6 * whole + worst(bench)
    said = stopped(bench, most)
    there = len(bench.samples_there())
    assert 0 < there < 6
    assert len(bench.asked) == there, "what was sent is kept"
    assert total(bench) <= spent_so_far(bench.folder, RATES) <= most
    assert f"{there} of 6 requests of this run are answered, {6 - there} are missing" in said
    assert said.endswith("Run the same command with a larger budget: only what is missing is asked")
    assert "\n" not in said
    samples = bench.run(budget=budget(1e6))
    assert len(bench.asked) == 6 - there
    assert len(samples) == 6


def test_nothing_is_started_where_not_even_one_request_can_be_paid(bench: Bench) -> None:
    said = stopped(bench, 0.5)
    assert "0 of 6 requests of this run are answered, 6 are missing" in said
    assert bench.asked == []
    assert bench.fake.warm_ups == []


def test_where_what_is_spent_cannot_be_noted_nothing_is_sent_and_the_block_says_why(bench: Bench) -> None:
    (bench.folder / "spent.json").mkdir(parents=True)
    with pytest.raises(ConfigurationError, match=r"cannot write .*spent\.json: Is a directory"):
        bench.run(budget=budget(1e6))
    assert bench.asked == [] and list(bench.folder.rglob("samples/**/*.json")) == []
    (bench.folder / "spent.json").rmdir()
    assert all(sample.status == "completed" for sample in bench.run(budget=budget(1e6)))


def test_a_finished_block_needs_no_budget(bench: Bench) -> None:
    bench.run()
    assert len(bench.run(budget=budget(0.5))) == 6
    assert bench.asked == []


def test_warm_ups_are_paid_for_too(bench: Bench) -> None:
    bench.run(budget=budget(1e6))
    assert bench.fake.warm_ups
    assert spent_so_far(bench.folder, RATES) > total(bench)


def test_several_requests_at_once_stay_below_the_budget(bench: Bench) -> None:
    most = 2.5 * worst(bench)
    said = stopped(bench, most, endpoint={"max_concurrent": 3}, samples=30, run_requests=60)
    there = len(bench.samples_there())
    assert f"{there} of 60 requests of this run are answered, {60 - there} are missing" in said
    assert total(bench) <= spent_so_far(bench.folder, RATES) <= most


def test_what_a_run_without_a_budget_spent_in_between_counts(bench: Bench) -> None:
    stopped(bench, worst(bench))
    bench.run()
    BudgetAccount(budget(1e6), bench.folder, "fake:1b").require(CHAT, 10)
    noted = json.loads((bench.folder / "spent.json").read_text())["money"]
    assert noted >= total(bench)


def test_a_request_does_not_depend_on_the_budget(bench: Bench) -> None:
    plain, limited = (bench.block(budget=given) for given in (None, budget(5.0)))
    assert "budget" not in plain.to_json()
    assert type(limited).from_json(limited.to_json()).budget == budget(5.0)


def test_an_episode_that_cannot_be_paid_to_its_end_is_no_sample(bench: Bench) -> None:
    bench.fake.converse = playing(in_turn(*READING), last=RED)
    design: dict[str, Any] = {"cases": ["one"], "samples": 1, "approaches": ["agent"], "run_requests": 1}
    given = episode_prompts(bench.block(**design))
    block = bench.block(**design)
    (cell,) = cells(block)
    first = BudgetAccount(budget(1), bench.folder, "fake:1b").worst_case(
        chat_of(block, cell, given["one", "agent"], 0), 10
    )
    with pytest.raises(BudgetReached, match="0 of 1 requests of this run are answered, 1 are missing"):
        bench.run(given, budget=budget(first + 200), **design)
    assert bench.samples_there() == []
    (sample,) = bench.run(given, budget=budget(1e6), **design)
    assert sample.status == "completed"
    assert spent_so_far(bench.folder, RATES) > total(bench), "its first turns were paid for twice"
