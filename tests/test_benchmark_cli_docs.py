"""Every block of the pages about command line and Python interface runs, against a fake Ollama."""

from __future__ import annotations

import ast
import asyncio
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from fakes.ollama import FakeOllama
from fakes.project import ROOT, make_project

from ai_dev_tools.cli.benchmark_cli import main

MODELS = ["llama3.2:1b", "llama3.2:3b", "llama3.1:8b", "codellama:7b"]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A project with two tasks whose models are all served by the fake."""
    with FakeOllama(models=MODELS) as fake:
        fake.keep = False
        section = f'[tool.ai-dev-tools.benchmark]\nendpoint = "{fake.url}"\n'
        folder = tmp_path_factory.mktemp("docs") / "project"
        yield make_project(folder, tasks=["safety_assessment", "pattern_detection"], pyproject=section)


def blocks(page: str, language: str) -> list[str]:
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def test_the_command_line_page(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(project)
    commands = [line for block in blocks("cli.md", "bash") for line in block.splitlines()]
    assert len(commands) > 10
    for command in commands:
        program, *words = shlex.split(command)
        assert program == "ai-dev-bench"
        assert main(words) == 0, f"{command}\n{capsys.readouterr().err}"


def test_the_python_page(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project)
    names: dict[str, object] = {}

    async def run_all() -> None:
        for block in blocks("python-api.md", "python"):
            code = compile(block, "python-api.md", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
            made = eval(code, names)
            if made is not None:
                await made

    asyncio.run(run_all())
    assert names["results"].benchmark_info["sample_size"] == 10  # type: ignore[attr-defined]
    assert names["task"].id == "my_custom_task"  # type: ignore[attr-defined]
