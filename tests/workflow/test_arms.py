"""Tools and control arms through the whole workflow, with a labelled fake model that knows only what it is shown."""

from __future__ import annotations

import csv
import json
import random
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from ai_dev_tools.benchmark.records.plan import Claim, read_plans
from fakes.ollama import FakeOllama
from support.invented import verdicts
from support.workflow_project import Project

MODEL = "llama3.2:1b"
COLOURS = ("red", "green", "blue", "amber", "violet", "white", "black", "pink")
FACT = re.compile(r"^COLOUR_OF_(\w+) = (\w+)$", re.MULTILINE)
WORDS = ["count", "total", "index", "value", "entry", "batch", "order", "limit", "offset", "result"]

TASK: dict[str, Any] = {
    "name": "Needle",
    "description": "One fact in a haystack of code",
    "workflow_type": "custom",
    "tools": [],
    "question": "Which colour has {{ thing }}?",
    "answer_schema": {
        "type": "object",
        "additionalProperties": False,
        "required": ["colour"],
        "properties": {"colour": {"type": "string", "maxLength": 8, "enum": list(COLOURS)}},
    },
    "scoring": [{"field": "colour", "scorer": "choice"}],
}


def write_needles(folder: Path, name: str, cases: int) -> None:
    """A task whose files hold one line that matters among eighty that do not; its cases are a JSONL file."""
    folder = folder / name
    folder.mkdir(parents=True)
    (folder / "task.yaml").write_text(yaml.safe_dump({"id": name, **TASK}))
    rows = []
    for number in range(cases):
        dice, thing = random.Random(f"{name}{number}"), f"{name}_{number}"
        lines = [f"{dice.choice(WORDS)}_{i} = {dice.choice(WORDS)} + {dice.randrange(1000)}" for i in range(80)]
        colour = dice.choice(COLOURS)
        lines.insert(dice.randrange(80), f"COLOUR_OF_{thing} = {colour}")
        rows.append(
            {
                "id": thing,
                "cluster": thing,
                "size": "S",
                "inline": {"app.py": "\n".join(lines) + "\n"},
                "vars": {"thing": thing},
                "truth": {"colour": colour},
                "established": "drawn by lot",
            }
        )
    (folder / "cases.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def write_tool(folder: Path, name: str, *command: str, **changed: Any) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    fields = {"id": name, "description": name, "install": "part of every system", "command": list(command)}
    rest = {"output": "text", "template": "{{ text }}"}
    (folder / f"{name}.yaml").write_text(yaml.safe_dump(fields | rest | changed))


def reader(prompt: str, schema: Any) -> str:
    """What a model that can read would say: the fact asked for if the prompt has it, else always the same guess."""
    thing = re.search(r"Which colour has (\w+)\?", prompt)
    known = dict(FACT.findall(prompt))
    return json.dumps({"colour": known.get(thing[1], COLOURS[0]) if thing else COLOURS[0]})


def table(project: Project, name: str) -> list[dict[str, str]]:
    with (project.folder / "results" / "light" / "tables" / f"{name}.csv").open(newline="") as file:
        return list(csv.DictReader(file))


# --- tools that fail ----------------------------------------------------------------------------------------------


def test_a_failing_tool_fails_its_arm_and_the_rest_goes_on(project: Project) -> None:
    write_needles(project.folder / "mine", "needle", 3)
    tools = project.folder / "own"
    write_tool(tools, "works", "grep", "COLOUR_OF", "app.py")
    write_tool(tools, "crashes", "{python}", "-c", "import time; time.sleep(0.2); raise SystemExit('out of luck')")
    write_tool(tools, "hangs", "{python}", "-c", "import time; time.sleep(60)", timeout_s=0.5)
    write_tool(tools, "raves", "{python}", "-c", "print('no json')", output="json")
    with FakeOllama(models=[MODEL], answer=reader) as fake:
        said = project.run(
            "tables", profile="light", endpoint=fake.url, task_folders="mine", tool_folders="own", tasks="needle",
            tools="works,crashes,hangs,raves",
        )  # fmt: skip
        assert len(fake.requests) == 3 * 3, (
            "baseline, no_context and the tool that works; nothing is asked for the others"
        )
    assert "out of luck" in said, "the log names what went wrong"

    samples = table(project, "samples")
    outcome = Counter((row["approach"], row["status"], row["error_class"]) for row in samples)
    assert outcome == {
        ("baseline", "completed", ""): 3,
        ("no_context", "completed", ""): 3,
        ("tools-works", "completed", ""): 3,
        ("tools-crashes", "failed", "tool"): 3,
        ("tools-hangs", "failed", "tool"): 3,
        ("tools-raves", "failed", "tool"): 3,
    }
    spent = {arm: [float(row["tool_s"]) for row in samples if row["approach"] == arm] for arm, _, _ in outcome}
    assert min(spent["tools-crashes"]) >= 0.2
    assert min(spent["tools-hangs"]) >= 0.5
    assert min(spent["tools-raves"]) > 0
    assert max(spent["tools-hangs"]) < 50, "it was ended, not waited for"
    assert spent["baseline"] == [0, 0, 0]

    errors = {key: sample["error"] for key, sample in project.sample_files("light").items() if sample["error"]}
    assert (
        {str(error["message"])[:30] for error in errors.values()}
        == {  # type: ignore[index]
            "crashes ended with exit code 1"[:30],
            "hangs did not end within 0.5 s"[:30],
            "raves: the output is not valid json"[:30],
        }
    )
    ratios = {
        row["approach"]: float(row["value"])
        for row in table(project, "comparisons")
        if (row["comparison"], row["task"], row["model"], row["stratum"]) == ("tokens", "(all)", "(all)", "(all)")
    }
    assert ratios["tools-crashes"] == 1, "who has no findings falls back to the raw files"
    assert ratios["tools-works"] < 0.5


# --- what deserves "saves" ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """Two tasks of 12 cases and a margin to match, every arm, a good tool, and one that prints nothing."""
    project = Project.create(tmp_path_factory.mktemp("judged"))
    write_needles(project.folder / "mine", "needle", 12)
    write_needles(project.folder / "mine", "thread", 12)
    write_tool(project.folder / "own", "good", "grep", "COLOUR_OF", "app.py")
    write_tool(project.folder / "own", "silent", "true")
    write_tool(project.folder / "own", "chatty", "cat", "app.py", "app.py")
    with FakeOllama(models=[MODEL], answer=reader, latency_s=0.001) as fake:
        project.run(
            "tables", profile="light", endpoint=fake.url, samples=12, task_folders="mine",
            tool_folders="own", tasks="needle,thread", plan="{quality: {margin: 0.3, task_veto: 0.3}}", tools="good",
            approaches="all,tools-silent,tools-chatty",
        )  # fmt: skip
    yield project
    project.clean_up()


def tokens_verdict(project: Project, approach: str) -> dict[str, str]:
    (row,) = (
        row for row in table(project, "verdicts") if (row["claim"], row["task"]) == (f"tokens:{approach}", "(all)")
    )
    return row


def test_a_good_tool_gets_saves(judged: Project) -> None:
    row = tokens_verdict(judged, "tools-good")
    assert (row["verdict"], row["label"]) == ("saves", "planned"), row["sentence"]
    assert float(row["high"]) < 0.95
    assert "brevity" not in row["reasons"]


def test_a_tool_that_prints_nothing_never_gets_saves(judged: Project) -> None:
    row = tokens_verdict(judged, "tools-silent")
    assert float(row["ratio"]) < 0.5, "it is by far the cheapest"
    assert row["verdict"] == "inconclusive"
    assert "floor: the approach's own answers do not beat no_context" in row["reasons"] or "quality" in row["reasons"]


def test_a_tool_that_says_more_than_the_files_costs(judged: Project) -> None:
    assert tokens_verdict(judged, "tools-chatty")["verdict"] == "costs"


@pytest.mark.parametrize("control", ["mismatched", "excerpt", "no_context"])
def test_a_control_never_gets_saves(judged: Project, control: str) -> None:
    """No plan makes a claim for a control; this one does, and the same judge says no."""
    run = judged.folder / "results" / "light"
    (plan,) = read_plans(run / "plans.jsonl")
    claim = Claim(id=f"tokens:{control}", outcome="tokens", approach=control)
    found = verdicts(
        pd.read_parquet(run / "tables" / "samples.parquet"), [plan.model_copy(update={"claims": (claim,)})]
    )
    (row,) = found[found["task"] == "(all)"].to_dict("records")
    assert row["label"] == "planned", "everything but the claim is as in the run"
    assert row["ratio"] < 0.5
    assert row["verdict"] == "inconclusive", row["sentence"]


def test_the_realised_length_of_each_control_is_reported(judged: Project) -> None:
    rows = {(row["approach"], row["task"]): row for row in table(judged, "controls")}
    assert {approach for approach, _ in rows} == {"excerpt", "shuffled", "mismatched"}
    assert {task for _, task in rows} == {"(all)", "needle", "thread"}
    assert {row["reference"] for row in rows.values()} == {"tools-good"}
    assert 0.9 <= float(rows["excerpt", "(all)"]["token_ratio"]) <= 1.1
    assert rows["excerpt", "(all)"]["comparable"] == "True"
    assert rows["mismatched", "(all)"]["pairs"] == "24"


# --- mistakes -----------------------------------------------------------------------------------------------------


def test_a_mistake_in_a_file_is_one_line_and_nothing_is_executed(project: Project) -> None:
    """Every mistake has tests of its own beside what reads it; here, what a run prints."""
    write_needles(project.folder / "mine", "needle", 1)
    cases = project.folder / "mine" / "needle" / "cases.jsonl"
    cases.write_text(cases.read_text().replace('"truth": {"colour": "', '"truth": {"colour": "un'))
    done = project.snakemake("tables", profile="light", task_folders="mine", tasks="needle")
    assert done.returncode != 0
    (error,) = (line for line in done.stdout.splitlines() if line.startswith("error: "))
    assert "cases.jsonl line 1: 'truth' violates the task's answer_schema" in error
    assert "Traceback" not in done.stdout
    assert not (project.folder / "results").exists()


def test_a_tool_that_is_not_installed_says_how_to_install_it(project: Project) -> None:
    write_tool(project.folder / "own", "absent", "no-such-program", install="pip install no-such-program")
    done = project.snakemake("tables", profile="light", tool_folders="own", tools="absent", tasks="systematic_fix")
    assert done.returncode != 0
    (error,) = (line for line in done.stdout.splitlines() if line.startswith("error: "))
    assert "tool 'absent' is not installed" in error
    assert "pip install no-such-program" in error
    assert not (project.folder / "results").exists()


# --- two tools against each other ---------------------------------------------------------------------------------


@pytest.mark.slow
def test_two_shipped_tools_are_compared_with_each_other(project: Project) -> None:
    """What the report says of such a run: unit/reporting/test_conclusions.py."""
    with FakeOllama(models=[MODEL], answer=reader) as fake:
        project.run(
            "tables", profile="light", endpoint=fake.url, samples=2, tasks="safety_assessment", tools="bandit,ruff",
            approaches="tools,no_context", plan="{reference: tools-bandit}",
        )  # fmt: skip
    assert {(row["approach"], row["reference"]) for row in table(project, "verdicts")} == {
        ("tools-ruff", "tools-bandit")
    }
