"""Old settings and old results: what is carried over, what is reported, and which setting wins."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ai_dev_tools.benchmark.config.models import load_config
from ai_dev_tools.benchmark.config.resolving import resolve_profile
from ai_dev_tools.benchmark.config.sources import (
    COMMAND_LINE,
    CONFIG_FILE,
    SECTION,
    effective_settings,
    load_settings,
    merge,
    parse_overrides,
)
from ai_dev_tools.benchmark.errors import ConfigurationError
from ai_dev_tools.benchmark.legacy.migrate import migrate_file
from ai_dev_tools.benchmark.legacy.old_results import import_results
from ai_dev_tools.benchmark.records.sample import Sample, read_sample
from support.project import make_project

OLD_SECTION = """
[tool.ai-dev-tools.benchmark]
execution_mode = "parallel"
output_format = "markdown"
max_concurrent_batches = 3
container_startup_timeout = 90
task_timeout = 45
retry_attempts = 5

[tool.ai-dev-tools.benchmark.ollama_profiles]
light = [{ name = "tiny", model = "qwen2.5:0.5b", host = "gpu", port = 11500 }]
medium = [
    { name = "small", model = "llama3.2:1b", host = "localhost", port = 11434 },
    { name = "medium", model = "llama3.2:3b", host = "localhost", port = 11435 },
]

