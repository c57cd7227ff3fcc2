"""Files that somebody asks for by hand: every name in them that is not part of the run is refused with one line."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ai_dev_tools.benchmark.errors import ConfigurationError
from ai_dev_tools.benchmark.records import paths
from ai_dev_tools.benchmark.tasks.corpora import load_corpora
from ai_dev_tools.benchmark.workflow.downloads import Downloads
from ai_dev_tools.benchmark.workflow.known_names import KnownNames
from support.experiments import SHIPPED, experiment
from support.repository import ROOT


def known(**changed: Any) -> KnownNames:
    settings = {"profile": "heavy", "approaches": "baseline,tools"} | changed
    return KnownNames(experiment(ROOT, **settings), SHIPPED | settings, corpora)


def corpora() -> Any:
    return load_corpora(ROOT / paths.CORPORA)


def refused(names: KnownNames, **wildcards: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        names.require(SimpleNamespace(**wildcards))  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("wildcards", "line"),
    [
        ({"profile": "heavvy"}, "unknown profile 'heavvy', did you mean 'heavy'?"),
        ({"profile": "heavvy@replay"}, "unknown profile 'heavvy', did you mean 'heavy'?"),
        ({"before": "light", "after": "hevy"}, "unknown profile 'hevy', did you mean 'heavy'?"),
        ({"batch": "quik"}, "unknown batch 'quik', did you mean 'quick'?"),
        ({"task": "safety_assesment"}, "unknown task 'safety_assesment', did you mean 'safety_assessment'?"),
        ({"task": "repo_analysis", "tool": "bandid"}, "unknown tool 'bandid', did you mean 'bandit'?"),
        (
            {"profile": "heavy", "model": "codelama-7b"},
            "unknown model in profile 'heavy' 'codelama-7b', did you mean 'codellama-7b'?",
        ),
        ({"corpus": "atrs"}, "config/corpora.yaml has no corpus 'atrs', did you mean 'attrs'?"),
        (
            {"repository": "nope"},
            "no case of this run has a repository 'nope' as its workspace, valid: none. "
            "Add approaches=agent,agent-none: tasks for agents are left out",
        ),
        (
            {"weights": "SmolLM2-135M-Instruct.Q4_0.gguf"},
            "unknown file of weights 'SmolLM2-135M-Instruct.Q4_0.gguf', did you mean 'SmolLM2-135M-Instruct.Q4_1.gguf'?",
        ),
    ],
    ids=str,
)
def test_an_unknown_name_is_a_line_with_the_nearest(wildcards: dict[str, str], line: str) -> None:
    assert refused(known(), **wildcards) == line


def test_a_task_that_only_agents_can_be_asked_says_how_to_ask_one() -> None:
    assert refused(known(), task="repo_navigation") == (
        "task 'repo_navigation' is not part of this run: only agents can be asked. Add approaches=agent,agent-none"
    )


def test_a_task_or_model_that_the_settings_leave_out_says_how_to_add_it() -> None:
    names = known(tasks="systematic_fix", models="code")
    assert refused(names, task="repo_analysis") == (
        "task 'repo_analysis' is not part of this run, which asks systematic_fix. "
        "Add it: tasks=systematic_fix,repo_analysis"
    )
    assert refused(names, profile="heavy", model="llama3.2-1b") == (
        "model 'llama3.2:1b' of profile 'heavy' is not part of this run, which asks codellama-7b. "
        "Add it to models=…, or ask all of them with models=all"
    )


def test_an_arm_and_a_sample_that_a_block_does_not_have() -> None:
    place = {"profile": "heavy", "model": "codellama-7b", "task": "systematic_fix"}
    assert refused(known(), **place, approach="baselin") == (
        "'baselin' is not an arm of this run, did you mean 'baseline'?"
    )
    assert refused(known(), **place, approach="baseline", sample="12") == (
        "an arm of this run has the samples 0 to 11, not 12. Ask for more with samples=N"
    )


def test_an_archive_is_named_after_its_plan() -> None:
    names = known()
    line = refused(names, profile="heavy", archive="mine")
    assert line.startswith("the archive of this run is named 'heavy.")
    assert line.endswith(", not 'mine'. Ask for it with: snakemake archive --config profile=heavy")
    right = line.split("'")[1]
    names.require(SimpleNamespace(profile="heavy", archive=right))  # type: ignore[arg-type]


def test_names_of_the_run_are_let_through() -> None:
    names = known()
    for wildcards in (
        {
            "profile": "heavy@replay",
            "model": "codellama-7b",
            "task": "systematic_fix",
            "approach": "tools",
            "sample": "0",
        },
        {"task": "systematic_fix", "tool": "code_index"},  # a tool that is not the task's own
        {"corpus": "attrs"},
        {"before": "light", "after": "heavy@replay"},
        {"batch": "quick"},
        {"weights": "SmolLM2-135M-Instruct.Q4_1.gguf"},
    ):
        names.require(SimpleNamespace(**wildcards))  # type: ignore[arg-type]


def test_a_file_of_weights_that_is_there_is_the_users_and_not_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = known()
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "resources" / "models"
    folder.mkdir(parents=True)
    (folder / "own+1.gguf").write_bytes(b"GGUF")
    (folder / "SmolLM2-135M-Instruct.Q4_1.gguf").write_bytes(b"GGUF")
    pattern = Downloads(names._experiment, names, corpora).weights
    assert not re.fullmatch(pattern, "own+1.gguf")
    assert re.fullmatch(pattern, "SmolLM2-135M-Instruct.Q4_1.gguf"), "pinned, and checked"
    assert re.fullmatch(pattern, "own+1.gguf.gguf"), "gets its line"
