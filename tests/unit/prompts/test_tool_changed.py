"""A tool that was changed is run again, whatever version it states; one that was not, is not."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ai_dev_tools.benchmark.prompts.program_digest import executed_digest
from ai_dev_tools.benchmark.prompts.tool_results import ToolResult, collect_contexts
from ai_dev_tools.benchmark.tasks.loading import load_task
from support.making import tool, undisturbed, write_task


def program(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def distribution(site: Path, name: str, files: dict[str, str], editable: Path | None = None) -> None:
    """Lay out an installed distribution as an installer does, RECORD last."""
    info = site / f"{name}-1.0.dist-info"
    info.mkdir(parents=True)
    rows = []
    for path, text in files.items():
        file = site / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        rows.append(f"{path},sha256={digest},{len(text)}")
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    if editable:
        (info / "direct_url.json").write_text(json.dumps({"url": f"file://{editable}", "dir_info": {"editable": True}}))
    time.sleep(0.02)  # a clock tick of the file system
    (info / "RECORD").write_text("\n".join([*rows, f"{info.name}/METADATA,,", f"{info.name}/RECORD,,"]) + "\n")


def change(path: Path, text: str) -> Callable[[], object]:
    return lambda: path.write_text(text)


# --- what counts --------------------------------------------------------------------------------------------------


def test_a_program_and_what_a_link_leads_to(tmp_path: Path) -> None:
    real = program(tmp_path / "opt" / "real", "echo 1")
    (tmp_path / "link").symlink_to(real)
    first = executed_digest([str(tmp_path / "link")], None)
    assert executed_digest([str(tmp_path / "link")], None) == first
    program(real, "echo 2")
    assert executed_digest([str(tmp_path / "link")], None) != first


@pytest.mark.parametrize("word", ["{}", "--rules={}"])
@pytest.mark.parametrize("place", ["file", "folder"])
def test_a_script_or_folder_that_the_command_names(word: str, place: str, tmp_path: Path) -> None:
    script = program(tmp_path / "rules" / "a.sh", "echo 1")
    argv = [sys.executable, word.format(script if place == "file" else script.parent)]
    first = executed_digest(argv, None)
    program(script, "echo 2")
    second = executed_digest(argv, None)
    assert second != first
    if place == "folder":
        program(script.parent / "b.sh", "new")
        assert executed_digest(argv, None) != second


def test_the_package_behind_a_program_in_an_environment_of_its_own(tmp_path: Path) -> None:
    """As pipx and uv tool make them: the program only imports, and stays the same."""
    script = program(tmp_path / "bin" / "mytool", "exec python -m mytool")
    site = tmp_path / "lib" / "python3.11" / "site-packages"
    module = site / "mytool" / "core.py"
    distribution(site, "my-tool", {"mytool/core.py": "x = 1", "../../../bin/mytool": script.read_text()})
    distribution(site, "other", {"other.py": "y = 1"})
    first = executed_digest([str(script)], None)
    (site / "other.py").write_text("y = 2")
    assert executed_digest([str(script)], None) == first
    module.write_text("x = 2")
    changed = executed_digest([str(script)], None)
    assert changed != first
    module.write_text("x = 1")
    assert executed_digest([str(script)], None) == first, (
        "what counts is what the files hold, not when they were written"
    )
    module.unlink()
    assert executed_digest([str(script)], None) not in (first, changed)


@pytest.mark.parametrize("how", ["pth", "finder", "neither"])
def test_the_sources_of_a_package_that_is_installed_as_editable(how: str, tmp_path: Path) -> None:
    """A maker's everyday case: the version stays, the code changes, and nothing in the environment does."""
    project = tmp_path / "project"
    core = project / "src" / "mytool" / "core.py"
    core.parent.mkdir(parents=True)
    core.write_text("x = 1")
    script = program(tmp_path / "bin" / "mytool", "exec python -m mytool")
    files = {"../../../bin/mytool": script.read_text()}
    if how == "pth":
        files["__editable__.my_tool.pth"] = f"{project / 'src'}\n"
    elif how == "finder":
        files["__editable___my_tool_finder.py"] = f"MAPPING: dict[str, str] = {{'mytool': {str(core.parent)!r}}}\n"
    distribution(tmp_path / "lib" / "python3.11" / "site-packages", "my-tool", files, editable=project)
    first = executed_digest([str(script)], None)
    (project / ".git").mkdir()
    for left in (project / ".git" / "index", core.parent / "__pycache__" / "core.pyc"):
        left.parent.mkdir(exist_ok=True)
        left.write_text("made while running")
    assert executed_digest([str(script)], None) == first
    core.write_text("x = 2")
    assert executed_digest([str(script)], None) != first


