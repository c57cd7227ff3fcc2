"""Workspaces: all texts of a pinned package or a folder; what cannot be one is refused in one line."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_dev_tools.benchmark.errors import ConfigurationError
from ai_dev_tools.benchmark.prompts.fingerprints import case_digests
from ai_dev_tools.benchmark.tasks import workspaces
from ai_dev_tools.benchmark.tasks.corpora import CorpusUnavailable
from ai_dev_tools.benchmark.tasks.loading import load_task
from support.making import case, write_task
from support.workspaces import files_of, task_of

# --- a folder -----------------------------------------------------------------------------------------------------


def test_a_folder_has_its_texts_without_hidden_files_and_backups(mine: Path, tmp_path: Path) -> None:
    files = files_of(task_of(tmp_path, {"path": "../../mine"}), tmp_path)
    assert list(files.texts) == ["README.md", "app/core.py", "app/util.py"]
    assert files.left_out == ("logo.png",)
    assert files.texts["README.md"] == "# Mine ∀\n"
    assert files.tokens == round(sum(map(len, files.texts.values())) / 3.2)


def test_globs_choose_among_the_files(mine: Path, tmp_path: Path) -> None:
    def chosen(*globs: str) -> list[str]:
        return list(
            files_of(
                task_of(tmp_path / "-".join(globs).replace("/", "_"), {"path": str(mine)}, files=globs), mine
            ).texts
        )

    assert chosen("**/*.py") == ["app/core.py", "app/util.py"]
    assert chosen("app/u*", "README.md") == ["README.md", "app/util.py"]
    assert chosen("*.md") == ["README.md"]
    assert chosen("app/**") == ["app/core.py", "app/util.py"]
    assert chosen(".git/*") == [".git/HEAD"]


TREE = ("a.py", "b.txt", "aa/a.py", "aa/b.py", "aa/b/a.py", "b/aa/b/a.txt", "b/a/a.py")


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tree")
    for name in TREE:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("x = 1\n")
    return folder


@given(
    st.lists(st.sampled_from(["**", "*", "a", "a*", "b", "?", "[ab]"]), max_size=4),
    st.sampled_from(["*", "*.py", "a.*"]),
)
def test_globs_mean_what_they_mean_in_sources(tree: Path, folders: list[str], last: str) -> None:
    glob = "/".join([*folders, last])
    expected = {path.relative_to(tree).as_posix() for path in tree.glob(glob) if path.is_file()}
    assert {name for name in workspaces._walk(tree, [glob], "here") if workspaces._matches(name, glob)} == expected


def test_the_record_names_the_folder_as_seen_from_the_working_folder(
    mine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    record = files_of(task_of(tmp_path, {"path": "../../mine"}), tmp_path).record()
    assert (record.kind, record.root, record.label) == ("path", "mine", "../../mine")
    assert record.files == ["README.md", "app/core.py", "app/util.py"]


def test_the_digest_covers_names_and_contents(mine: Path, tmp_path: Path) -> None:
    task = task_of(tmp_path, {"path": str(mine)})
    before = files_of(task, tmp_path).digest
    assert files_of(task, tmp_path).digest == before
    (mine / "app/core.py").rename(mine / "app/kern.py")
    renamed = files_of(task, tmp_path).digest
    (mine / "app/kern.py").write_text("def run():\n    return 2\n")
    assert len({before, renamed, files_of(task, tmp_path).digest}) == 3


def test_a_changed_folder_is_another_case_for_the_plan(mine: Path, tmp_path: Path) -> None:
    task = task_of(tmp_path, {"path": str(mine)}, {"path": str(mine)})
    before = case_digests(task, ["case1", "case2"])
    (mine / "app/core.py").write_text("def run():\n    return 2\n")
    after = case_digests(task, ["case1", "case2"])
    assert before["case1"] != after["case1"]
    assert before["case2"] != after["case2"]


def link(place: str, target: str) -> Callable[[Path], object]:
    return lambda mine: (mine / place).symlink_to(target)


def large(mine: Path) -> None:
    (mine / "table.csv").write_bytes(b"1\n" * 2**21 + b"2\n")


REFUSED: dict[str, tuple[Callable[[Path], object], dict[str, Any], str]] = {
    "file link out": (link("app/passwd", "/etc/passwd"), {}, "app/passwd is a link that leads out of it"),
    "folder link out": (link("else", "/etc"), {}, "else is a link that leads out of it"),
    "link up": (link("app/up", "../.."), {}, "app/up is a link that leads out of it"),
    "link to itself": (link("loop", "loop"), {}, "loop is a broken link"),
    "link to nothing": (link("app/gone", "absent"), {}, "app/gone is a broken link"),
    "line end in a name": (
        lambda mine: (mine / "a\nb.py").write_text("x = 1\n"),
        {},
        r"'a\nb.py' has a line end or another control character in its name",
    ),
    "large file": (large, {}, "table.csv is larger than 4 MB. Name fewer with `files`"),
    "glob without match": (
        lambda mine: None,
        {"files": ["src/**/*.py"]},
        "'files' entry 'src/**/*.py' matches no file",
    ),
    "glob out": (lambda mine: None, {"files": ["../*"]}, "'files' entry '../*' leads out of the workspace"),
    "binary": (
        lambda mine: None,
        {"files": ["*.png"]},
        "'files' entry '*.png' matches only files that are not text: logo.png",
    ),
}


@pytest.mark.parametrize(("change", "fields", "words"), REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_be_a_workspace_is_one_line(
    change: Callable[[Path], object], fields: dict[str, Any], words: str, mine: Path, tmp_path: Path
) -> None:
    change(mine)
    task = task_of(tmp_path, {"path": str(mine)}, **fields)
    with pytest.raises(ConfigurationError) as caught:
        files_of(task, tmp_path)
    assert words in str(caught.value)
    assert "case1.yaml: workspace" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_cannot_be_read_is_one_line(mine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = Path.read_bytes

    def refused(path: Path) -> bytes:  # as with mode 000; who runs the tests may be root
        if path.name == "util.py":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", refused)
    with pytest.raises(ConfigurationError) as caught:
        files_of(task_of(tmp_path, {"path": str(mine)}), tmp_path)
    assert f"{mine}/app/util.py cannot be read: Permission denied. Make it readable" in str(caught.value)


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty" / ".git").mkdir(parents=True)
    with pytest.raises(ConfigurationError, match="it contains no files"):
        files_of(task_of(tmp_path, {"path": str(tmp_path / "empty")}), tmp_path)


@pytest.mark.parametrize(("limit", "words"), [("MAX_FILES", "more than 2 files"), ("MAX_BYTES", "larger than 0 MB")])
def test_a_folder_that_is_too_large_is_refused(
    limit: str, words: str, mine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workspaces, limit, 2)
    with pytest.raises(ConfigurationError, match=words):
        files_of(task_of(tmp_path, {"path": str(mine)}), tmp_path)


def test_a_name_that_is_not_utf_8_is_refused(mine: Path, tmp_path: Path) -> None:
    (mine / os.fsdecode(b"caf\xe9.py")).write_text("x = 1\n")
    with pytest.raises(ConfigurationError, match="not UTF-8"):
        files_of(task_of(tmp_path, {"path": str(mine)}), tmp_path)


def test_links_within_the_folder_are_files_and_no_way_round(mine: Path, tmp_path: Path) -> None:
    (mine / "also.py").symlink_to("app/core.py")
    (mine / "app" / "again").symlink_to("..")
    files = files_of(task_of(tmp_path, {"path": str(mine)}, files=["**/*.py"]), tmp_path)
    assert list(files.texts) == ["also.py", "app/core.py", "app/util.py"]


def test_links_that_no_glob_asks_for_do_no_harm(mine: Path, tmp_path: Path) -> None:
    (mine / "venv").symlink_to("/usr")
    files = files_of(task_of(tmp_path, {"path": str(mine)}, files=["app/*.py"]), tmp_path)
    assert list(files.texts) == ["app/core.py", "app/util.py"]


# --- a package ----------------------------------------------------------------------------------------------------


def test_a_package_is_the_folder_of_all_its_texts(tmp_path: Path) -> None:
    task = task_of(tmp_path, {"corpus": "demo"})
    assert task.corpora == ["demo-all"]
    with pytest.raises(CorpusUnavailable, match="corpus 'demo' is not available"):
        files_of(task, tmp_path / "corpora")
    (tmp_path / "corpora" / "demo-all").mkdir(parents=True)
    (tmp_path / "corpora" / "demo-all" / "demo.py").write_text("x = 1\n")
    assert list(files_of(task, tmp_path / "corpora").texts) == ["demo.py"]


# --- tasks --------------------------------------------------------------------------------------------------------


TASKS: dict[str, tuple[dict[str, Any], list[dict[str, Any]], str]] = {
    "not declared": ({"agents_only": None}, [{}], "'agents_only: true' is missing"),
    "one without": ({}, [{}, {"workspace": None, "source": "two"}], "two.yaml: 'workspace' is missing"),
    "tools": ({"tools": ["echo"]}, [{}], "ask for the arm agent-echo instead"),
    "one repository": ({"single_source": None}, [{}], "all cases are about one repository"),
    "excerpt": ({}, [{"excerpt": {"file": "a.py", "symbols": ["x"]}}], "an agent decides itself what it reads"),
    "two sources": ({}, [{"inline": {"a.py": "x"}}], "give exactly one of 'source', 'inline', 'contexts' and"),
}


@pytest.mark.parametrize(("changed", "fields", "words"), TASKS.values(), ids=TASKS.keys())
def test_a_task_whose_cases_do_not_fit_together_is_one_line(
    changed: dict[str, Any], fields: list[dict[str, Any]], words: str, tmp_path: Path
) -> None:
    names = ("one", "two")
    cases = [
        case(name, **({"source": None, "workspace": {"corpus": "demo"}} | more))
        for name, more in zip(names, fields, strict=False)
    ]
    task = {"tools": None, "agents_only": True, "single_source": True} | changed
    with pytest.raises(ConfigurationError) as caught:
        load_task(write_task(tmp_path, *cases, sources={"two/a.py": "x = 1\n"}, **task))
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_small_workspace_is_of_class_s(mine: Path, tmp_path: Path) -> None:
    files = files_of(task_of(tmp_path, {"path": str(mine)}), tmp_path)
    assert workspaces.workspace_problem("S", files, "one") is None
    (mine / "long.py").write_text("x = 1\n" * 10_000)
    files = files_of(task_of(tmp_path / "again", {"path": str(mine)}), tmp_path)
    assert "declare size: L" in str(workspaces.workspace_problem("S", files, "one"))
    assert workspaces.workspace_problem("L", files, "one") is None
