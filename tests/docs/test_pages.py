"""What README and docs say is there: commands, options, settings, files; and every block is of a kind that tests know."""

from __future__ import annotations

import ast
import csv
import importlib.util
import io
import json
import pkgutil
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from ai_dev_tools.benchmark.config.models import Config, load_config
from ai_dev_tools.benchmark.config.parsing import parse, read_yaml
from ai_dev_tools.benchmark.config.resolving import resolve_profile
from ai_dev_tools.benchmark.config.sources import load_settings, merge
from ai_dev_tools.benchmark.prompts.agent_program_file import ProgramSpec
from ai_dev_tools.benchmark.prompts.tool_spec import load_tool
from ai_dev_tools.benchmark.tasks.workspaces import WorkspaceSource
from ai_dev_tools.cli.benchmark_cli import app, join_lists
from ai_dev_tools.cli.rooms import floors, rooms_picture
from support.documents import DATA, DIRECTIVES, PLAIN, PYTHON, SHELL, Block, every_block, pages
from support.repository import ROOT

BLOCKS = every_block()
OTHER_PROGRAMS = {
    "pip",
    "cd",
    "cp",
    "echo",
    "head",
    "diff",
    "unzip",
    "curl",
    "uv",
    "cargo",
    "ssh-keygen",
    "cosign",
    "git",
    "snakedeploy",
    "lizard",
    "ls",
    "source",
}


def of(*languages: str) -> Any:
    chosen = [block for block in BLOCKS if block.language in languages]
    return pytest.mark.parametrize("block", chosen, ids=map(str, chosen))


def test_every_block_is_of_a_known_kind() -> None:
    """Anything else would be executed by nobody."""
    known = (*SHELL, *PYTHON, *DATA, *PLAIN, *DIRECTIVES)
    assert [str(block) for block in BLOCKS if block.language not in known] == []


def test_code_stands_in_fences() -> None:
    """An indented block has no language, so nothing would check it."""
    found = []
    for page in pages():
        inside, above = False, "x"
        for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), start=1):
            inside ^= line.lstrip().startswith("```")
            listed = re.match(r"\s*([-*]|\d+\.)\s", above)
            if not inside and line.startswith("    ") and not above.strip() and not listed:
                found.append(f"{page.relative_to(ROOT)}:{number}")
            above = line or above if listed else line
    assert found == []


def test_a_block_that_is_not_run_says_why() -> None:
    for block in BLOCKS:
        if block.mark.startswith("not run"):
            assert len(block.mark.removeprefix("not run: ").split()) >= 3, f"{block}: say why in a few words"
        if block.mark == "dry run":
            assert block.language in SHELL, block


# shell


@cache
def own_options() -> dict[str, set[str]]:
    """The options of each command of `ai-dev-bench`."""
    from typer.main import get_command

    group: Any = get_command(app)
    found = {
        name: {flag for each in command.params for flag in (*each.opts, *each.secondary_opts)}
        for name, command in group.commands.items()
    }
    return found | {"": {flag for each in group.params for flag in each.opts} | {"--help", "-h"}}


@cache
def snakemake_options() -> set[str]:
    from snakemake.cli import get_argument_parser

    return set(get_argument_parser()._option_string_actions)


@cache
def rule_names() -> set[str]:
    files = [ROOT / "Snakefile", *(ROOT / "workflow" / "rules").glob("*.smk")]
    return set(re.findall(r"^rule (\w+):", "\n".join(file.read_text() for file in files), re.MULTILINE))


def options(words: list[str]) -> Iterator[str]:
    for word in words:
        if word.startswith("-") and word != "-" and not re.fullmatch(r"-\d+", word):
            yield word.partition("=")[0]


def settings(words: list[str]) -> Iterator[str]:
    """Names of the settings behind `--config`."""
    inside = False
    for word in words:
        if word.startswith("-"):
            inside = word == "--config"
        elif inside and "=" in word:
            yield word.partition("=")[0]


def check_own(words: list[str]) -> None:
    at = words.index("--") if "--" in words else len(words)
    own, flags = join_lists(words[:at]), words[at + 1 :]
    if not own or own[0].startswith("-"):
        assert set(own) <= own_options()[""]
        return
    name = own[0]
    assert name in own_options(), f"no command {name}"
    unknown = {word for word in options(own[1:]) if word not in own_options()[name] | {"--help"}}
    assert not unknown, f"{name} has no {unknown}"
    assert set(settings(own)) <= set(Config.model_fields)
    assert set(options(flags)) <= snakemake_options()


def check_snakemake(words: list[str]) -> None:
    assert set(options(words)) <= snakemake_options() | {"--"}
    assert set(settings(words)) <= set(Config.model_fields)
    for word in words:
        if re.fullmatch(r"[a-z_]+", word) and words[words.index(word) - 1] in (words[0], "1", "2", "8", "--"):
            assert word in rule_names() | {words[0]} | {"slurm", "conda"}, f"no target {word}"


def check_python(words: list[str]) -> None:
    if words[:1] == ["-m"]:
        assert importlib.util.find_spec(words[1]) is not None, f"no module {words[1]}"
    elif words[:1] != ["-c"]:
        assert (ROOT / words[0]).exists(), f"no file {words[0]}"


