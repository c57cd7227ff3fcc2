"""Scorers: bounds, symmetry, what a perfect and an absent answer get, agreement with another implementation."""

from __future__ import annotations

import json
import math
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import adjusted_rand_score

from ai_dev_tools.benchmark.tasks.scoring import (
    MAX_DEPTH,
    NORMALISATIONS,
    SCORERS,
    adjusted_rand,
    choice,
    contains,
    exact,
    number,
    parse_answer,
    partition,
    score_answer,
    score_fields,
    scorer,
    set_f1,
)

names = st.text(min_size=1, max_size=4)
numbers = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
json_values = st.recursive(
    st.none() | st.booleans() | numbers | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
truths: dict[str, st.SearchStrategy[Any]] = {
    "exact": json_values,
    "choice": names,
    "number": numbers,
    "set_f1": st.lists(names, max_size=5),
    "partition": st.lists(st.lists(names, min_size=1, max_size=3, unique=True), max_size=4),
    "contains": names,
}


def test_every_scorer_has_the_properties_below() -> None:
    assert set(SCORERS) == set(truths)


@given(st.data(), st.sampled_from(sorted(truths)))
def test_any_answer_scores_between_0_and_1(data: st.DataObject, name: str) -> None:
    truth, answer = data.draw(truths[name]), data.draw(json_values | truths[name])
    assert 0 <= SCORERS[name].function(truth, answer) <= 1


@given(st.data(), st.sampled_from(sorted(truths)))
def test_the_truth_itself_scores_1(data: st.DataObject, name: str) -> None:
    truth = data.draw(truths[name])
    assert SCORERS[name].function(truth, truth) == 1


@given(st.data(), st.sampled_from(sorted(truths)), json_values)
def test_what_is_absent_or_no_object_scores_0(data: st.DataObject, name: str, other: Any) -> None:
    truth = data.draw(truths[name])
    rules = [{"field": "f", "scorer": name}]
    assert score_answer({"g": other}, {"f": truth}, rules) == 0
    assert score_answer(None, {"f": truth}, rules) == 0
    assert score_answer([truth], {"f": truth}, rules) == 0


@given(st.data(), st.sampled_from(["exact", "choice", "number", "set_f1", "partition"]))
def test_swapping_truth_and_answer_changes_nothing(data: st.DataObject, name: str) -> None:
    one, other = data.draw(truths[name]), data.draw(truths[name])
    assert SCORERS[name].function(one, other) == pytest.approx(SCORERS[name].function(other, one))


@given(st.data(), st.sampled_from(["choice", "number", "set_f1", "partition", "contains"]))
def test_another_type_scores_0(data: st.DataObject, name: str) -> None:
    assert SCORERS[name].function(data.draw(truths[name]), {"an": "object"}) == 0
    assert SCORERS[name].function(data.draw(truths[name]), None) == 0


# --- single scorers -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expected", "actual", "score"),
    [
        (1, 1, 1),
        (1, "1", 0),
        (1, True, 0),
        (0, False, 0),
        ("a", "A", 0),
        (None, None, 1),
        ([1, 2], [2, 1], 0),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, 1),
    ],
    ids=str,
)
def test_exact_counts_types_and_order_but_not_the_order_of_keys(expected: Any, actual: Any, score: float) -> None:
    assert exact(expected, actual) == score


def test_choice_ignores_case_and_space_around() -> None:
    assert choice("HIGH", " high\n") == 1
    assert choice("HIGH", "HIGHER") == 0


@pytest.mark.parametrize(
    ("actual", "parameters", "score"),
    [
        (10.5, {"tolerance": 0.5}, 1),
        (10.6, {"tolerance": 0.5}, 0),
        (11, {"relative": 0.1}, 1),
        (8.9, {"relative": 0.1}, 0),
        (11, {"tolerance": 0.1, "relative": 0.1}, 1),
        (10.0, {}, 1),
        (True, {"tolerance": 10}, 0),
        ("10", {}, 0),
        (math.inf, {"tolerance": math.inf}, 0),
        (math.nan, {"tolerance": 100}, 0),
        (10**400, {"relative": 0.5}, 0),
    ],
)
def test_number_against_10(actual: Any, parameters: dict[str, float], score: float) -> None:
    assert number(10, actual, **parameters) == score


