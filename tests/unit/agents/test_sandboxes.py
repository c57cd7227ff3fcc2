"""Which sandbox an agent of others gets, and what podman is told; `tests/slow/container` runs it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ai_dev_tools.benchmark.agents import podman, sandbox
from ai_dev_tools.benchmark.errors import ConfigurationError
from ai_dev_tools.benchmark.prompts.run_folder import fresh_run_folder


@pytest.mark.parametrize(
    ("setting", "broken", "expected"),
    [
        ("auto", (), "bubblewrap"),
        ("auto", ("bubblewrap",), "podman"),
        ("bubblewrap", ("podman",), "bubblewrap"),
        ("podman", ("bubblewrap",), "podman"),
        ("podman", (), "podman"),
        ("none", ("bubblewrap", "podman"), "none"),
    ],
)
def test_a_setting_means_the_first_sandbox_that_works(
    monkeypatch: pytest.MonkeyPatch, setting: Any, broken: tuple[str, ...], expected: str
) -> None:
    for name, function in (("bubblewrap", "bubblewrap_problem"), ("podman", "_podman_problem")):
        problem = f"a trial of {name} failed" if name in broken else ""
        monkeypatch.setattr(sandbox, function, lambda problem=problem: problem)
    assert sandbox.agent_sandbox("x", setting) == expected


def test_podman_gets_no_variable_that_it_does_not_need(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "s3cr3t")
    monkeypatch.setenv("https_proxy", "http://user:s3cr3t@proxy")
    monkeypatch.setenv("CONTAINERS_CONF", "/mine/containers.conf")
    with fresh_run_folder(same_paths=True) as run_folder:
        starter = podman.container(run_folder, podman.VisiblePaths([], {}), 1)
    assert starter.environment is not None and starter.environment["CONTAINERS_CONF"] == "/mine/containers.conf"
    assert "s3cr3t" not in str(starter)


def test_a_place_that_podman_cannot_show_is_one_line() -> None:
    shown = podman.VisiblePaths([Path("/opt/a:b")], {})
    with (
        fresh_run_folder(same_paths=True) as run_folder,
        pytest.raises(ConfigurationError, match=r"podman cannot show /opt/a:b, because there is a ':' in its name"),
    ):
        podman.container(run_folder, shown, 1)


def test_podman_that_is_not_there_is_said_without_a_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(podman, "podman", lambda: None)
    assert podman.podman_problem(podman.VisiblePaths([], {})) == "podman is not installed"
