"""Whatever file is asked for by hand, every rule refuses a name that is not part of the run, with one line."""

from __future__ import annotations

import json
import subprocess
import sys

from ai_dev_tools.benchmark.workflow.known_names import Wildcards
from support.workflow_project import Project

EVERY_RULE = """
import json
from pathlib import Path
from snakemake.api import ResourceSettings, SnakemakeApi

RIGHT = {
    "profile": "embedded", "before": "light", "after": "heavy", "batch": "quick", "task": "systematic_fix",
    "tool": "bandit", "model": "smollm2-135m", "approach": "tools", "sample": "0", "corpus": "attrs",
    "weights": "SmolLM2-135M-Instruct.Q4_1.gguf",
}

with SnakemakeApi() as api:
    workflow = api.workflow(ResourceSettings(), snakefile=Path("Snakefile"))._workflow
    flow = workflow.globals["flow"]
    right = RIGHT | {"archive": flow.experiment.archive_name("embedded")}
    said = {}
    for rule in workflow.rules:
        for wrong in sorted(rule.wildcard_names):
            try:
                rule.expand_input({name: right.get(name, "x") for name in rule.wildcard_names} | {wrong: "no_such"})
            except SystemExit as error:
                said[f"{rule.name}: {wrong}"] = str(error)
            else:
                said[f"{rule.name}: {wrong}"] = "let through"
print(json.dumps(said))
"""


def test_every_rule_refuses_every_name_that_is_not_part_of_the_run(project: Project) -> None:
    done = subprocess.run(
        [sys.executable, "-c", EVERY_RULE], cwd=project.folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    said: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    wrong = {place: lines for place, lines in said.items() if "no_such" not in lines or "\n" in lines}
    assert wrong == {}
    assert {place.split(": ")[1] for place in said} == set(Wildcards.__annotations__), "each wildcard is in some rule"


def test_a_file_of_a_task_that_is_left_out(project: Project) -> None:
    config = {"profile": "heavy", "approaches": "baseline,tools"}
    done = project.snakemake("-n", "results/prompts/repo_navigation.jsonl", **config)
    assert done.returncode == 1
    assert done.stdout.splitlines()[-1] == (
        "error: task 'repo_navigation' is not part of this run: only agents can be asked. Add approaches=agent,agent-none"
    )
    assert "Traceback" not in done.stdout
