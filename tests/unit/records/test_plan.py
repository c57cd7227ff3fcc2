"""The ledger of plans: entries are only ever appended, and an entry that was changed afterwards is noticed."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ai_dev_tools.benchmark.errors import ConfigurationError
from ai_dev_tools.benchmark.records.plan import declare_plan, plan_hash, read_plans, up_to

PLAN: dict[str, Any] = {
    "protocol": 1,
    "profile": "light",
    "models": ["llama3.2:1b"],
    "tasks": {"colours": ["b", "a"]},
    "approaches": ["baseline", "tools"],
    "samples": 3,
    "alpha": 0.05,
    "claims": [
        {"id": "tokens:tools", "endpoint": "tokens", "approach": "tools", "reference": "baseline", "margin_ratio": 0.95}
    ],
    "quality": {"margin": 0.1},
    "options": {"temperature": 0.0},
}
CHANGES: list[dict[str, Any]] = [
    {"samples": 6},
    {"alpha": 0.1},
    {"models": ["llama3.2:3b"]},
    {"tasks": {"colours": ["a", "b"]}},
    {"approaches": ["tools", "baseline"]},
    {"claims": []},
    {"quality": {"margin": 0.2}},
    {"options": {"temperature": 0.5}},
    {"profile": "heavy"},
    {"protocol": 2},
]
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=3)
    ),
    max_leaves=6,
)


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    return tmp_path / "light" / "plans.jsonl"


def test_the_hash_is_what_the_documentation_says() -> None:
    text = json.dumps(PLAN, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert plan_hash(PLAN) == hashlib.sha256(text.encode()).hexdigest()[:16]
    assert plan_hash(dict(reversed(PLAN.items()))) == plan_hash(PLAN)


@pytest.mark.parametrize("change", CHANGES, ids=str)
def test_whatever_is_planned_otherwise_is_another_plan(change: dict[str, Any]) -> None:
    assert plan_hash(PLAN | change) != plan_hash(PLAN)


def test_without_a_ledger_there_are_no_plans(ledger: Path) -> None:
    assert read_plans(ledger) == []


def test_a_plan_is_declared_once(ledger: Path) -> None:
    assert declare_plan(ledger, PLAN)
    first = ledger.read_bytes()
    assert not declare_plan(ledger, PLAN)
    assert ledger.read_bytes() == first
    (entry,) = read_plans(ledger)
    assert entry["plan"] == plan_hash(PLAN)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", entry["declared_at"])
    assert {key: entry[key] for key in PLAN} == PLAN


def test_later_plans_go_behind_earlier_ones(ledger: Path) -> None:
    plans = [PLAN, *(PLAN | change for change in CHANGES)]
    before = b""
    for plan in plans:
        declare_plan(ledger, plan)
        assert ledger.read_bytes().startswith(before)
        before = ledger.read_bytes()
    assert [entry["plan"] for entry in read_plans(ledger)] == [plan_hash(plan) for plan in plans]


@pytest.mark.parametrize("change", [*CHANGES, {"plan": "0" * 16}, {"extra": 1}], ids=str)
def test_an_entry_that_was_changed_afterwards_is_noticed(change: dict[str, Any], ledger: Path) -> None:
    declare_plan(ledger, PLAN | {"samples": 1})
    declare_plan(ledger, PLAN)
    first, second = ledger.read_text().splitlines()
    ledger.write_text(f"{first}\n{json.dumps(json.loads(second) | change)}\n")
    with pytest.raises(ConfigurationError, match=r"plans.jsonl line 2 is not a plan as it was declared"):
        read_plans(ledger)
    with pytest.raises(ConfigurationError, match="Restore the file"):
        declare_plan(ledger, PLAN | {"samples": 99})


@pytest.mark.parametrize("line", [b"", b"{}", b"[]", b"1", b"nonsense", b"\xff\xfe", b'{"plan": 1}'])
def test_a_line_that_is_no_entry_is_one_line(line: bytes, ledger: Path) -> None:
    ledger.parent.mkdir()
    ledger.write_bytes(line + b"\n")
    with pytest.raises(ConfigurationError, match="line 1 is not a plan"):
        read_plans(ledger)


@settings(max_examples=20)
@given(json_values)
def test_any_plan_can_be_declared_and_read_again(tmp_path_factory: pytest.TempPathFactory, value: Any) -> None:
    ledger = tmp_path_factory.mktemp("ledger") / "plans.jsonl"
    declare_plan(ledger, {"claims": value})
    declare_plan(ledger, {"claims": [value]})
    assert [entry["claims"] for entry in read_plans(ledger)] == [value, [value]]
    assert not declare_plan(ledger, {"claims": value})


def test_no_line_can_be_taken_out_or_moved(ledger: Path) -> None:
    for samples in (1, 2, 3):
        declare_plan(ledger, {"samples": samples})
    first, second, third = ledger.read_bytes().splitlines(keepends=True)
    for forged in (second + third, first + third, second + first + third):
        ledger.write_bytes(forged)
        with pytest.raises(ConfigurationError, match="is not a plan as it was declared"):
            read_plans(ledger)


def test_a_run_is_judged_by_its_own_plan_though_others_were_declared_since() -> None:
    ledger = [{"plan": name} for name in ("first", "second", "third")]
    assert up_to(ledger, "second") == ledger[:2]
    assert up_to(ledger, "third") == ledger
    assert up_to(ledger, None) == up_to(ledger, "unknown") == ledger
