"""The ledger of plans: entries are only ever appended, and an entry that was changed afterwards is noticed."""

from __future__ import annotations

import errno
import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_dev_tools.benchmark.errors import ConfigurationError
from ai_dev_tools.benchmark.records.plan import Claim, DeclaredPlan, Plan, declare_plan, parse_plans, read_plans, up_to
from support.repository import ROOT

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
STORED = ROOT / "tests" / "recorded" / "plans" / "plans.jsonl"
"""A ledger of version 1.0: its first plan is of the time before `rules`, `contents` and `tools`."""


def plan_of(**changed: Any) -> Plan:
    return Plan.from_content(PLAN | changed)


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    return tmp_path / "light" / "plans.jsonl"


def test_the_hash_is_what_the_documentation_says() -> None:
    text = json.dumps(PLAN, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert plan_of().digest == hashlib.sha256(text.encode()).hexdigest()[:16]
    assert Plan.from_content(dict(reversed(PLAN.items()))).digest == plan_of().digest


def test_the_lines_of_a_stored_ledger_are_read_and_written_byte_for_byte() -> None:
    """What an older version declared keeps its hash, and the next line its link."""
    lines = STORED.read_text().splitlines()
    plans = read_plans(STORED)
    assert [json.dumps(plan.row(), ensure_ascii=False) for plan in plans] == lines
    assert [Plan.from_content(plan.content()).digest for plan in plans] == [plan.plan for plan in plans]
    oldest = plans[0]
    assert (oldest.rules, oldest.single_source, oldest.contents, oldest.tools) == (1, (), {}, {})


def test_a_stored_ledger_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "plans.jsonl"
    path.write_bytes(STORED.read_bytes())
    assert not declare_plan(path, Plan.from_content(read_plans(path)[1].content())), "it is there already"
    assert declare_plan(path, plan_of())
    assert path.read_bytes().startswith(STORED.read_bytes())
    assert [plan.plan for plan in read_plans(path)][:-1] == [plan.plan for plan in read_plans(STORED)]


@given(st.sampled_from(["single_source", "contents", "tools", "rules", "protocol", "options", "quality", "alpha"]))
def test_what_was_not_said_is_not_hashed(name: str) -> None:
    """Each field that an older version may lack has a default, which must not change the plan's hash."""
    said = read_plans(STORED)[-1].content()
    less = {key: value for key, value in said.items() if key != name}
    text = json.dumps(less, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert Plan.from_content(less).digest == hashlib.sha256(text.encode()).hexdigest()[:16]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"samples": "3"}, "'samples'"),
        ({"samples": 0}, "'samples'"),
        ({"models": "m"}, "'models'"),
        ({"claims": [{"id": "x", "endpoint": "fun", "approach": "a"}]}, "'claims.0.endpoint'"),
        ({"prices": {"currency": "USD", "models": {"m": {"input": -1.0}}}}, "'prices.models.m.input'"),
        ({"prices": {"currency": "dollars", "models": {}}}, "'prices.currency'"),
        ({"alpha": True}, "'alpha'"),
        ({"tasks": ["a"]}, "'tasks'"),
    ],
    ids=str,
)
def test_a_field_of_another_type_is_one_line(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError, match=f"plan 1 of the ledger: {said}: ") as caught:
        parse_plans([json.dumps({"plan": "x"} | PLAN | wrong)])
    assert "\n" not in str(caught.value)


def test_a_newer_plan_may_say_more_and_restates_an_older_one() -> None:
    older, newer = plan_of(), plan_of(rules=2, contents={"colours": {"a": "1"}})
    assert newer.restates(older)
    assert not older.restates(newer)
    assert not plan_of(rules=2, samples=4).restates(older)
    assert parse_plans([json.dumps({"plan": "x", "later": 1} | PLAN)])[0].samples == 3


@pytest.mark.parametrize("change", CHANGES, ids=str)
def test_whatever_is_planned_otherwise_is_another_plan(change: dict[str, Any]) -> None:
    assert plan_of(**change).digest != plan_of().digest


