"""Workspaces that are one commit of a git repository: read as it was, nothing executed, refused in one line."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from ai_dev_tools.benchmark.errors import ConfigurationError
from ai_dev_tools.benchmark.tasks.loading import Task
from ai_dev_tools.benchmark.tasks.repositories import fetch_repository
from support.workspaces import task_of

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def git(folder: Path, *words: str) -> str:
    who = ["-c", "user.name=T", "-c", "user.email=t@example.org", "-c", "init.defaultBranch=main"]
    return subprocess.run(
        ["git", "-C", str(folder), *who, *words], check=True, capture_output=True, text=True
    ).stdout.strip()


@pytest.fixture
def commit(mine: Path) -> str:
    """The folder as a repository of one commit, after which its files change."""
    (mine / ".git" / "HEAD").unlink()
    git(mine, "init", "--quiet")
    git(mine, "add", "--all")
    git(mine, "commit", "--quiet", "-m", "first")
    (mine / "app" / "core.py").write_text("changed later\n")
    return git(mine, "rev-parse", "HEAD")


def fetched(task: Task, tmp_path: Path) -> Path:
    ((name, source),) = task.repositories.items()
    fetch_repository(source, tmp_path / name, task.folder, "case1.yaml")
    return tmp_path / name


def test_a_commit_is_read_as_it_was(mine: Path, commit: str, tmp_path: Path) -> None:
    folder = fetched(task_of(tmp_path, {"git": "../../mine", "commit": commit}), tmp_path)
    assert sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()) == [
        "README.md",
        "app/core.py",
        "app/core.py~",
        "app/util.py",
    ]
    assert (folder / "app/core.py").read_text() == "def run():\n    return 1\n"


def test_a_commit_at_an_address_is_fetched_alone(mine: Path, commit: str, tmp_path: Path) -> None:
    git(mine, "commit", "--quiet", "--all", "-m", "second")
    folder = fetched(task_of(tmp_path, {"git": mine.as_uri(), "commit": commit}), tmp_path)
    assert (folder / "app/core.py").read_text() == "def run():\n    return 1\n"


def test_nothing_of_a_repository_is_executed(mine: Path, commit: str, tmp_path: Path) -> None:
    """No hook, and no filter that its attributes name."""
    (mine / ".gitattributes").write_text("*.py filter=evil\n")
    git(mine, "config", "filter.evil.smudge", f"touch {tmp_path}/ran; cat")
    for hook in ("post-checkout", "reference-transaction", "post-merge"):
        (mine / ".git/hooks" / hook).write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
        (mine / ".git/hooks" / hook).chmod(0o755)
    fetched(task_of(tmp_path, {"git": str(mine), "commit": commit}), tmp_path)
    assert not (tmp_path / "ran").exists()


def test_a_link_in_a_commit_may_not_lead_out(mine: Path, commit: str, tmp_path: Path) -> None:
    (mine / "inside").symlink_to("app/../README.md")
    git(mine, "add", "--all")
    git(mine, "commit", "--quiet", "-m", "a link")
    inside = git(mine, "rev-parse", "HEAD")
    assert not (fetched(task_of(tmp_path / "a", {"git": str(mine), "commit": inside}), tmp_path) / "inside").exists()
    (mine / "app" / "out").symlink_to("../../../etc/passwd")
    git(mine, "add", "--all")
    git(mine, "commit", "--quiet", "-m", "a link out")
    outside = git(mine, "rev-parse", "HEAD")
    with pytest.raises(ConfigurationError, match="app/out is a link that leads out of it"):
        fetched(task_of(tmp_path / "b", {"git": str(mine), "commit": outside}), tmp_path)


def test_an_address_without_a_repository_is_one_line_with_gits_own_reason(tmp_path: Path) -> None:
    task = task_of(tmp_path, {"git": (tmp_path / "absent").as_uri(), "commit": COMMIT})
    with pytest.raises(ConfigurationError, match=r"Could not read from remote repository\. Check address") as caught:
        fetched(task, tmp_path)
    assert "\n" not in str(caught.value)
    assert ".." not in str(caught.value)


def test_a_commit_that_an_address_lacks_is_one_line(mine: Path, commit: str, tmp_path: Path) -> None:
    task = task_of(tmp_path, {"git": mine.as_uri(), "commit": COMMIT})
    with pytest.raises(ConfigurationError, match=f"{COMMIT} cannot be fetched from file://") as caught:
        fetched(task, tmp_path)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.glob(".git.*"))


@pytest.mark.parametrize(
    ("lost", "words"),
    [("app/util.py", r"git cannot read app/util.py \([0-9a-f]{40}\)"), ("app", "git cannot list its files: ")],
)
def test_a_repository_that_lacks_an_object_is_one_line(
    lost: str, words: str, mine: Path, commit: str, tmp_path: Path
) -> None:
    """As a partial clone without a network, or a damaged disk."""
    digest = git(mine, "rev-parse", f"{commit}:{lost}")
    (mine / ".git" / "objects" / digest[:2] / digest[2:]).unlink()
    with pytest.raises(ConfigurationError, match=f"{words}.*git fsck") as caught:
        fetched(task_of(tmp_path, {"git": str(mine), "commit": commit}), tmp_path)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.glob(".git.*"))


def test_a_repository_that_cannot_be_written_is_one_line(mine: Path, commit: str, tmp_path: Path) -> None:
    task = task_of(tmp_path, {"git": str(mine), "commit": commit})
    ((name, source),) = task.repositories.items()
    (tmp_path / "full").write_text("")  # a file where the folder should be, since root can write everywhere
    with pytest.raises(ConfigurationError, match=r"cannot be written to .*full.*Free disk space"):
        fetch_repository(source, tmp_path / "full" / name, task.folder, "case1.yaml")


NOT_A_COMMIT: dict[str, tuple[dict[str, Any], str]] = {
    "branch": ({"git": "../../mine", "commit": "main"}, "'commit' is 'main', which is not a full commit id"),
    "short": ({"git": "../../mine", "commit": "0123abc"}, "not a full commit id"),
    "none": ({"git": "../../mine"}, "'commit' is missing"),
    "no such commit": ({"git": "../../mine", "commit": COMMIT}, f"{COMMIT} is not a commit of ../../mine"),
    "no repository": ({"git": "../..", "commit": COMMIT}, "../.. is not a git repository"),
    "folder within": ({"git": "../../mine/app", "commit": COMMIT}, "is a folder within a repository"),
    "nothing there": ({"git": "../../absent", "commit": COMMIT}, "neither a folder nor an address"),
    "option": ({"git": "--upload-pack=x", "commit": COMMIT}, "neither a folder nor an address"),
    "program": ({"git": "ext::sh -c x", "commit": COMMIT}, "neither a folder nor an address"),
    "password": ({"git": "https://me:secret@example.org/x", "commit": COMMIT}, "contains a name or password"),
    "token": ({"git": "https://ghp_secret@example.org/x", "commit": COMMIT}, "contains a name or password"),
    "two places": ({"git": "x", "path": "y"}, "give exactly one of 'corpus', 'path' and 'git'"),
    "no place": ({}, "give exactly one of 'corpus', 'path' and 'git'"),
    "commit of a folder": ({"path": "../../mine", "commit": COMMIT}, "'commit' needs 'git'"),
    "no folder": ({"path": "../../absent"}, "'workspace.path' ../../absent is not a folder"),
    "a file": ({"path": "../../mine/README.md"}, "is not a folder"),
    "unknown": ({"url": "x"}, "unknown setting 'workspace.url'"),
}


@pytest.mark.parametrize(("space", "words"), NOT_A_COMMIT.values(), ids=NOT_A_COMMIT.keys())
def test_a_place_that_is_none_is_one_line_when_the_task_is_read(
    space: dict[str, Any], words: str, commit: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        task_of(tmp_path, space)
    line = str(caught.value)
    assert words in line
    assert "case1.yaml" in line
    assert "\n" not in line
    assert "secret" not in line
