"""The headline command, `snakemake --cores 8 --config profile=heavy`, against labelled fakes on its four ports."""

from __future__ import annotations

import csv
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from fakes.ollama import FakeOllama
from support.repository import ROOT
from support.workflow_project import Project

MODELS = {11434: "llama3.2:1b", 11435: "llama3.2:3b", 11436: "llama3.1:8b", 11437: "codellama:7b"}
SETTINGS = {"profile": "heavy", "approaches": "baseline,tools"}

pytestmark = pytest.mark.slow


@pytest.fixture
def servers() -> Iterator[None]:
    with ExitStack() as stack:
        for port, model in MODELS.items():
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    pytest.skip(f"port {port} is in use on this machine")
            fake = stack.enter_context(FakeOllama(models=[model], port=port))
            fake.keep = False
        yield


def test_four_models_six_tasks(tmp_path: Path, servers: None) -> None:
    project = Project.create(tmp_path)
    corpora = ROOT / "resources" / "corpora"
    if corpora.is_dir():
        (project.folder / "resources").mkdir()
        (project.folder / "resources" / "corpora").symlink_to(corpora)
    project.run("--cores", "8", **SETTINGS)
    assert len(project.sample_files("heavy")) == 4 * 6 * 2 * 12
    tables = project.folder / "results/heavy/tables"
    for name in ("samples", "metrics", "comparisons", "verdicts"):
        column = "models" if name == "verdicts" else "model"
        found = {row[column] for row in csv.DictReader((tables / f"{name}.csv").open())}
        assert set(MODELS.values()) <= found, name
    assert "Nothing to be done" in project.run("--cores", "8", **SETTINGS)
