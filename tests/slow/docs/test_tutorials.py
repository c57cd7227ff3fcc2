"""The tutorials, followed as they are written: their files saved, their commands run, with a labelled fake model."""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from fakes.agent_model import Message, action, answer, playing
from fakes.ollama import FakeOllama
from support.repository import ROOT
from support.workflow_project import Project

MODEL = "llama3.2:1b"
pytestmark = pytest.mark.slow
SAVED = re.compile(r"(?:Save|and) this as `([\w./]+)`[^\n]*\n\n```\w+\n(.*?)^```", re.DOTALL | re.MULTILINE)
SHELL = re.compile(r"^```sh\n(.*?)^```", re.DOTALL | re.MULTILINE)


def text_of(tutorial: str) -> str:
    return (ROOT / "docs" / tutorial).read_text(encoding="utf-8")


def save_files(tutorial: str, folder: Path) -> list[str]:
    """Write every file that the tutorial says to save; returns their names."""
    found = dict(SAVED.findall(text_of(tutorial)))
    for name, content in found.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    return sorted(found)


def commands(tutorial: str, program: str) -> list[list[str]]:
    """Its shell commands that begin with a program, as words."""
    blocks = [block.replace("\\\n", " ") for block in SHELL.findall(text_of(tutorial))]
    lines = [line for block in blocks for line in block.splitlines()]
    return [line.split() for line in lines if line.startswith(program)]