@given(numbers, st.floats(0, 1e6), st.floats(0, 1e6))
def test_a_wider_tolerance_never_scores_less(truth: float, near: float, far: float) -> None:
    answer = truth + 1
    low, high = sorted((near, far))
    assert number(truth, answer, tolerance=low) <= number(truth, answer, tolerance=high)


def test_contains_ignores_case_and_runs_of_space() -> None:
    assert contains("Use  a LOCK", "you should\nuse a lock here") == 1
    assert contains("lock", "block") == 1
    assert contains("locks", "lock") == 0


@pytest.mark.parametrize(
    ("expected", "actual", "score"),
    [
        ([], [], 1),
        ([], ["a"], 0),
        (["a"], [], 0),
        (["a", "b"], ["b", "a", "a"], 1),
        (["a", "b"], ["a", "c"], 0.5),
        (["a"], ["a", "b", "c"], 0.5),
        (["a"], "a", 0),
        (["1"], [1], 0),
    ],
    ids=str,
)
def test_set_f1(expected: Any, actual: Any, score: float) -> None:
    assert set_f1(expected, actual) == score


@given(st.lists(names, unique=True, max_size=6), st.lists(names, unique=True, max_size=6))
def test_set_f1_is_the_harmonic_mean_of_precision_and_recall(truth: list[str], answer: list[str]) -> None:
    hits = len(set(truth) & set(answer))
    if hits:
        precision, recall = hits / len(answer), hits / len(truth)
        assert set_f1(truth, answer) == pytest.approx(2 * precision * recall / (precision + recall))
    else:
        assert set_f1(truth, answer) == float(not truth and not answer)


@given(st.lists(st.integers(0, 4), min_size=2, max_size=30), st.data())
def test_the_adjusted_rand_index_is_scikit_learns_clipped_at_0(first: list[int], data: st.DataObject) -> None:
    second = data.draw(st.lists(st.integers(0, 4), min_size=len(first), max_size=len(first)))
    assert adjusted_rand(first, second) == pytest.approx(max(0.0, adjusted_rand_score(first, second)), abs=1e-12)


@given(st.permutations(["a", "b", "c", "d", "e"]), st.permutations([["a", "b"], ["c", "d"], ["e"]]))
def test_a_partition_does_not_depend_on_the_order_of_groups_or_names(order: list[str], groups: list[list[str]]) -> None:
    arranged = [sorted(group, key=order.index) for group in groups]
    assert partition([["a", "b"], ["c", "d"]], arranged) == 1


@pytest.mark.parametrize(
    ("actual", "score"),
    [
        ([["a", "b"], ["c", "d"]], 1),
        ([["a", "b"], ["c"], ["d"]], pytest.approx(0.5714, abs=1e-4)),
        ([["a", "b", "c", "d"]], 0),
        ([["a", "c"], ["b", "d"]], 0),
        ([], 0),
        ([["a", "b"], ["c", "d"], ["x"]], 1),
        ("ab", 0),
        ([["a", "b"], "cd"], 0),
        ([["a", "b"], ["c", "d", "a"]], 1),
    ],
    ids=str,
)
def test_partition_against_two_pairs(actual: Any, score: Any) -> None:
    assert partition([["a", "b"], ["c", "d"]], actual) == score


def test_two_empty_partitions_agree() -> None:
    assert partition([], []) == 1
    assert partition([], [["a"]]) == 1
    assert partition([], [["a", "b"]]) == 0


# --- normalisation ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("lower", "AbC", "abc"),
        ("strip", " a b\n", "a b"),
        ("basename", "src/a\\b.py", "b.py"),
        ("no_parens", "f(x, y)", "f"),
        ("last_name", "pkg.Class.method", "method"),
        ("last_name", "file.py:f", "f"),
        ("collapse", " a \t b\n", "a b"),
    ],
)
def test_normalisations(name: str, before: str, after: str) -> None:
    assert NORMALISATIONS[name](before) == after


@given(st.text(), st.sampled_from(sorted(NORMALISATIONS)))
def test_normalising_twice_is_normalising_once(text: str, name: str) -> None:
    once = NORMALISATIONS[name](text)
    if name != "lower":  # `İ`.lower() has a combining dot, but lower() itself is stable from there on
        assert NORMALISATIONS[name](once) == once