[tool.ai-dev-tools.benchmark.sample_sizes]
light = 4
heavy = 14
"""
BASE: dict[str, Any] = {
    "profile": "light",
    "task_timeout": 30,
    "profiles": {
        "light": {"samples": 3, "endpoint": "auto", "instances": {"small": {"model": "llama3.2:1b"}}},
        "medium": {"extends": "light", "samples": 6, "instances": {"medium": {"model": "llama3.2:3b", "port": 11435}}},
    },
}


# ------------------------------------------------------------------------------------------------------- precedence


def test_command_line_wins_over_section_and_section_over_file() -> None:
    merged = merge(BASE | {"samples": 1, "retry": "all"}, {"samples": 2, "task_timeout": 5}, {"samples": 9})
    assert (merged.settings["samples"], merged.settings["task_timeout"], merged.settings["retry"]) == (9, 5, "all")
    assert merged.sources["samples"] == COMMAND_LINE
    assert merged.sources["task_timeout"] == SECTION
    assert merged.sources["retry"] == CONFIG_FILE


def test_nested_settings_are_laid_over_value_by_value() -> None:
    base = BASE | {"options": {"temperature": 0, "num_ctx": 8192}}
    merged = merge(base, {"options": {"temperature": 0.5}}, {"options": {"num_predict": 64}})
    assert merged.settings["options"] == {"temperature": 0.5, "num_ctx": 8192, "num_predict": 64}
    assert merged.sources["options.num_ctx"] == CONFIG_FILE
    assert merged.sources["options.num_predict"] == COMMAND_LINE


def test_snakemakes_config_that_holds_the_command_line_already_gives_the_same(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.ai-dev-tools.benchmark]\nsamples = 2\ntask_timeout = 5\n")
    as_snakemake_has_it = BASE | {"samples": 9}
    assert effective_settings(as_snakemake_has_it, {"samples": 9}, tmp_path)["samples"] == 9
    assert effective_settings(BASE, {}, tmp_path)["samples"] == 2


def test_inputs_are_left_alone() -> None:
    before = json.dumps(BASE)
    merged = merge(
        BASE, {"ollama_profiles": {"light": [{"name": "x", "model": "m"}]}}, {"profiles": {"light": {"samples": 8}}}
    )
    merged.settings["profiles"]["medium"]["samples"] = 99
    assert json.dumps(BASE) == before


@given(st.dictionaries(st.sampled_from(["samples", "retry_attempts", "task_timeout"]), st.integers(1, 9)))
def test_merging_is_idempotent_in_the_command_line(overrides: dict[str, int]) -> None:
    once = merge(BASE, {"samples": 5}, overrides).settings
    assert merge(once, {"samples": 5}, overrides).settings == once


def test_old_profiles_replace_the_instances_of_the_same_profile() -> None:
    section = {
        "ollama_profiles": {"medium": [{"name": "only", "model": "phi3:mini", "port": 12000}]},
        "sample_sizes": {"medium": 7},
    }
    merged = merge(BASE, section, {})
    medium = resolve_profile(load_config(merged.settings), "medium")
    assert [(i.name, i.model, i.port) for i in medium.instances] == [("only", "phi3:mini", 12000)]
    assert (medium.samples, medium.instances[0].endpoint) == (7, "auto")
    assert merged.sources["profiles.medium.samples"] == SECTION
    assert merged.sources["profiles.medium.endpoint"] in (CONFIG_FILE, SECTION)


@pytest.mark.parametrize(
    ("section", "says"),
    [
        ({"ollama_profiles": ["light"]}, "not a table"),
        ({"profiles": 5}, "not a table with one entry per profile"),
        ({"profiles": {"light": 5}, "sample_sizes": {"light": 2}}, r"profiles.light\] is not a table with settings"),
        ({"ollama_profiles": {"light": []}}, "expected a list"),
        ({"ollama_profiles": {"light": [{"name": "a"}]}}, "entry 1 needs 'name' and 'model'"),
        ({"ollama_profiles": {"light": [{"name": "a", "model": "b", "prot": 1}]}}, "unknown key 'prot'"),
        ({"ollama_profiles": {"light": [{"name": "a", "model": "b"}, {"name": "a", "model": "c"}]}}, "two entries"),
    ],
)
def test_a_section_of_another_shape_is_refused_in_one_line(section: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigurationError, match=says) as caught:
        merge(BASE, section, {})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("profiles", [5, "light", ["light"]])
def test_profiles_that_are_no_table_are_reported_in_one_line(profiles: Any) -> None:
    for base, overrides in (({"profiles": profiles}, {}), (BASE, {"profiles": profiles})):
        with pytest.raises(ConfigurationError, match="'profiles' is not a table"):
            merge(base, {"ollama_profiles": {"light": [{"name": "a", "model": "b"}]}}, overrides)


def test_a_section_may_bring_the_first_profile() -> None:
    section = {"ollama_profiles": {"light": [{"name": "a", "model": "b"}]}}
    assert list(merge({"profiles": None}, section, {}).settings["profiles"]) == ["light"]


def test_overrides_are_read_as_snakemake_reads_them() -> None:
    found = parse_overrides(
        ["samples=5", "tasks=a,b", "options={'temperature': 0.2}", "partial=true", "endpoint=http://h:1"]
    )
    assert found == {
        "samples": 5, "tasks": "a,b", "options": {"temperature": 0.2}, "partial": True, "endpoint": "http://h:1",
    }  # fmt: skip
    with pytest.raises(ConfigurationError, match="KEY=VALUE"):
        parse_overrides(["samples"])


# -------------------------------------------------------------------------------------------------------- migration


def test_the_old_section_becomes_a_config_that_means_the_same(tmp_path: Path) -> None:
    project = make_project(tmp_path / "new")
    old = tmp_path / "pyproject.toml"
    old.write_text(OLD_SECTION)
    migration = migrate_file(old, project)
    written = yaml.safe_load(migration.yaml("pyproject.toml"))
    direct = load_config(merge(load_settings(project, {}).settings, _section(old), {}).settings)
    config = load_settings(project, written).settings
    assert resolve_profile(load_config(config), "light") == resolve_profile(direct, "light")
    assert resolve_profile(load_config(config), "heavy").samples == 14
    assert (config["task_timeout"], config["retry_attempts"], config["execution_mode"]) == (45, 5, "parallel")
    assert migration.left == ()


def test_what_cannot_be_carried_is_reported_and_nothing_else_is_touched(tmp_path: Path) -> None:
    project = make_project(tmp_path / "new")
    old = tmp_path / "pyproject.toml"
    old.write_text(
        '[tool.ai-dev-tools.benchmark]\nexecution_mode = "turbo"\nfancy = 1\ncontainer_image = "x"\ntask_timeout = 20\n'
        "[tool.ai-dev-tools.benchmark.sample_sizes]\nhuge = 9\n"
    )
    before = {path: path.stat().st_mtime_ns for path in project.rglob("*")}
    migration = migrate_file(old, project)
    left = "\n".join(migration.left)
    assert "execution_mode = 'turbo'" in left
    assert "fancy" in left
    assert "endpoint" in left
    assert "sample_sizes.huge" in left
    assert migration.settings == {"task_timeout": 20}
    assert {path: path.stat().st_mtime_ns for path in project.rglob("*")} == before


def test_nothing_to_migrate_is_said(tmp_path: Path) -> None:
    project = make_project(tmp_path / "new")
    other = tmp_path / "pyproject.toml"
    other.write_text("[project]\nname = 'x'\n")
    with pytest.raises(ConfigurationError, match="nothing to migrate"):
        migrate_file(other, project)
    with pytest.raises(ConfigurationError, match="does not exist"):
        migrate_file(tmp_path / "none.toml", project)


def _section(path: Path) -> dict[str, Any]:
    from ai_dev_tools.benchmark.config.sources import read_section_of

    return read_section_of(path)


# ------------------------------------------------------------------------------------------------------- old results


def old_file(tmp_path: Path, **changes: Any) -> Path:
    """A result file as the replaced system wrote it; sample 1 of each arm failed and is therefore absent."""

    def group(task: str, approach: str, tokens: int) -> dict[str, Any]:
        rows = [
            {
                "success": True, "response": "It is risky.", "input_tokens": tokens, "output_tokens": 150,
                "total_tokens": tokens + 150, "duration": 12.5, "model": "llama3.2:1b", "timestamp": 1752720545.3,
                "url": "http://localhost:11434", "sample_num": number, "approach": approach, "task": task,
                "instance": "small",
            }
            for number in (0, 2)
        ]  # fmt: skip
        about = {"task_name": task, "workflow_type": "safety_check", "instance_name": "small", "model": "llama3.2:1b"}
        return about | {"approach": approach, "results": rows, "sample_size": len(rows)}

    info = {
        "timestamp": "2025-07-16T21:48:52.403773",
        "sample_size_per_approach": 3,
        "total_tasks": 1,
        "profile": "light",
    }
    groups = [group("Safety Assessment", "baseline", 41), group("Safety Assessment", "tools", 30)]
    path = tmp_path / "old.json"
    path.write_text(json.dumps({"benchmark_info": info, "task_results": groups} | changes))
    return path


def test_old_results_become_samples_with_their_gaps_shown(tmp_path: Path) -> None:
    name, samples, vanished = import_results(old_file(tmp_path), tmp_path / "results")
    assert (name, samples, vanished) == ("imported-light-2025-07-16", 6, 2)
    folder = tmp_path / "results" / name / "samples" / "llama3.2-1b" / "safety_assessment"
    there, gone = read_sample(folder / "tools" / "0.json"), read_sample(folder / "tools" / "1.json")
    assert isinstance(there, Sample)
    assert isinstance(gone, Sample)
    assert (there.status, there.input_tokens, there.total_tokens, there.duration_s) == ("completed", 30, 180, 12.5)
    assert there.started_at.startswith("2025-07-17T02:48:52")
    assert {"imported", "seed_missing", "case_missing"} <= set(there.flags)
    assert (there.score, there.eval_s, there.done_reason, there.model_digest, there.plan) == (None,) * 5
    assert (gone.status, gone.error.class_ if gone.error else "", gone.total_tokens) == ("failed", "vanished", None)


def test_imported_runs_have_tables_that_count_the_vanished(tmp_path: Path) -> None:
    name, _, _ = import_results(old_file(tmp_path), tmp_path / "results")
    tables = tmp_path / "results" / name / "tables"
    metrics = pd.read_csv(tables / "metrics.csv")
    everything = metrics[(metrics[["profile", "model", "task", "approach"]] == "(all)").all(axis=1)].set_index(
        "metric"
    )["value"]
    assert everything["success_rate"] == pytest.approx(4 / 6)
    assert len(pd.read_parquet(tables / "samples.parquet")) == 6


def test_an_import_never_overwrites(tmp_path: Path) -> None:
    import_results(old_file(tmp_path), tmp_path / "results", "old")
    with pytest.raises(ConfigurationError, match="already exists"):
        import_results(old_file(tmp_path), tmp_path / "results", "old")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("{", "not JSON"),
        ("[]", "no list 'task_results'"),
        ('{"task_results": []}', "no results"),
        ('{"task_results": [{"results": 1}]}', "entry 1 has no list 'results'"),
        ('{"task_results": [{"results": [], "model": "m", "approach": "a"}]}', "no 'task_name'"),
    ],
)
def test_a_file_that_is_no_result_file_is_refused_in_one_line(tmp_path: Path, content: str, says: str) -> None:
    path = tmp_path / "x.json"
    path.write_text(content)
    with pytest.raises(ConfigurationError, match=says):
        import_results(path, tmp_path / "results")
    assert not (tmp_path / "results").exists()


def test_oddities_of_old_files_neither_fail_nor_fill_the_disk(tmp_path: Path) -> None:
    row = {"success": True, "response": "cut \ud83d", "sample_num": 0}
    group = {"task_name": "T", "model": "m", "approach": "tools", "results": [row]}
    info = {"profile": 5, "timestamp": 2025, "sample_size_per_approach": 10**9}
    name, samples, vanished = import_results(
        old_file(tmp_path, task_results=[group], benchmark_info=info), tmp_path / "results"
    )
    assert (name, samples, vanished) == ("imported-5-2025", 1, 0)
    sample = read_sample(tmp_path / "results" / name / "samples" / "m" / "t" / "tools" / "0.json")
    assert isinstance(sample, Sample)
    assert sample.response == "cut ?"


def test_impossible_old_numbers_become_missing(tmp_path: Path) -> None:
    row = {
        "success": True,
        "input_tokens": -1,
        "output_tokens": True,
        "duration": -3.0,
        "timestamp": "noon",
        "sample_num": 0,
    }
    group = {"task_name": "T", "model": "m", "approach": "tools", "results": [row, "junk"]}
    info = {"profile": "light"}
    import_results(old_file(tmp_path, task_results=[group], benchmark_info=info), tmp_path / "results", "odd")
    sample = read_sample(tmp_path / "results" / "odd" / "samples" / "m" / "t" / "tools" / "0.json")
    assert isinstance(sample, Sample)
    assert (sample.input_tokens, sample.output_tokens, sample.duration_s, sample.started_at) == (None, None, None, "")
