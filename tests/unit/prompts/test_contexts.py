"""What tools say of a task's cases: kept while tool and input stay, made again where either changed, failures told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from ai_dev_tools.benchmark.errors import ConfigurationError
from ai_dev_tools.benchmark.prompts.tool_results import ToolResult, collect_contexts, read_contexts, write_contexts
from ai_dev_tools.benchmark.prompts.tool_spec import companions, find_tools
from ai_dev_tools.benchmark.records.row_journal import keeping
from ai_dev_tools.benchmark.tasks.loading import load_task
from support.making import case, tool, undisturbed, write_task


def collected(
    folder: Path, code: str, known: dict[str, ToolResult] | None = None, runs: int = 1, **changed: Any
) -> list[ToolResult]:
    task = load_task(folder / "colours")
    return undisturbed(collect_contexts(task, tool(folder, "-c", code, **changed), folder, known or {}, runs))


def stamped(rows: list[ToolResult]) -> dict[str, ToolResult]:
    return {row.case: row for row in rows}


NOW = "import time; print(time.time_ns())"


def test_results_are_kept_while_tool_and_input_stay(tmp_path: Path) -> None:
    write_task(tmp_path)
    first = collected(tmp_path, NOW)
    assert collected(tmp_path, NOW, stamped(first)) == first


def test_only_the_changed_case_is_run_again(tmp_path: Path) -> None:
    folder = write_task(tmp_path)
    first = collected(tmp_path, NOW)
    (folder / "sources" / "two" / "app.py").write_text("changed")
    second = collected(tmp_path, NOW, stamped(first))
    assert second[0] == first[0]
    assert second[1].text != first[1].text


@pytest.mark.parametrize("changed", [{"template": "T {{ text }}"}, {"accept_exit": (0, 2)}, {"runs": 2}], ids=str)
def test_another_tool_or_another_way_to_run_it_runs_all_again(changed: dict[str, Any], tmp_path: Path) -> None:
    write_task(tmp_path)
    first = collected(tmp_path, NOW)
    second = collected(tmp_path, NOW, stamped(first), **changed)
    assert all(a.text != b.text for a, b in zip(first, second, strict=True))


def test_a_file_next_to_the_tool_belongs_to_it(tmp_path: Path) -> None:
    write_task(tmp_path)
    (tmp_path / "echo_rules" / "deep").mkdir(parents=True)
    rules, script = tmp_path / "echo_rules" / "deep" / "a.yml", tmp_path / "echo_report.py"
    rules.write_text("1")
    script.write_text("1")
    (tmp_path / "other_rules.yml").write_text("1")
    assert companions(tmp_path / "echo.yaml") == [script, rules]
    first = collected(tmp_path, NOW)
    for path in (rules, script):
        path.write_text("2")
        second = collected(tmp_path, NOW, stamped(first))
        assert all(a.digest != b.digest for a, b in zip(first, second, strict=True))
        first = second


def test_a_tool_that_fails_on_one_case_leaves_the_others(tmp_path: Path) -> None:
    write_task(tmp_path)
    rows = collected(tmp_path, "import sys\nif 'two' in open('app.py').read(): sys.exit('cannot')\nprint('fine')")
    assert [(row.case, row.status, row.text, row.error) for row in rows] == [
        ("one", "ok", "fine", None),
        ("two", "failed", "", "echo ended with exit code 1: cannot"),
    ]


def test_a_failed_result_is_tried_again(tmp_path: Path) -> None:
    write_task(tmp_path)
    failed = stamped(collected(tmp_path, "1 / 0"))
    assert collected(tmp_path, "1 / 0", failed)[0].status == "failed"
    switch = tmp_path / "works"
    code = f"import os, sys\nsys.exit(not os.path.exists({str(switch)!r}))"
    failed = stamped(collected(tmp_path, code))
    switch.touch()
    assert [row.status for row in collected(tmp_path, code, failed)] == ["ok", "ok"]


def test_the_median_of_cold_runs_counts(tmp_path: Path) -> None:
    write_task(tmp_path, case("one"))
    (row,) = collected(tmp_path, "print(1)", runs=3)
    assert len(row.runs_wall_s) == 3
    assert row.wall_s == sorted(row.runs_wall_s)[1]
    assert (row.raw_bytes, row.condensed_bytes) == (2, 1)


def test_a_case_whose_corpus_is_missing_is_skipped(tmp_path: Path) -> None:
    write_task(tmp_path, case("one", source="corpus:flask"))
    (row,) = collected(tmp_path, "print(1)")
    assert (row.status, row.error) == ("skipped", "corpus 'flask' is not available")


def test_results_survive_writing_and_damage_means_making_them_again(tmp_path: Path) -> None:
    write_task(tmp_path)
    rows = collected(tmp_path, "print('ä')")
    path = tmp_path / "contexts.jsonl"
    write_contexts(path, rows)
    assert read_contexts(path) == stamped(rows)
    path.write_bytes(path.read_bytes()[:-9])
    assert read_contexts(path) == {}
    assert read_contexts(tmp_path / "none.jsonl") == {}


def test_what_is_finished_is_kept_when_a_later_case_ends_the_job(tmp_path: Path) -> None:
    """Snakemake undoes what a job that fails has written."""
    folder, path = write_task(tmp_path), tmp_path / "contexts" / "colours.echo.jsonl"
    task, spec = load_task(tmp_path / "colours"), tool(tmp_path, "-c", NOW)
    (two,) = undisturbed(collect_contexts(task, spec, tmp_path, {}, cases=["two"]))
    earlier = msgspec.structs.replace(two, case="earlier")
    source = folder / "sources" / "two" / "app.py"
    fine = source.read_text()
    source.write_bytes(b"\xff")
    with pytest.raises(ConfigurationError, match="not readable"), keeping(path, [earlier]) as keep:
        collect_contexts(task, spec, tmp_path, {}, keep=keep)
    kept = read_contexts(path)
    assert kept.keys() == {"earlier", "one"} and not path.exists()
    with next(path.parent.iterdir()).open("ab") as file:
        file.write(b'{"case": "cut sho')
    assert read_contexts(path) == kept

    source.write_text(fine)
    with keeping(path, kept.values()) as keep:
        rows = collect_contexts(
            task, spec, tmp_path, {case: undisturbed([row])[0] for case, row in kept.items()}, keep=keep
        )
        write_contexts(path, rows)
    assert [row.case for row in rows] == ["one", "two"]
    assert rows[0].text == kept["one"].text
    assert list(path.parent.iterdir()) == [path]
    assert read_contexts(path) == stamped(rows)


def test_a_tool_folder_that_does_not_exist_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"tool folder .*nowhere does not exist.*'tool_folders'"):
        find_tools(tmp_path / "nowhere")