def test_a_module_that_python_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mymod").mkdir()
    main = tmp_path / "mymod" / "__main__.py"
    main.write_text("print(1)")
    monkeypatch.syspath_prepend(str(tmp_path))
    argv = [sys.executable, "-m", "mymod"]
    first = executed_digest(argv, None)
    main.write_text("print(2)")
    assert executed_digest(argv, None) != first


def test_a_program_of_node(tmp_path: Path) -> None:
    package = tmp_path / "node_modules" / "mytool"
    cli = program(package / "bin" / "cli.js", "require('../lib')")
    (package / "package.json").write_text("{}")
    (package / "lib.js").write_text("1")
    (tmp_path / "node_modules" / ".bin").mkdir()
    (tmp_path / "node_modules" / ".bin" / "mytool").symlink_to(cli)
    argv = [str(tmp_path / "node_modules" / ".bin" / "mytool")]
    first = executed_digest(argv, None)
    (package / "lib.js").write_text("2")
    assert executed_digest(argv, None) != first


def test_files_as_their_installer_wrote_them_are_not_read(tmp_path: Path) -> None:
    """So that a package of gigabytes costs a look at each file: one that cannot be read is no difference."""
    script = program(tmp_path / "bin" / "big", "exec python -m big")
    site = tmp_path / "lib" / "python3.11" / "site-packages"
    distribution(site, "big", {"big/weights.bin": "w" * 1000, "../../../bin/big": script.read_text()})
    first = executed_digest([str(script)], None)
    record = site / "big-1.0.dist-info" / "RECORD"
    listed = record.read_text()
    recorded = listed.partition("big/weights.bin,")[2].partition(",")[0]
    record.write_text(listed.replace(recorded, "sha256=" + "A" * 43))
    assert executed_digest([str(script)], None) != first, "it went by what is recorded"
    os.utime(site / "big" / "weights.bin", ns=(time.time_ns() + 10**9,) * 2)
    assert executed_digest([str(script)], None) == first, "it read what was touched"


def test_installed_tools_can_be_told_apart_quickly() -> None:
    """For every package of this environment, whatever installed it."""
    assert executed_digest([sys.executable], "pytest") != executed_digest([sys.executable], "pydantic")
    assert executed_digest([sys.executable], "pytest") == executed_digest([sys.executable], "pytest")
    assert executed_digest(["no-such-program"], "no-such-package")


# --- what follows -------------------------------------------------------------------------------------------------


def collected(folder: Path, known: list[ToolResult], **changed: object) -> list[ToolResult]:
    task = load_task(folder / "colours")
    spec = tool(folder, command=("{tool_dir}/now",), version_command=("{python}", "-c", "print('1.0')"))
    known_rows = {row.case: row for row in known}
    return undisturbed(collect_contexts(task, spec, folder, known_rows, **changed))  # type: ignore[arg-type]


def test_a_changed_program_of_the_same_version_is_run_again(tmp_path: Path) -> None:
    write_task(tmp_path)
    program(tmp_path / "now", "date +%s%N")
    first = collected(tmp_path, [])
    assert collected(tmp_path, first) == first
    program(tmp_path / "now", "echo new; date +%s%N")
    second = collected(tmp_path, first)
    assert [row.version for row in second] == ["1.0", "1.0"]
    assert all(row.text.startswith("new") for row in second)


def test_only_the_cases_that_are_asked_for_are_run(tmp_path: Path) -> None:
    write_task(tmp_path)
    program(tmp_path / "now", "date +%s%N")
    (first,) = collected(tmp_path, [], cases=["two"])
    assert first.case == "two"
    both = collected(tmp_path, [first], cases=["one", "two"])
    assert [row.case for row in both] == ["one", "two"]
    assert both[1] == first


def test_a_real_package_installed_as_editable(tmp_path: Path) -> None:
    """The layout that this environment's installer makes is understood: this very project is installed so."""
    done = subprocess.run(
        [sys.executable, "-c", "import ai_dev_tools; print(ai_dev_tools.__file__)"],
        capture_output=True, text=True, check=True, cwd=tmp_path,
    )  # fmt: skip
    from importlib.metadata import distribution as installed

    from ai_dev_tools.benchmark.prompts import program_digest

    name = next(
        (d for d in ("ai-dev-tools", "ai-dev-tools-benchmark", "ai_dev_tools") if list(program_digest._installed(d))),
        None,
    )
    if name is None:
        pytest.skip("the project is installed under another name")
    assert any(Path(done.stdout.strip()).is_relative_to(folder) for folder in program_digest._sources(installed(name)))
