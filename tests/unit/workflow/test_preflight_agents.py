"""What `validate` says about a third-party agent before anything is asked."""

from __future__ import annotations

from pathlib import Path

import pytest

from ai_dev_tools.benchmark.config.models import load_config
from ai_dev_tools.benchmark.planning.opening import open_experiment
from ai_dev_tools.benchmark.workflow import preflight
from support.repository import ROOT


def checks(approaches: str, folder: Path) -> dict[str, preflight.PreflightCheck]:
    config = load_config({
        "profile": "light", "tasks": "safety_assessment", "approaches": approaches,
        "agent": {"program": "mini_swe_agent", "folder": str(folder)},
        "profiles": {"light": {"endpoint": "http://localhost:1", "instances": {"small": {"model": "fake:1b"}}}},
    })  # fmt: skip
    return {check.name: check for check in preflight._agent(open_experiment(config, ROOT))}


def test_an_agent_that_is_not_installed_fails_with_how_to_install_it(tmp_path: Path) -> None:
    found = checks("agent", tmp_path)["agent mini_swe_agent"]
    assert found.status == "failed" and "not installed" in found.found
    assert f"{tmp_path}/bin/pip install mini-swe-agent" in found.fix


def test_an_agent_without_a_sandbox_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ai_dev_tools.benchmark.agents.sandbox.bubblewrap_problem", lambda: "it is not installed")
    monkeypatch.setattr("ai_dev_tools.benchmark.agents.sandbox._podman_problem", lambda: "podman does not work")
    found = checks("agent", tmp_path)["sandbox of the agent"]
    assert (
        found.status == "failed" and "needs a sandbox, but it is not installed and podman does not work" in found.found
    )


def test_an_agent_that_drives_nothing_is_not_looked_for(tmp_path: Path) -> None:
    assert checks("baseline,tools,no_context", tmp_path) == {}
