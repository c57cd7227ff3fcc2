"""Runs that grow: which samples of earlier plans count, what each change does to a claim, and what nobody can pick."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_dev_tools.benchmark.analysis.continuity import departures, foreseen, times
from ai_dev_tools.benchmark.analysis.plan_in_force import looks_of
from ai_dev_tools.benchmark.records.plan import DeclaredPlan
from support.invented import entry, invent, verdicts

Entry = dict[str, Any]


def decide(samples: pd.DataFrame, plans: list[Entry]) -> pd.Series[Any]:
    """The primary verdict on tokens; labels need no bootstrap."""
    table = verdicts(samples, [DeclaredPlan.from_content(plan) for plan in plans], resamples=0)
    return table[(table["outcome"] == "tokens") & (table["task"] == "(all)")].iloc[0]


def grown(samples: pd.DataFrame, earlier: pd.Series, **smaller: Any) -> tuple[pd.DataFrame, list[Entry]]:
    """Samples of which some were asked under the plan p1, the rest under p2; and the ledger of both."""
    samples = samples.assign(plan=["p1" if first else "p2" for first in earlier])
    return samples, [entry(samples[earlier.to_numpy()], plan="p1", **smaller), entry(samples, plan="p2")]


def more_samples() -> tuple[pd.DataFrame, list[Entry]]:
    samples = invent(n=24, cases=24)
    every = entry(samples)["tasks"]
    return grown(samples, samples["sample"] < 14, tasks={task: in_order(samples, task) for task in every})


def in_order(samples: pd.DataFrame, task: str) -> list[str]:
    here = samples[samples["task"] == task].sort_values("sample")
    return list(dict.fromkeys(here["case"]))


def ledger(samples: pd.DataFrame, plans: list[Entry]) -> list[Entry]:
    """The plans with the cases of each task in the order in which they were asked."""
    return [plan | {"tasks": {task: in_order(samples, task) for task in plan["tasks"]}} for plan in plans]


def one_more(column: str) -> tuple[pd.DataFrame, list[Entry]]:
    """A run that one more task, model or arm was added to."""
    more: dict[str, Any] = {
        "task": {"tasks": ("a", "b", "c", "d")},
        "model": {"models": ("m1", "m2")},
        "approach": {"approaches": ("baseline", "no_context", "tools", "tools-x")},
    }
    samples = invent(n=24, **more[column])
    return grown(samples, ~samples[column].isin(["d", "m2", "tools-x"]))


# ------------------------------------------------------------------------------------------------- what counts


@pytest.mark.parametrize(
    ("grow", "said"),
    [
        (more_samples, "10 more samples per task and arm"),
        (lambda: one_more("task"), "task 'd'"),
        (lambda: one_more("model"), "model 'm2'"),
        (lambda: one_more("approach"), "arm 'tools-x'"),
    ],
    ids=["samples", "task", "model", "tool"],
)
def test_what_was_asked_before_counts_at_the_second_look(
    grow: Callable[[], tuple[pd.DataFrame, list[Entry]]], said: str
) -> None:
    samples, plans = grow()
    row = decide(samples, plans=ledger(samples, plans))
    assert (row["label"], row["verdict"], row["look"]) == ("planned", "saves", 2)
    assert row["alpha"] == 0.05 / 4
    assert "samples count from plan p1, which this one continues" in row["sentence"]
    assert said in row["reasons"]


def test_a_model_or_a_claim_that_was_added_has_its_first_look_next_to_the_others_second() -> None:
    samples, plans = one_more("model")
    table = verdicts(samples, [DeclaredPlan.from_content(plan) for plan in plans], resamples=0)
    primary = table[(table["task"] == "(all)") & (table["outcome"] == "tokens")].set_index("models")
    assert primary["look"].to_dict() == {"m1": 2, "m2": 1}
    assert set(primary["verdict"]) == {"saves"}


def test_looks_count_for_each_claim_and_not_for_plans_of_other_tools() -> None:
    _, plans = one_more("model")
    first, last = (DeclaredPlan.from_content(plan) for plan in plans)
    claims = tuple(claim.model_copy(update={"approach": "tools-x"}) for claim in first.claims)
    other = first.model_copy(update={"plan": "p0", "claims": claims})
    assert looks_of(last, [other, first]) == {
        (claim.id, model): look for claim in last.claims for model, look in (("m1", 2), ("m2", 1))
    }


def test_a_plan_in_between_that_was_never_judged_pays_too() -> None:
    samples, (first, last) = more_samples()
    between = first | {"plan": "p1b", "samples": 15}
    row = decide(samples, plans=ledger(samples, [first, between, last]))
    assert (row["label"], row["look"], row["alpha"]) == ("planned", 3, 0.05 / 8)


def test_samples_that_no_plan_foresaw_make_it_exploratory() -> None:
    """More were asked than the earlier plan said, or under a plan that is not in this ledger."""
    samples, plans = more_samples()
    shorter = [plans[0] | {"samples": 12}, plans[1]]
    row = decide(samples, plans=ledger(samples, shorter))
    assert (row["label"], row["verdict"]) == ("exploratory", "inconclusive")
    assert "18 of 216 samples are older than the plan, and no earlier plan foresaw them" in row["reasons"]
    assert decide(samples, plans=ledger(samples, plans[1:]))["label"] == "exploratory"


# ------------------------------------------------------------------------------------------------- what nobody can pick


def _claims(plan: Entry, **change: Any) -> Entry:
    return plan | {"claims": [claim | change for claim in plan["claims"]]}


PICKS: dict[str, tuple[Callable[[Entry], Entry], str]] = {
    "drop a task": (lambda p: p | {"tasks": {t: c for t, c in p["tasks"].items() if t != "c"}}, "task 'c' is left out"),
    "drop a model": (lambda p: p | {"models": ["m1"]}, "model 'm2' is left out"),
    "drop a control": (lambda p: p | {"approaches": ["baseline", "no_context", "tools"]}, "arm 'excerpt' is left out"),
    "drop a claim": (lambda p: p | {"claims": p["claims"][:1]}, "claim time:tools is left out"),
    "drop cases": (
        lambda p: p | {"tasks": p["tasks"] | {"a": [*p["tasks"]["a"][1:], "new"]}},
        "case 'a0' of task 'a' is left out",
    ),
    "fewer samples": (lambda p: p | {"samples": 10}, "10 samples per task and arm instead of 16"),
    "another margin": (
        lambda p: _claims(p, margin_ratio=0.99),
        "margin_ratio of claim tokens:tools is 0.99 instead of",
    ),
    "another reference": (lambda p: _claims(p, reference="excerpt"), "reference of claim tokens:tools is excerpt"),
    "another quality margin": (
        lambda p: p | {"quality": p["quality"] | {"margin": 0.3}},
        "quality.margin is 0.3 instead of 0.1",
    ),
    "another level": (lambda p: p | {"alpha": 0.2}, "alpha is 0.2 instead of 0.05"),
    "another temperature": (lambda p: p | {"options": {"temperature": 1}}, "options.temperature is 1 instead of None"),
    "other requests": (lambda p: p | {"protocol": 2}, "the protocol is 2 instead of 1"),
    "other questions": (
        lambda p: p | {"contents": {"a": {"a0": "other"}}},
        "question, files or truth of case 'a0' of task 'a' changed",
    ),
    "one project or many": (lambda p: p | {"single_source": ["a"]}, "single_source of task 'a' changed"),
}


@pytest.fixture(scope="module")
def everything() -> pd.DataFrame:
    return invent(n=16, models=("m1", "m2"), approaches=("baseline", "excerpt", "no_context", "tools"))


@pytest.mark.parametrize("pick", PICKS)
def test_what_is_left_out_or_changed_after_the_fact_is_exploratory_and_named(
    pick: str, everything: pd.DataFrame
) -> None:
    change, said = PICKS[pick]
    first = ledger(everything, [entry(everything, contents={"a": {"a0": "one"}})])[0]
    later = change(first | {"plan": "p2"})
    row = decide(everything, plans=[first, later])
    assert row["label"] in ("exploratory", "interim")
    assert row["verdict"] == "inconclusive"
    assert f"plan p1 is not continued: {said}" in row["reasons"]
    assert row["look"] == 2


@pytest.mark.parametrize("pick", PICKS)
def test_fresh_samples_may_follow_another_plan_but_the_reader_is_told_and_the_look_is_paid(
    pick: str, everything: pd.DataFrame
) -> None:
    change, said = PICKS[pick]
    first = ledger(everything, [entry(everything, contents={"a": {"a0": "one"}})])[0]
    later = change(first | {"plan": "p2"})
    row = decide(everything.assign(plan="p2"), plans=[first, later])
    assert row["label"] == ("interim" if pick == "drop cases" else "planned")
    assert row["look"] == 2
    assert f"plan p1 is not continued: {said}" in row["reasons"]


def test_a_task_that_went_badly_cannot_be_left_out_by_way_of_a_plan_in_between() -> None:
    """p1: a; p2: a and b; p3: more of a alone. It continues p1, but p2 showed how b went."""
    samples = invent(n=24, tasks=("a", "b"))
    first = entry(samples[(samples["task"] == "a") & (samples["sample"] < 14)], plan="p1", samples=14)
    second = entry(samples[samples["sample"] < 14], plan="p2", samples=14)
    third = entry(samples[samples["task"] == "a"], plan="p3")
    samples["plan"] = ["p1" if s < 14 else "p3" for s in samples["sample"]]
    plans = ledger(samples, [first, second, third])
    row = decide(samples, plans=plans)
    assert row["label"] == "exploratory"
    assert "plan p2 is not continued: task 'b' is left out" in row["reasons"]
    assert decide(samples, plans=[plans[0], plans[2]])["label"] == "planned"


def test_another_name_does_not_make_another_first_look() -> None:
    samples = invent(n=16)
    first = entry(samples, plan="p0")
    renamed = entry(samples) | {"claims": [c | {"id": f"{c['id']} again"} for c in first["claims"]]}
    assert decide(samples, plans=[first, renamed])["look"] == 2


def test_the_plan_of_an_older_version_said_again_by_this_one_is_the_same_look() -> None:
    samples = invent(n=16)
    old = {name: value for name, value in entry(samples, plan="p1").items() if name != "rules"}
    again = old | {"plan": "p2", "rules": 2, "contents": {"a": {"a0": "1"}}, "tools": {"x": "1"}}
    row = decide(samples, plans=[old, again])
    assert (row["label"], row["verdict"], row["look"]) == ("planned", "saves", 1)
    assert decide(samples, plans=[old, again | {"samples": 15}])["look"] == 2


def test_another_version_of_a_tool_is_another_look_at_the_claim() -> None:
    samples = invent(n=16)
    plans = [entry(samples, plan=p, tools={"x": digest}) for p, digest in (("p0", "1"), ("p1", "2"))]
    samples.loc[samples["approach"] != "tools", "plan"] = "p0"
    row = decide(samples, plans=plans)
    assert (row["label"], row["look"]) == ("planned", 2)
    assert "with another version of tool 'x'" in row["reasons"]


# ------------------------------------------------------------------------------------------------- as properties


@st.composite
def plans_of_one_profile(draw: st.DrawFn) -> DeclaredPlan:
    cases = st.lists(st.sampled_from("tuvwxyz"), min_size=1, unique=True)
    entry = {
        "plan": "p",
        "profile": "light",
        "models": draw(st.lists(st.sampled_from(["m1", "m2"]), min_size=1, unique=True)),
        "tasks": draw(st.dictionaries(st.sampled_from("ab"), cases, min_size=1)),
        "approaches": ["baseline", "tools"],
        "samples": draw(st.integers(1, 9)),
        "claims": [{"id": "tokens:tools", "endpoint": "tokens", "approach": "tools"}],
    }
    return DeclaredPlan.from_content(entry)


def requests(plan: DeclaredPlan) -> set[tuple[str, str, str, int]]:
    return {
        (model, task, case, repeat)
        for model in plan.models
        for task in plan.tasks
        for case, often in times(plan, task).items()
        for repeat in range(often)
    }


@given(plans_of_one_profile(), plans_of_one_profile())
def test_a_plan_is_continued_exactly_when_all_its_requests_are_asked_again(
    one: DeclaredPlan, other: DeclaredPlan
) -> None:
    assert (not departures(one, other)) == (requests(one) <= requests(other) and one.samples <= other.samples)


@given(plans_of_one_profile())
def test_a_plan_foresees_what_it_asks_and_nothing_else(plan: DeclaredPlan) -> None:
    asked = [(m, t, c, r, "tools") for m in ("m1", "m2") for t in "abc" for c in "tuvwxyz" for r in range(10)]
    table = pd.DataFrame(asked, columns=["model", "task", "case", "repeat", "approach"])
    found = {tuple(row)[:4] for row in table[foreseen(plan, table)].itertuples(index=False)}
    assert found == requests(plan)


# ------------------------------------------------------------------------------------------------- advice that comes true


def test_a_run_that_grows_as_its_card_says_mostly_gets_its_verdict() -> None:
    """What could decide is sized for the look at which it will be judged: the next one, at its smaller level."""
    said = []
    for seed in range(10):
        large = invent(n=150, noise=0.2, seed=seed)
        small = large[large["sample"] < 8]
        (first,) = ledger(large, [entry(large, samples=8)])
        card = decide(small, [first])
        assert (card["verdict"], card["label"]) == ("inconclusive", "planned")
        size = int(card["samples_could_decide"])
        grown = large[large["sample"] < size].assign(plan=lambda t: ["p1" if s < 8 else "p2" for s in t["sample"]])
        row = decide(grown, [first, first | {"plan": "p2", "samples": size}])
        assert (row["label"], row["look"]) == ("planned", 2)
        said.append(row["verdict"])
    assert said.count("saves") >= 6


def test_what_could_decide_is_more_at_the_next_look_than_in_this_one() -> None:
    samples = invent(n=8, noise=0.2)
    complete = decide(samples, [entry(samples)])
    waiting = decide(samples, [entry(samples, samples=9)])
    assert (complete["label"], waiting["label"]) == ("planned", "interim")
    assert complete["clusters_could_decide"] > waiting["clusters_could_decide"]


def test_samples_that_name_no_plan_were_foreseen_by_none() -> None:
    samples = invent(n=16)
    samples["plan"] = [None if s < 2 else "p1" for s in samples["sample"]]
    row = decide(samples, [entry(samples)])
    assert row["label"] == "exploratory"
    assert "18 of 144 samples are older than the plan" in row["reasons"]
