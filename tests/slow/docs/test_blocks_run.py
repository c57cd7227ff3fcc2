"""Every code block of README and docs that is not marked otherwise is run as it stands, one page after the other.

All pages share one project with two of the shipped tasks and a labelled fake for Ollama, so that a later page finds the
runs of an earlier one, as a reader would. Two tutorials lay out files of their own: see test_tutorials.py.
"""

from __future__ import annotations

import ast
import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fakes.ollama import FakeOllama
from support.documents import PYTHON, SHELL, Block, every_block
from support.project import make_project

MODELS = ["smollm2:135m", "llama3.2:1b", "llama3.2:3b", "llama3.1:8b", "codellama:7b"]
FIRST = ["docs/tutorial-first-run.md", "docs/cli.md", "docs/python-api.md", "docs/report.md"]
ELSEWHERE = ["docs/tutorial-own-tool.md", "docs/tutorial-own-task.md", "docs/tutorial-own-repository.md"]
pytestmark = pytest.mark.slow


def runnable() -> dict[str, list[Block]]:
    """Blocks to run by page: first the pages whose runs others look at."""
    found: dict[str, list[Block]] = {page: [] for page in FIRST}
    for block in every_block():
        if block.language in (*SHELL, *PYTHON) and block.runs and block.page not in ELSEWHERE:
            found.setdefault(block.page, []).append(block)
    return found


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A clone whose models are all served by the fake, with the programs of its environment on PATH."""
    with FakeOllama(models=MODELS) as fake, pytest.MonkeyPatch.context() as patch:
        fake.keep = False
        section = f'[tool.ai-dev-tools.benchmark]\nendpoint = "{fake.url}"\n'
        folder = tmp_path_factory.mktemp("docs") / "project"
        make_project(folder, tasks=["safety_assessment", "pattern_detection"], pyproject=section)
        programs = tmp_path_factory.mktemp("programs")
        for name, module in (("ai-dev-bench", "ai_dev_tools.cli.benchmark_cli"), ("snakemake", "snakemake")):
            (programs / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" -m {module} "$@"\n')
            (programs / name).chmod(0o755)
        beside = Path(sys.executable).parent
        patch.setenv("PATH", os.pathsep.join([str(programs), str(beside), os.environ["PATH"]]))
        yield folder


def script_of(block: Block) -> str:
    """A shell block, each of its Snakemake runs a dry run where the page says so."""
    if block.mark != "dry run":
        return block.text
    flags = {"snakemake": " --dry-run", "ai-dev-bench": " -- --dry-run"}
    lines = block.text.replace("\\\n", " ").splitlines()
    return "\n".join(line + flags.get(line.partition(" ")[0], "") for line in lines)


def run_shell(block: Block, folder: Path) -> None:
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script_of(block)], cwd=folder, text=True, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{block}\n{block.text}\n{done.stdout[-4000:]}"


async def run_python(block: Block, names: dict[str, object]) -> None:
    code = compile(block.text, str(block), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    waits = eval(code, names)
    if waits is not None:
        await waits


@pytest.mark.parametrize(("page", "blocks"), runnable().items(), ids=runnable())
def test_the_page_runs_as_it_stands(
    page: str, blocks: list[Block], project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project)
    names: dict[str, object] = {"__name__": page}

    async def run_all() -> None:
        for block in blocks:
            if block.language in SHELL:
                run_shell(block, project)
            else:
                await run_python(block, names)

    assert blocks
    asyncio.run(run_all())
    if page == "docs/python-api.md":
        assert names["results"].benchmark_info["sample_size"] == 2  # type: ignore[attr-defined]
        assert names["task"].id == "my_custom_task"  # type: ignore[attr-defined]
        assert not names["task"].folder.exists(), "the page removes what it made"  # type: ignore[attr-defined]