def shell(folder: Path, words: list[str], **environment: str) -> str:
    """What a plain command of a tutorial prints; it must succeed."""
    done = subprocess.run(
        words, cwd=folder, env=os.environ | environment, text=True, capture_output=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def run(project: Project, words: list[str], fake: FakeOllama, **environment: str) -> str:
    """A snakemake command of a tutorial with the fake model's address, up to the tables."""
    settings = [*words[1:], f"endpoint={fake.url}", "profile=light"]
    if "--" in settings:
        place = settings.index("--")
        settings = [*settings[:place], *settings[-2:], *settings[place:-2]]
    else:
        settings += ["--", "tables"]
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", *settings], cwd=project.folder, env=os.environ | environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    return done.stdout


def rows(project: Project, name: str) -> list[dict[str, str]]:
    with (project.folder / "results/light/tables" / f"{name}.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def answered(project: Project) -> Counter[tuple[str, str]]:
    """Samples by task and arm, all of them completed."""
    samples = rows(project, "samples")
    assert {row["status"] for row in samples} == {"completed"}
    return Counter((row["task"], row["approach"]) for row in samples)


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    project = Project.create(tmp_path)
    yield project
    project.clean_up()


@pytest.fixture(scope="module")
def pip_installed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What the first tutorial installs, in an environment of its own; gives the variables that make it visible."""
    folder = tmp_path_factory.mktemp("environment")
    ((*_, requirement),) = commands("tutorial-own-tool.md", "python -m pip install")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    pip = [sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python"), "install", "--quiet", requirement]
    done = subprocess.run(pip, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120, check=False)
    if done.returncode:
        pytest.skip(f"{requirement} cannot be installed here: {done.stdout.strip().splitlines()[-1]}")
    (packages,) = folder.glob("lib/*/site-packages")
    paths = [str(packages), *filter(None, [os.environ.get("PYTHONPATH")])]
    path = os.pathsep.join([str(folder / "bin"), os.environ["PATH"]])
    return {"PYTHONPATH": os.pathsep.join(paths), "PATH": path}


def test_the_tutorial_about_a_tool(project: Project, pip_installed: dict[str, str]) -> None:
    saved = save_files("tutorial-own-tool.md", project.folder)
    assert saved == [
        "config/tools/lizard.yaml",
        "mytasks/hotspots/cases/postage.yaml",
        "mytasks/hotspots/task.yaml",
    ]
    (tried,) = commands("tutorial-own-tool.md", "lizard")
    assert "errors.py" in shell(ROOT, tried, **pip_installed)
    (look,) = commands("tutorial-own-tool.md", "head")
    check, verdict, heavy, own = commands("tutorial-own-tool.md", "snakemake")
    assert "profile=heavy" in heavy, "which is for who has the models: a dry run here"
    with FakeOllama(models=[MODEL]) as fake:
        place = [sys.executable, "-m", "snakemake", *heavy[1:], f"endpoint={fake.url}", "--dry-run", "--quiet", "rules"]
        assert "run_block" in shell(project.folder, place, **pip_installed)
        run(project, check, fake, **pip_installed)
        assert fake.requests == []
        said = shell(project.folder, look)
        assert "lizard: complexity of each function" in said
        assert "9 stage@16-26@brewlog/batch.py" in said

        run(project, verdict, fake, **pip_installed)
        arms = {("context_analysis", arm): 3 for arm in ("baseline", "no_context", "tools-lizard")}
        assert answered(project) == arms
        claims = {row["claim"] for row in rows(project, "verdicts")}
        assert claims == {"tokens:tools-lizard", "time:tools-lizard"}

        run(project, own, fake, **pip_installed)
        assert answered(project) == {("hotspots", arm): 3 for _, arm in arms}
        asked = [body["messages"][0]["content"] for body in fake.requests]
        assert any("\n6 label@8-15@postage.py\n" in text for text in asked), "lizard's view of the user's own code"

        run(project, verdict, fake, **pip_installed)
        assert len(fake.requests) == len(asked), "all of it was asked before"
        labels = {(row["plan"], row["label"]) for row in rows(project, "verdicts") if row["task"] == "(all)"}
        assert len(labels) == 1
        assert {label for _, label in labels} == {"planned"}, "another plan since then changes nothing"


def test_the_tutorial_about_a_task(project: Project) -> None:
    saved = save_files("tutorial-own-task.md", project.folder)
    assert saved == [
        "mytasks/unused_code/cases.csv",
        "mytasks/unused_code/cases/bakery.yaml",
        "mytasks/unused_code/sources/shops/bakery.py",
        "mytasks/unused_code/task.yaml",
    ]
    check, ask = commands("tutorial-own-task.md", "snakemake")
    with FakeOllama(models=[MODEL]) as fake:
        run(project, check, fake)
        assert fake.requests == []
        run(project, ask, fake)
        assert answered(project) == {("unused_code", arm): 3 for arm in ("baseline", "no_context", "tools")}
        scores = {(row["case"], float(row["score"])) for row in rows(project, "samples")}
        assert scores == {("bakery", 0.25), ("ferry", 0.25), ("kiosk", 1)}, "the fake says: none, used"


def looks_once(conversation: Sequence[Message], turn: int) -> Message:
    """An agent that looks for `price_of`, with a tool if it has one, and answers the question about its callers."""
    if turn == 0:
        for name in ("find_callers", "find_definition"):
            if name in str(conversation[0]):
                return action(name, name="price_of")
        return action("search", pattern="price_of(", path="")
    return answer({"functions": ["sell", "label"], "file": "prices.py"})


def test_the_tutorial_about_a_repository(project: Project) -> None:
    saved = save_files("tutorial-own-repository.md", project.folder)
    assert saved == [
        "myrepo/shop/prices.py",
        "myrepo/shop/stock.py",
        "myrepo/shop/till.py",
        "mytasks/shop_questions/cases.csv",
        "mytasks/shop_questions/task.yaml",
        "mytools/callers.py",
        "mytools/callers.yaml",
    ]
    check, ask, with_tool = commands("tutorial-own-repository.md", "snakemake")
    with FakeOllama(models=[MODEL]) as fake:
        run(project, check, fake)
        assert fake.requests == []
        fake.converse = playing(looks_once, last={"functions": [], "file": ""})
        run(project, ask, fake)
        assert answered(project) == {("shop_questions", arm): 3 for arm in ("agent", "agent-none")}
        scores = {row["case"]: float(row["score"]) for row in rows(project, "samples") if row["approach"] == "agent"}
        assert scores == {"callers": 1, "fault": 0, "receipts": pytest.approx(1 / 3)}

        before = episodes(project, "agent")
        run(project, with_tool, fake)
        assert answered(project)["shop_questions", "agent-callers"] == 3
        assert episodes(project, "agent") == before, "nothing is asked twice"
        assert called(project, "agent-callers") == {("find_callers", "prices.py:19: in sell: price_of(item)")}
        judged = [row for row in rows(project, "verdicts") if row["task"] == "(all)"]
        assert {row["claim"] for row in judged} == {"tokens:agent-callers", "time:agent-callers"}
        assert "saves" not in {row["verdict"] for row in judged}, "three questions prove nothing"


def test_the_example_of_a_server(project: Project) -> None:
    """The server of tools-for-agents.md, asked in the repository of its tutorial."""
    save_files("tutorial-own-repository.md", project.folder)
    assert save_files("tools-for-agents.md", project.folder) == ["mytools/definitions.py", "mytools/definitions.yaml"]
    *_, with_tool = commands("tutorial-own-repository.md", "snakemake")
    words = [word.replace("tools=callers", "tools=definitions") for word in with_tool]
    with FakeOllama(models=[MODEL]) as fake:
        fake.converse = playing(looks_once, last={"functions": [], "file": ""})
        run(project, words, fake)
        assert answered(project)["shop_questions", "agent-definitions"] == 3
        assert called(project, "agent-definitions") == {("find_definition", "shop/prices.py:11: def price_of(item):")}


def episodes(project: Project, arm: str) -> list[dict[str, Any]]:
    files = sorted(project.folder.glob(f"results/light/samples/*/*/{arm}/*.json"))
    return [json.loads(file.read_text()) for file in files]


def called(project: Project, arm: str) -> set[tuple[str, str]]:
    """The actions of the first turn of an arm's episodes, each with the first line that came back."""
    turns = [episode["turns"][0] for episode in episodes(project, arm)]
    return {(turn["action"], turn["result"].splitlines()[0]) for turn in turns}
