"""Approaches and prompts: all arms ask the same question; they differ in the context and in nothing else."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from ai_dev_tools.benchmark.errors import ConfigurationError, ToolError
from ai_dev_tools.benchmark.prompts import Prompt, read_prompts, write_prompts
from ai_dev_tools.benchmark.prompts.approaches import (
    APPROACHES,
    DEFAULT_APPROACHES,
    CaseInputs,
    Context,
    approach,
    build_context,
    find_approach,
)
from ai_dev_tools.benchmark.prompts.rendering import compose, render_prompts
from ai_dev_tools.benchmark.prompts.tool_results import ToolResult
from ai_dev_tools.benchmark.tasks.loading import Task, load_task
from support.making import SCHEMA, case, prompt, write_task

texts = st.dictionaries(st.text("abc./", min_size=1, max_size=5), st.text(max_size=200), min_size=1, max_size=4)
lines = st.lists(st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), max_size=12), max_size=10)


def result(text: str, tool: str = "echo", **changed: Any) -> ToolResult:
    fields: dict[str, Any] = {"case": "one", "tool": tool, "version": "1", "digest": "d", "status": "ok", "text": text}
    return ToolResult(**fields | changed)


def material(files: dict[str, str] | None = None, **tools: str) -> CaseInputs:
    found = {name: result(text, name, wall_s=0.5) for name, text in tools.items()}
    other = {name: result(f"other {text}", name, case="two") for name, text in tools.items()}
    return CaseInputs(case="one", texts=files or {"a.py": "x = 1\n"}, findings=found, tools=tuple(tools), other=other)


def context(name: str, given: CaseInputs) -> Context:
    return build_context(find_approach(name, given.findings), given)


# --- arms ---------------------------------------------------------------------------------------------------------


def test_the_built_in_arms() -> None:
    assert set(APPROACHES) == {"baseline", "tools", "no_context", "excerpt", "shuffled", "mismatched"}
    assert set(DEFAULT_APPROACHES) == {"baseline", "tools", "no_context"}
    assert all(arm.description for arm in APPROACHES.values())


def test_baseline_shows_each_file_in_order_under_its_path() -> None:
    shown = context("baseline", material({"b.py": "b = 1\n\n", "a.py": "a = 1\n"}, echo="found"))
    assert shown == Context("### b.py\n```\nb = 1\n```\n\n### a.py\n```\na = 1\n```", 0)


@given(st.text("`~# ab\n", max_size=60))
def test_no_fence_inside_a_file_ends_the_block_that_shows_it(text: str) -> None:
    shown = context("baseline", material({"a.md": text, "b.py": "b = 1\n"})).text
    blocks = [token.content for token in MarkdownIt().parse(shown) if token.type == "fence"]
    assert blocks == [f"{text.rstrip()}\n", "b = 1\n"]


def test_tools_shows_what_each_tool_says_and_counts_its_time() -> None:
    shown = context("tools", material(ruff="r", bandit="b"))
    assert shown == Context("### ruff\nr\n\n### bandit\nb", 1.0)


def test_a_named_tool_is_shown_alone() -> None:
    given = material(ruff="r", bandit="b")
    assert context("tools-bandit", given) == Context("### bandit\nb", 0.5)


def test_no_context_has_no_context_and_costs_nothing() -> None:
    assert context("no_context", material(echo="found")) == Context(None, 0)


@given(texts, st.text(max_size=300))
def test_an_excerpt_is_a_piece_of_the_raw_files_as_long_as_the_findings(files: dict[str, str], found: str) -> None:
    given_material = material(files, echo=found)
    raw = context("baseline", given_material).text or ""
    cut = context("excerpt", given_material).text or ""
    assert cut in raw
    assert len(cut) == min(len(raw), len(context("tools", given_material).text or ""))


def test_an_excerpt_starts_at_a_line_is_always_the_same_and_differs_between_cases() -> None:
    files = {"a.py": "".join(f"line {number}\n" for number in range(300))}
    cuts = set()
    for name in ("one", "two", "three"):
        given_material = CaseInputs(name, files, {"echo": result("x" * 90)}, ("echo",))
        cut = context("excerpt", given_material)
        assert cut == context("excerpt", given_material)
        assert cut.tool_s == 0
        assert (cut.text or "").startswith(("line", "#", "`", "\n"))
        cuts.add(cut.text)
    assert len(cuts) == 3


@given(lines)
def test_shuffled_is_a_permutation_of_the_lines(found: list[str]) -> None:
    given_material = material(echo="\n".join(found))
    before, after = context("tools", given_material), context("shuffled", given_material)
    assert sorted((after.text or "").splitlines()) == sorted((before.text or "").splitlines())
    assert after.tool_s == before.tool_s


def test_shuffled_really_shuffles() -> None:
    given_material = material(echo="\n".join(str(number) for number in range(50)))
    assert context("shuffled", given_material).text != context("tools", given_material).text


def test_mismatched_shows_the_other_case() -> None:
    assert context("mismatched", material(echo="found")).text == "### echo\nother found"


def test_mismatched_needs_another_case() -> None:
    alone = CaseInputs("one", {}, {"echo": result("x")}, ("echo",))
    with pytest.raises(ConfigurationError, match="needs a second case"):
        context("mismatched", alone)


@pytest.mark.parametrize("name", ["tools", "tools-echo", "excerpt", "shuffled"])
def test_a_failed_tool_fails_the_arms_that_need_it(name: str) -> None:
    broken = CaseInputs("one", {"a.py": "x"}, {"echo": result("", status="failed", error="echo crashed")}, ("echo",))
    with pytest.raises(ToolError, match="echo crashed"):
        context(name, broken)
    assert context("baseline", broken).text
    assert context("no_context", broken).text is None


def test_custom_contexts() -> None:
    own = CaseInputs("one", {}, {}, (), given={"baseline": "long", "tools": "short"})
    assert context("baseline", own) == Context("long")
    assert context("no_context", own) == Context(None)
    with pytest.raises(ConfigurationError, match="case 'one' has no context for approach 'shuffled'"):
        context("shuffled", own)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("baselin", "unknown approach 'baselin', did you mean 'baseline'"),
        ("tools-bandt", "unknown tool 'bandt' in approach 'tools-bandt', did you mean 'bandit'"),
        ("zzz", "unknown approach 'zzz', valid: agent, agent-bandit"),
    ],
)
def test_an_unknown_arm_names_the_nearest(name: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        find_approach(name, {"bandit": None})


def test_an_arm_is_one_decorated_function() -> None:
    @approach("names_only", "file names alone")
    def names_only(given: CaseInputs) -> Context:
        return Context(" ".join(given.texts))

    assert context("names_only", material({"a.py": "x", "b.py": "y"})).text == "a.py b.py"


# --- prompts ------------------------------------------------------------------------------------------------------


def rendered(
    task: Task, folder: Path, arms: Iterable[str] = APPROACHES, **broken: str
) -> dict[tuple[str, str], Prompt]:
    contexts = {
        "echo": {
            item.id: result("", case=item.id, status="failed", error=broken[item.id], wall_s=2.0)
            if item.id in broken
            else result(f"found in {item.id}", case=item.id, wall_s=0.25)
            for item in task.cases
        }
    }
    rows = render_prompts(task, contexts, [find_approach(name, contexts) for name in arms], folder)
    assert [(row.case, row.approach) for row in rows] == [(c.id, a) for c in task.cases for a in arms]
    return {(row.case, row.approach): row for row in rows}


def test_all_arms_ask_in_the_same_words(tmp_path: Path) -> None:
    rows = rendered(load_task(write_task(tmp_path)), tmp_path)
    floor = rows["one", "no_context"].prompt
    assert floor is not None
    assert floor.startswith("## Question\n\nWhich colour has the sky?")
    assert json.dumps(SCHEMA, separators=(",", ":")) in floor
    for (case_id, arm), row in rows.items():
        assert row.prompt is not None
        if case_id == "one" and arm != "no_context":
            assert row.prompt.endswith(f"\n\n{floor}")
            assert row.prompt.startswith("## Context\n\n")


def test_a_row_holds_all_that_asking_and_scoring_need(tmp_path: Path) -> None:
    folder = write_task(tmp_path, case("one", tool_states_answer=True, cluster="c", size="L"), timeout=7)
    row = rendered(load_task(folder), tmp_path, ["tools"])["one", "tools"]
    assert (row.cluster, row.size, row.stratum, row.timeout_s, row.tool_s) == ("c", "L", "tool_states_answer", 7, 0.25)
    assert (row.truth, row.answer_schema, row.error) == ({"colour": "red"}, SCHEMA, None)
    assert row.scoring == [{"field": "colour", "scorer": "choice", "weight": 1.0}]
    assert row.prompt_sha256 == hashlib.sha256((row.prompt or "").encode()).hexdigest()


def test_a_prompt_without_context_differs_from_one_with_an_empty_context() -> None:
    assert compose("Q?", None, {}) != compose("Q?", "", {})


def test_a_tool_that_failed_is_an_error_row_of_that_case_alone(tmp_path: Path) -> None:
    rows = rendered(load_task(write_task(tmp_path)), tmp_path, ["baseline", "tools"], two="echo crashed")
    failed = rows["two", "tools"]
    assert failed.prompt is None
    assert failed.error is not None
    assert (failed.error.class_, failed.error.message, failed.tool_s) == ("tool", "echo crashed", 2.0)
    assert all(row.error is None for key, row in rows.items() if key != ("two", "tools"))


def test_mismatched_findings_never_come_from_the_same_cluster(tmp_path: Path) -> None:
    clusters = {"a": "x", "b": "x", "c": "y", "d": "y", "e": "x", "f": "z"}
    task = load_task(write_task(tmp_path, *(case(name, cluster=cluster) for name, cluster in clusters.items())))
    for (case_id, _), row in rendered(task, tmp_path, ["mismatched"]).items():
        shown = (row.prompt or "").split("found in ")[1][0]
        assert clusters[shown] != clusters[case_id]


def test_mismatched_findings_come_from_a_case_on_which_no_tool_failed(tmp_path: Path) -> None:
    task = load_task(write_task(tmp_path, *(case(name) for name in ("a", "b", "c"))))
    rows = rendered(task, tmp_path, ["mismatched"], b="echo crashed")
    assert "found in c" in (rows["a", "mismatched"].prompt or "")
    assert all(row.error is None for row in rows.values())


def test_the_tools_that_are_judged_stand_behind_the_controls(tmp_path: Path) -> None:
    task = load_task(write_task(tmp_path, case("one")))
    contexts = {name: {"one": result(f"{name} says", name)} for name in ("echo", "grep")}
    arms = [find_approach(name, contexts) for name in ("tools", "shuffled", "tools-echo")]
    shown = {row.approach: row.prompt or "" for row in render_prompts(task, contexts, arms, tmp_path, ["grep"])}
    assert "grep says" in shown["tools"]
    assert "grep says" in shown["shuffled"]
    assert "grep says" not in shown["tools-echo"]


def test_a_missing_corpus_skips_all_arms_of_the_case(tmp_path: Path) -> None:
    folder = write_task(tmp_path, case("one", source="corpus:flask"), case("two"))
    rows = rendered(load_task(folder), tmp_path / "none")
    assert {row.error.class_ for row in rows.values() if row.error and row.case == "one"} == {"corpus"}
    assert all(row.prompt is None for row in rows.values() if row.case == "one")
    assert all(row.error is None for row in rows.values() if row.case == "two")


def test_changing_one_case_changes_its_prompts_and_no_others(tmp_path: Path) -> None:
    folder = write_task(tmp_path)
    before = rendered(load_task(folder), tmp_path, ["baseline", "no_context"])
    (folder / "sources" / "two" / "app.py").write_text("y = 2\n")
    after = rendered(load_task(folder), tmp_path, ["baseline", "no_context"])
    assert {key for key in before if before[key] != after[key]} == {("two", "baseline")}


prompts_ = st.builds(
    lambda text, tool_s, truth: prompt("one", "tools", text, tool_s=tool_s, truth=truth),
    st.text(st.characters(exclude_categories=["Cs"])),
    st.floats(0, 100),
    st.none() | st.dictionaries(st.text(max_size=3), st.lists(st.text(max_size=4), max_size=3), max_size=3),
)


@given(prompts_)
def test_prompts_survive_writing_and_reading(tmp_path_factory: pytest.TempPathFactory, row: Prompt) -> None:
    path = tmp_path_factory.getbasetemp() / "prompts.jsonl"
    path.write_bytes(msgspec.json.encode(row) + b"\n")
    assert read_prompts(path) == {("one", "tools"): row}


def test_a_prompts_file_is_written_whole(tmp_path: Path) -> None:
    rows = [prompt("one", "baseline"), prompt("one", "tools", "ä\u2028b")]
    write_prompts(tmp_path / "p.jsonl", rows)
    assert list(read_prompts(tmp_path / "p.jsonl").values()) == rows


@pytest.mark.parametrize("content", [None, b"nonsense\n", b"{}\n", b"\xff\n"])
def test_a_damaged_prompts_file_says_what_to_do(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "prompts.jsonl"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"prompts.jsonl cannot be read .* Delete it; it is made again"):
        read_prompts(path)