def test_without_a_ledger_there_are_no_plans(ledger: Path) -> None:
    assert read_plans(ledger) == []


def test_a_claim_keeps_its_name_in_the_ledger_so_that_a_plan_keeps_its_hash() -> None:
    claim = Claim(id="tokens:tools", outcome="tokens", approach="tools", reference="baseline", margin_ratio=0.95)
    assert plan_of().claims == (claim,)
    assert plan_of().model_copy(update={"claims": (claim,)}).digest == plan_of().digest


def test_a_plan_is_declared_once(ledger: Path) -> None:
    assert declare_plan(ledger, plan_of())
    first = ledger.read_bytes()
    assert not declare_plan(ledger, plan_of())
    assert ledger.read_bytes() == first
    (entry,) = read_plans(ledger)
    assert entry.plan == plan_of().digest
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", entry.declared_at or "")
    assert entry.content() == PLAN


def test_later_plans_go_behind_earlier_ones(ledger: Path) -> None:
    plans = [plan_of(), *(plan_of(**change) for change in CHANGES)]
    before = b""
    for plan in plans:
        declare_plan(ledger, plan)
        assert ledger.read_bytes().startswith(before)
        before = ledger.read_bytes()
    assert [entry.plan for entry in read_plans(ledger)] == [plan.digest for plan in plans]


@pytest.mark.parametrize("change", [*CHANGES, {"plan": "0" * 16}, {"extra": 1}], ids=str)
def test_an_entry_that_was_changed_afterwards_is_noticed(change: dict[str, Any], ledger: Path) -> None:
    declare_plan(ledger, plan_of(samples=1))
    declare_plan(ledger, plan_of())
    first, second = ledger.read_text().splitlines()
    ledger.write_text(f"{first}\n{json.dumps(json.loads(second) | change)}\n")
    with pytest.raises(
        ConfigurationError, match=r"plans.jsonl line 2 is not a plan, or was changed after it was declared"
    ):
        read_plans(ledger)
    with pytest.raises(ConfigurationError, match="Restore the file"):
        declare_plan(ledger, plan_of(samples=99))


@pytest.mark.parametrize("line", [b"", b"{}", b"[]", b"1", b"nonsense", b"\xff\xfe", b'{"plan": 1}'])
def test_a_line_that_is_no_entry_is_one_line(line: bytes, ledger: Path) -> None:
    ledger.parent.mkdir()
    ledger.write_bytes(line + b"\n")
    with pytest.raises(ConfigurationError, match="line 1 is not a plan"):
        read_plans(ledger)


def test_no_line_can_be_taken_out_or_moved(ledger: Path) -> None:
    for samples in (1, 2, 3):
        declare_plan(ledger, plan_of(samples=samples))
    first, second, third = ledger.read_bytes().splitlines(keepends=True)
    for forged in (second + third, first + third, second + first + third):
        ledger.write_bytes(forged)
        with pytest.raises(ConfigurationError, match="is not a plan, or was changed after it was declared"):
            read_plans(ledger)


def test_a_run_is_judged_by_its_own_plan_though_others_were_declared_since() -> None:
    ledger = [DeclaredPlan.from_content(PLAN | {"plan": name}) for name in ("first", "second", "third")]
    assert up_to(ledger, "second") == ledger[:2]
    assert up_to(ledger, "third") == ledger
    assert up_to(ledger, None) == up_to(ledger, "unknown") == ledger


def test_a_ledger_that_cannot_be_read_or_written_is_one_line(ledger: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert declare_plan(ledger, plan_of())

    def refused(path: Path) -> None:
        raise PermissionError(errno.EROFS, "Read-only file system", str(path))

    monkeypatch.setattr(Path, "touch", refused)
    with pytest.raises(ConfigurationError, match=r"cannot write .*: Read-only file system"):
        declare_plan(ledger, plan_of())
    ledger.unlink()
    ledger.mkdir()
    with pytest.raises(ConfigurationError, match=r"cannot read .*: Is a directory"):
        read_plans(ledger)