@of(*SHELL)
def test_commands_and_options_exist(block: Block) -> None:
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for program, *words in block.commands():
        match program:
            case "ai-dev-bench":
                check_own(words)
            case "snakemake":
                check_snakemake([program, *words])
            case "python":
                check_python(words)
            case "pytest":
                assert (ROOT / words[0]).exists()
            case "make":
                assert set(words) <= targets
            case _ if program.startswith("./scripts/") or program.startswith("scripts/"):
                assert (ROOT / program).exists()
            case _:
                assert program in OTHER_PROGRAMS or (ROOT / program).exists(), f"unknown program {program}"


# data


@of("python")
def test_python_compiles(block: Block) -> None:
    compile(block.text, str(block), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


def shipped() -> dict[str, Any]:
    return dict(read_yaml(ROOT / "config" / "config.yaml"))


@of("yaml")
def test_yaml_is_what_it_seems(block: Block, tmp_path: Path) -> None:
    """Settings, tasks, cases and tools are read by the code that reads the real files."""
    documents = [yaml.safe_load(line) for line in block.text.splitlines()] if one_per_line(block) else None
    data = documents[0] if documents else yaml.safe_load(block.text)
    assert isinstance(data, dict), "a mapping"
    keys = set(data)
    if "jobs" in keys:
        steps = data["jobs"]["benchmark"]["steps"]
        for line in (step["run"] for step in steps if "run" in step):
            if line.startswith("ai-dev-bench"):
                check_own(line.split()[1:])
    elif {"id", "question"} <= keys or {"id", "template"} <= keys or {"id", "cluster"} <= keys:
        return  # a file that its tutorial says to save: read by tests/slow/docs/test_tutorials.py
    elif {"id", "agent"} <= keys:
        file = tmp_path / f"{data['id']}.yaml"
        file.write_text(block.text)
        assert load_tool(file).agent is not None
    elif keys == {"cases_from"}:
        assert documents
    elif {"id", "command", "answer"} <= keys:
        parse(ProgramSpec, data, str(block), {"file": Path("agent.yaml")})
    elif keys == {"workspace"}:
        WorkspaceSource(**data["workspace"])
    elif keys & set(Config.model_fields):
        config = load_config(merge(shipped(), {}, data).settings)
        for profile in data.get("profiles", {}):
            assert resolve_profile(config, profile).instances
    else:
        assert block.mark, f"{block}: nobody knows what {sorted(keys)} is; mark it"


def one_per_line(block: Block) -> bool:
    return all(line.startswith("cases_from:") for line in block.text.splitlines())


@of("toml")
def test_toml_is_a_section_that_is_read(block: Block, tmp_path: Path) -> None:
    assert "tool" in tomllib.loads(block.text)
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "config.yaml").write_text((ROOT / "config" / "config.yaml").read_text())
    (tmp_path / "pyproject.toml").write_text(block.text)
    merged = load_settings(tmp_path, {})
    assert "pyproject.toml" in merged.sources.values()
    load_config(merged.settings)


@of("json", "csv")
def test_other_data_can_be_read(block: Block) -> None:
    if block.language == "json":
        json.loads(block.text)
    else:
        rows = list(csv.reader(io.StringIO(block.text)))
        assert len({len(row) for row in rows}) == 1


# links and figures of the front page; Sphinx checks those of docs/


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "config/README.md"])
def test_links_lead_somewhere(page: str) -> None:
    path = ROOT / page
    for target in re.findall(r"\]\(([^)\s]+)\)", path.read_text(encoding="utf-8")):
        if not target.startswith(("http", "#")):
            assert (path.parent / target.partition("#")[0]).exists(), f"{page} links to {target}"


def test_paths_named_in_the_text_exist() -> None:
    """Files and modules that pages name in `code` are there, under that name."""
    pattern = re.compile(r"`((?:src|tests|benchmarks|workflow|profiles|envs|notebooks|scripts)/[\w./-]+\.\w+)`")
    missing = []
    for page in pages():
        for name in pattern.findall(page.read_text(encoding="utf-8")):
            if not (ROOT / name).exists():
                missing.append(f"{page.relative_to(ROOT)}: {name}")
    assert missing == []


def test_the_walks_through_the_design_name_what_is_there() -> None:
    """Modules, functions and types, below the package's folder."""
    page = (ROOT / "docs" / "design.md").read_text(encoding="utf-8")
    walks = page[page.index("### Walk 1") : page.index("### Details of the layout")]
    names = sorted(set(re.findall(r"`((?:[a-z_]+\.)+\w+)`", walks)))
    assert len(names) > 20
    missing = []
    for name in names:
        try:
            pkgutil.resolve_name(f"ai_dev_tools.benchmark.{name}")
        except (ImportError, AttributeError):
            missing.append(name)
    assert missing == []


def test_every_room_of_the_contract_is_in_the_picture_with_what_it_is_for() -> None:
    drawn = rooms_picture(ROOT / "pyproject.toml")
    for name in (name for floor in floors(ROOT / "pyproject.toml") for name in floor):
        assert f">{name}</text>" in drawn


def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    """Links between pages, anchors, pictures, the table of contents."""
    build = [
        sys.executable,
        "-m",
        "sphinx",
        "-q",
        "-W",
        "--keep-going",
        "-b",
        "html",
        str(ROOT / "docs"),
        str(tmp_path),
    ]
    done = subprocess.run(build, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120, check=False)
    assert done.returncode == 0, done.stdout
    front = (tmp_path / "index.html").read_text(encoding="utf-8")
    for caption in ("Tutorials", "How to", "Reference", "Explanation"):
        assert caption in front
    assert "schema.json" not in front