@given(st.lists(names), st.lists(st.sampled_from(sorted(NORMALISATIONS)), max_size=3))
def test_normalisation_applies_to_both_sides(items: list[str], rules: list[str]) -> None:
    assert set_f1(items, items, normalise=rules) == 1


def test_normalisation_lets_other_spellings_count() -> None:
    assert set_f1(["parse"], [" Reader.parse(text) "], normalise=["strip", "no_parens", "last_name"]) == 1


# --- the score of an answer ---------------------------------------------------------------------------------------

RULES = [
    {"field": "names", "scorer": "set_f1", "weight": 2.0, "normalise": ["lower"]},
    {"field": "risk", "scorer": "choice", "weight": 1.0},
    {"field": "count", "scorer": "number", "tolerance": 1.0},
]
TRUTH = {"names": ["a", "b"], "risk": "HIGH", "count": 3}


@pytest.mark.parametrize(
    ("answer", "score"),
    [
        (TRUTH, 1),
        ({"names": ["A"], "risk": "low", "count": 4}, (2 * 2 / 3 + 0 + 1) / 4),
        ({"names": ["a", "b"]}, 0.5),
        ({}, 0),
        ("HIGH", 0),
    ],
)
def test_a_score_is_the_weighted_mean_of_its_fields(answer: Any, score: float) -> None:
    assert score_answer(answer, TRUTH, RULES) == pytest.approx(score)


def test_field_scores_are_told_apart() -> None:
    assert score_fields({"risk": "high"}, TRUTH, RULES) == {"names": 0, "risk": 1, "count": 0}


@given(st.lists(st.floats(0.01, 100), min_size=3, max_size=3), json_values)
def test_a_score_stays_within_bounds_for_any_weights(weights: list[float], answer: Any) -> None:
    rules = [rule | {"weight": weight} for rule, weight in zip(RULES, weights, strict=True)]
    score = score_answer({"names": answer, "risk": answer, "count": answer}, TRUTH, rules)
    assert score is not None
    assert 0 <= score <= 1 + 1e-12


def test_without_truth_there_is_no_score() -> None:
    assert score_answer({"risk": "HIGH"}, None, RULES) is None
    assert score_answer({"risk": "HIGH"}, TRUTH, []) is None


def test_a_scorer_is_one_decorated_function() -> None:
    @scorer("test_length")
    def length(expected: Any, actual: Any) -> float:
        return float(len(expected) == len(actual))

    assert score_answer({"f": "xy"}, {"f": "ab"}, [{"field": "f", "scorer": "test_length"}]) == 1


# --- parsing ------------------------------------------------------------------------------------------------------


@given(json_values)
def test_json_is_read_bare_and_fenced(value: Any) -> None:
    text = json.dumps(value)
    expected = json.loads(text)
    assert parse_answer(text) == expected
    if "```" not in text:
        assert parse_answer(f"Here you are:\n```json\n{text}\n```\nBye.") == expected
        assert parse_answer(f"```{text}```") == expected


@pytest.mark.parametrize(
    "response",
    [
        None,
        "",
        "  ",
        "red",
        '{"a": 1',
        '{"a": NaN}',
        "{'a': 1}",
        "```json\nnothing\n```",
        "9" * 5000,
        r'"\ud83d"',
        "\ud83d",
        "[" * 100_000,
    ],
    ids=lambda text: repr(text)[:20],
)
def test_what_is_not_json_is_no_answer(response: str | None) -> None:
    assert parse_answer(response) is None


def test_an_answer_nested_too_deeply_is_no_answer() -> None:
    assert parse_answer("[" * (MAX_DEPTH - 1) + "]" * (MAX_DEPTH - 1)) is not None
    assert parse_answer("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1)) is None


@given(st.text() | st.text('[]{}",:0123456789eE.-\\u\ud800d`\n', max_size=30))
def test_any_answer_can_be_stored(response: str) -> None:
    value = parse_answer(response)
    assert msgspec.json.decode(msgspec.json.encode(value)) == value


@pytest.mark.parametrize("piece", [" ", "`", "``` ", '{"a":', "\n"])
def test_a_long_answer_is_read_in_linear_time(piece: str) -> None:
    """In time that grows with its square, this would take hours."""
    assert parse_answer("```" + piece * (1_000_000 // len(piece))) is None
