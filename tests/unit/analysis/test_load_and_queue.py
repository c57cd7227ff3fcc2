"""Waiting is no cost of a request: loads and queues are told from a busy machine and from costly sampling."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_dev_tools.benchmark.analysis.load_and_queue import late_load_s
from ai_dev_tools.benchmark.analysis.samples import Samples
from ai_dev_tools.benchmark.analysis.validity_table import check_samples
from support.invented import invent


def session(**columns: Any) -> pd.DataFrame:
    """The samples of one session, with these columns; a list has a value for each sample."""
    table = invent(n=max(len(v) for v in columns.values() if isinstance(v, list)), tasks=("a",), approaches=("tools",))
    return table.assign(**columns)


def flagged(table: pd.DataFrame, check: str) -> list[bool]:
    ledger = check_samples(table)
    return [status == "flagged" for status in ledger.loc[ledger["check"] == check].sort_values("sample")["status"]]


# --- loading --------------------------------------------------------------------------------------------------------


def test_the_scheduler_of_a_busy_machine_is_not_taken_for_loading() -> None:
    """Recorded from Ollama 0.24: the model was there in all of them."""
    assert not any(flagged(session(load_s=[0.98, 0.99, 1.01, 1.0, 0.98, 1.01]), "model_loaded"))
    assert not any(flagged(session(load_s=[0.2, 0.4, 0.3, 0.98, 0.35, 1.01, 0.3, 0.4]), "model_loaded"))


@pytest.mark.parametrize(
    ("loads", "loaded"),
    [
        ([0.01, 0.02, 0.01, 0.62, 0.01], [3]),  # the smallest model, on a quiet machine
        ([1.0, 0.99, 1.01, 3.4, 0.98], [3]),
        ([0.1, 2.9, 0.1, 3.0, 0.2, 2.8], [1, 3, 5]),  # two models take turns in a server's memory
        ([3.0, 3.1, 3.0, 2.9, 3.0], [0, 1, 2, 3, 4]),  # nothing of this session was warm
    ],
    ids=str,
)
def test_a_load_stands_out_from_the_warm_ones_of_its_session(loads: list[float], loaded: list[int]) -> None:
    assert [i for i, hit in enumerate(flagged(session(load_s=loads), "model_loaded")) if hit] == loaded


def test_a_flag_of_an_earlier_version_counts_only_where_the_load_time_is_unknown() -> None:
    table = session(load_s=[1.0, 0.99, 1.01, 0.98, np.nan], flags="model_loaded")
    assert flagged(table, "model_loaded") == [False, False, False, False, True]


def test_a_session_of_one_request_is_compared_with_the_others_with_the_model() -> None:
    table = session(load_s=[1.0, 0.98, 1.01, 0.99, 1.0, 1.0], session=[*"aaaaa", "b"])
    assert not any(flagged(table, "model_loaded"))
    assert flagged(session(load_s=[1.0]), "model_loaded") == [True]


@given(st.lists(st.floats(0, 1.5), min_size=4, max_size=30))
def test_what_is_usual_in_a_session_is_never_flagged(loads: list[float]) -> None:
    table = session(load_s=loads)
    usual = np.quantile(loads, 0.25, method="lower")
    assert (late_load_s(Samples.prepare(table).frame, 0.5) >= usual + 0.5).all()


# --- waiting for a slot -----------------------------------------------------------------------------------------------

RECORDED = {"load_s": 0.3, "prompt_eval_s": [4.1, 4.0, 4.2, 4.1], "eval_s": [0.5, 0.4, 0.5, 0.5], "output_tokens": 15}
"""Four requests sent together to a default Ollama 0.24, which has one slot."""


def test_three_of_four_behind_one_slot_waited() -> None:
    total = [5.0, 9.2, 13.5, 18.0]
    table = session(**RECORDED, total_s=total, duration_s=total, attempts_s=total)
    assert flagged(table, "queued") == [False, True, True, True]
    checked = Samples.prepare(table).frame.sort_values("sample")
    assert checked["void_time"].tolist() == [False, True, True, True]
    assert not checked["void_tokens"].any()
    assert not checked["void_quality"].any()


def test_samples_of_earlier_versions_are_judged_by_what_the_client_saw() -> None:
    seconds = [5.0, 9.2, 13.5, 18.0]
    table = session(**RECORDED, duration_s=seconds, attempts_s=seconds).drop(columns="total_s")
    assert flagged(table, "queued") == [False, True, True, True]


def test_a_single_request_that_waited_for_long_is_found_too() -> None:
    one = {name: [value[0]] if isinstance(value, list) else value for name, value in RECORDED.items()}
    assert flagged(session(**one, total_s=[18.0], duration_s=[18.0]), "queued") == [True]


@pytest.mark.parametrize("tokens", [20, 200])
def test_sampling_with_a_grammar_is_no_wait(tokens: int) -> None:
    """Recorded: 0.48 of 0.82 s are in no field, for 20 tokens of a request that was alone."""
    part = tokens / 20
    total = [0.158 + 0.175 * part + 0.483 * part * spread for spread in (1.0, 0.8, 1.2, 1.5)]
    table = session(
        load_s=0.147,
        prompt_eval_s=0.011,
        eval_s=0.175 * part,
        output_tokens=tokens,
        total_s=total,
        duration_s=total,
        attempts_s=total,
    )
    assert not any(flagged(table, "queued"))


def test_a_wait_is_found_next_to_costly_sampling() -> None:
    """One alone, then two together behind one slot: the second waits for the work of the first."""
    own = 0.1 + 3.0 + 1.0 + 2.4
    total = [own, own, 2 * own]
    table = session(
        load_s=0.1, prompt_eval_s=3.0, eval_s=1.0, output_tokens=100, total_s=total, duration_s=total, attempts_s=total
    )
    assert flagged(table, "queued") == [False, False, True]


def test_what_the_server_does_not_say_is_unknown() -> None:
    ledger = check_samples(session(prompt_eval_s=[np.nan, 1.0, 1.0]))
    assert "unknown" in set(ledger.loc[ledger["check"] == "queued", "status"])
