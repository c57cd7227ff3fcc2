"""The design: balanced order of arms, every cell once, shared seeds, distinct nonces, and what a digest covers."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_dev_tools.benchmark.records import block as design
from ai_dev_tools.benchmark.records.block import (
    Block,
    PluginRef,
    arm_order,
    case_order,
    cells,
    nonce,
    request_digest,
    request_options,
    seed,
)
from ai_dev_tools.benchmark.records.prices import Budget, Rates
from support.making import SCHEMA, block

ids = st.text("abcdefgh_0123", min_size=1, max_size=6)
arms = st.lists(ids, min_size=1, max_size=6, unique=True)
blocks = st.builds(
    lambda cases, samples, approaches: block(cases=cases, samples=samples, approaches=approaches),
    st.lists(ids, min_size=1, max_size=8, unique=True),
    st.integers(1, 30),
    arms,
)


# --- cells --------------------------------------------------------------------------------------------------------


@given(blocks)
def test_every_sample_of_every_arm_occurs_once_in_the_order_of_sending(block: Block) -> None:
    found = cells(block)
    assert [cell.order for cell in found] == list(range(len(found)))
    assert Counter((c.approach, c.sample) for c in found) == Counter(
        {(a, s): 1 for a in block.approaches for s in range(block.samples)}
    )


@given(blocks)
def test_the_arms_of_a_sample_ask_the_same_case_with_the_same_seed_next_to_each_other(block: Block) -> None:
    found = cells(block)
    for start in range(0, len(found), len(block.approaches)):
        together = found[start : start + len(block.approaches)]
        assert len({(c.sample, c.case, c.repeat, c.seed) for c in together}) == 1
        assert {c.approach for c in together} == set(block.approaches)


@given(blocks)
def test_cases_are_all_asked_before_one_is_repeated(block: Block) -> None:
    for cell in cells(block):
        assert cell.case == block.cases[cell.sample % len(block.cases)]
        assert cell.repeat == cell.sample // len(block.cases)


@given(blocks, st.integers(1, 10))
def test_more_samples_leave_the_first_ones_as_they_were(block: Block, more: int) -> None:
    larger = msgspec.structs.replace(block, samples=block.samples + more)
    assert cells(larger)[: len(cells(block))] == cells(block)


@given(blocks)
def test_a_cells_seed_is_that_of_task_case_and_repeat_whatever_model_and_arms(block: Block) -> None:
    other = msgspec.structs.replace(block, model="other:7b", approaches=["x", *block.approaches])
    by_place = {(c.approach, c.sample): c.seed for c in cells(other)}
    for cell in cells(block):
        assert cell.seed == by_place[cell.approach, cell.sample] == seed(block.task, cell.case, cell.repeat)


# --- order of arms ------------------------------------------------------------------------------------------------


@given(arms, st.integers(0, 200))
def test_each_sample_sends_each_arm_once(approaches: list[str], sample: int) -> None:
    assert sorted(arm_order(approaches, sample)) == sorted(approaches)


@given(arms, st.integers(0, 20))
def test_over_two_rounds_each_arm_is_equally_often_in_each_place(approaches: list[str], start: int) -> None:
    period = 2 * len(approaches)
    orders = [arm_order(approaches, start * period + sample) for sample in range(period)]
    assert set(Counter((arm, order.index(arm)) for order in orders for arm in approaches).values()) == {2}


@given(arms)
def test_over_two_rounds_each_arm_follows_another_as_often_as_it_precedes_it(approaches: list[str]) -> None:
    orders = [arm_order(approaches, sample) for sample in range(2 * len(approaches))]
    follows = Counter(pair for order in orders for pair in pairwise(order))
    assert all(follows[a, b] == follows[b, a] for a, b in follows)


@given(arms, st.randoms(use_true_random=False))
def test_the_order_in_which_the_config_names_the_arms_does_not_matter(approaches: list[str], random: Any) -> None:
    mixed = random.sample(approaches, len(approaches))
    assert [arm_order(mixed, s) for s in range(12)] == [arm_order(approaches, s) for s in range(12)]


# --- cases, seeds, nonces -----------------------------------------------------------------------------------------


@given(st.lists(ids, unique=True), st.randoms(use_true_random=False))
def test_the_order_of_cases_is_not_their_authors(cases: list[str], random: Any) -> None:
    assert case_order("task", random.sample(cases, len(cases))) == case_order("task", cases)
    assert sorted(case_order("task", cases)) == sorted(cases)


def test_the_order_of_cases_differs_between_tasks_and_from_the_alphabet() -> None:
    cases = [f"case{number:02}" for number in range(24)]
    assert case_order("one", cases) != case_order("two", cases)
    assert case_order("one", cases) != cases


def test_adding_a_case_keeps_the_others_in_order() -> None:
    cases = [f"case{number:02}" for number in range(24)]
    assert [case for case in case_order("t", [*cases, "new"]) if case != "new"] == case_order("t", cases)


@given(ids, ids, st.integers(0, 1000))
def test_a_seed_fits_31_bits_and_never_changes(task: str, case: str, repeat: int) -> None:
    assert 0 <= seed(task, case, repeat) < 2**31
    assert seed("safety_assessment", "address_forms", 0) == seed("safety_assessment", "address_forms", 0)


def test_the_design_of_published_results_stays_what_it_was() -> None:
    """These numbers are in archived results: a change of them must raise PROTOCOL."""
    assert design.PROTOCOL == 1
    assert seed("safety_assessment", "address_forms", 0) == 723208878
    assert nonce(723208878, "tools", 0) == "83880481"
    assert case_order("t", ["a", "b", "c", "d"]) == ["b", "c", "a", "d"]


@given(st.integers(0, 2**31 - 1), ids, st.integers(0, 20))
def test_a_nonce_is_always_eight_digits(cell_seed: int, approach: str, attempt: int) -> None:
    found = nonce(cell_seed, approach, attempt)
    assert len(found) == 8
    assert found.isdecimal()


def test_no_two_requests_of_a_large_block_share_a_nonce() -> None:
    large = block(
        cases=[f"case{n}" for n in range(24)], samples=24, approaches=["baseline", "tools", "no_context", "excerpt"]
    )
    nonces = [nonce(cell.seed, cell.approach, attempt) for cell in cells(large) for attempt in range(3)]
    assert len(set(nonces)) == len(nonces)


# --- digest -------------------------------------------------------------------------------------------------------


def digest(block: Block, approach: str = "baseline", sample: int = 0, sha: str = "s", schema: Any = SCHEMA) -> str:
    (cell,) = (c for c in cells(block) if (c.approach, c.sample) == (approach, sample))
    return request_digest(block, cell, sha, schema)


CHANGED: list[dict[str, Any]] = [
    {"model": "other:1b"},
    {"options": {"temperature": 0.5, "num_ctx": 8192, "num_predict": 512}},
    {"options": {"temperature": 0.0, "num_ctx": 4096, "num_predict": 512}},
    {"options": {"temperature": 0.0, "num_ctx": 8192, "num_predict": 512, "top_k": 1}},
    {"think": True},
    {"think": None},
    {"think": "low"},
    {"task": "shapes"},
    {"cases": ["two", "one"]},
]
KEPT: list[dict[str, Any]] = [
    {"plugins": [PluginRef("scorers.py", "0" * 64)]},
    {"budget": Budget(5.0, "USD", {"fake:1b": Rates(1.0, 4.0)})},
    {"profile": "heavy"},
    {"results": "elsewhere"},
    {"instance": "large"},
    {"samples": 20},
    {"approaches": ["baseline", "tools", "excerpt"]},
    {"approaches": ["tools", "baseline"]},
    {"cases": ["one", "four"]},
    {"timeout_s": 1.0},
    {"attempts": 9},
    {"retry": "all"},
    {"round": 4},
    {"plan": None},
    {"run_requests": 1},
    {"endpoint": {"kind": "http://elsewhere:1"}},
    {"options": {"num_predict": 512, "num_ctx": 8192, "temperature": 0.0}},
]


@pytest.mark.parametrize("changed", CHANGED, ids=str)
def test_the_digest_changes_with_all_that_determines_a_request(changed: dict[str, Any]) -> None:
    assert digest(block(**changed)) != digest(block())


def test_the_digest_changes_with_prompt_schema_arm_repeat_and_protocol(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [
        digest(block()),
        digest(block(), sha="t"),
        digest(block(), schema={"type": "object"}),
        digest(block(), approach="tools"),
        digest(block(samples=9), sample=3),
    ]
    monkeypatch.setattr(design, "PROTOCOL", design.PROTOCOL + 1)
    found.append(digest(block()))
    assert len(set(found)) == len(found)


@pytest.mark.parametrize("changed", KEPT, ids=str)
def test_the_digest_changes_with_nothing_else(changed: dict[str, Any]) -> None:
    assert digest(block(**changed)) == digest(block())


def test_every_field_of_a_block_is_in_one_of_the_two_lists() -> None:
    assert {name for change in [*CHANGED, *KEPT] for name in change} == {f.name for f in msgspec.structs.fields(Block)}


def test_a_block_survives_json_with_the_same_digest() -> None:
    assert Block.from_json(block().to_json()) == block()
    assert digest(Block.from_json(block().to_json())) == digest(block())


def test_the_seed_travels_with_the_options() -> None:
    (cell, *_) = cells(block())
    assert request_options(block(), cell) == {**block().options, "seed": cell.seed}
