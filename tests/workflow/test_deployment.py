"""The workflow in other people's hands: as a module, through snakedeploy, with conda, without its package."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

from ai_dev_tools.benchmark.config.shipped_files import workflow_home
from ai_dev_tools.benchmark.errors import ConfigurationError
from fakes.ollama import FakeOllama
from support.documents import blocks
from support.repository import ROOT
from support.workflow_project import Project

MODEL = "llama3.2:1b"
OTHER = """
configfile: "config/config.yaml"


module benchmark:
    snakefile:
        "{snakefile}"
    config:
        {config}


use rule * from benchmark
"""


def other_workflow(folder: Path, settings: object, config: str = "config", **place: Path) -> Path:
    """A workflow of somebody else's, with a module statement as snakedeploy writes it."""
    (folder / "workflow").mkdir(parents=True)
    (folder / "config").mkdir()
    snakefile = place.get("snakefile", ROOT / "workflow" / "Snakefile")
    text = OTHER.format(snakefile=snakefile, config=config)
    (folder / "workflow" / "Snakefile").write_text(text)
    (folder / "config" / "config.yaml").write_text(yaml.safe_dump(settings))
    return folder


def snakemake(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "snakemake", "--cores", "2", *arguments], cwd=folder, env=os.environ | environment,
        text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300, check=False,
    )  # fmt: skip


def test_a_module_makes_the_report_by_default(tmp_path: Path) -> None:
    settings = {"tasks": ["safety_assessment"], "profile": "light", "endpoint": "http://127.0.0.1:9"}
    folder = other_workflow(tmp_path / "other", settings)
    done = snakemake(folder, "--dry-run", "--quiet", "rules")
    assert done.returncode == 0, done.stdout
    made = re.search(r"output files have to be generated:\n(.*)", done.stdout)
    assert made is not None
    assert {"run_block", "make_tables", "render_report"} <= set(made[1].replace(",", "").split())


def test_a_setting_of_the_command_line_reaches_the_module(tmp_path: Path) -> None:
    folder = other_workflow(tmp_path / "other", {"profile": "light"})
    assert "unknown task 'safty'" in snakemake(folder, "--dry-run", "--config", "tasks=safty").stdout


def test_a_prefix_is_refused(tmp_path: Path) -> None:
    """Samples are no declared outputs, so Snakemake cannot move them."""
    folder = other_workflow(tmp_path / "other", {}, config='config\n    prefix: "there"')
    done = snakemake(folder, "--dry-run")
    assert done.returncode != 0
    assert [line for line in done.stdout.splitlines() if "cannot be used as a module with `prefix`" in line]
    assert "Traceback" not in done.stdout


@pytest.mark.slow
def test_the_documented_module_runs_to_the_end(tmp_path: Path) -> None:
    """Results and the archive are the other folder's; rules, tasks and notebook this one's."""
    page = ROOT / "docs" / "module.md"
    (snakefile,) = [block.text for block in blocks(page) if block.language == "text"]
    (settings,) = [yaml.safe_load(block.text) for block in blocks(page) if block.language == "yaml"]
    before = set(ROOT.glob("results/*"))
    with FakeOllama(models=[MODEL]) as fake:
        settings["benchmark"] |= {"endpoint": fake.url, "samples": 2}
        folder = other_workflow(tmp_path / "other", settings)
        (folder / "workflow" / "Snakefile").write_text(snakefile.replace("/path/to/clone", str(ROOT)))
        done = snakemake(folder)
        assert done.returncode == 0, done.stdout
        done = snakemake(folder, "benchmark_archive")
        assert done.returncode == 0, done.stdout
    assert (folder / "verdicts.csv").read_text().startswith("profile,claim,")
    assert len(list((folder / "results/light/samples").rglob("[0-9]*.json"))) == 2 * 3
    assert (folder / "results/light/report/report.html").exists()
    (archive,) = folder.glob("results/light/archive/*.zip")
    with zipfile.ZipFile(archive) as crate:
        assert {"Snakefile", "workflow/Snakefile", "config/tasks/safety_assessment/task.yaml"} <= set(crate.namelist())
    assert set(ROOT.glob("results/*")) == before


def test_tasks_are_found_next_to_the_snakefile_or_in_the_package(tmp_path: Path) -> None:
    for name in ("tasks", "tools"):
        (tmp_path / "config" / name).mkdir(parents=True)
    assert workflow_home(str(tmp_path)) == tmp_path
    assert workflow_home("https://example.org/workflow") == ROOT


def test_nowhere_to_find_tasks_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("CHECKOUT", "PACKAGED"):
        monkeypatch.setattr(f"ai_dev_tools.benchmark.config.shipped_files.{name}", tmp_path)
    with pytest.raises(ConfigurationError, match=r"no tasks next to the Snakefile .* pip install \."):
        workflow_home("https://example.org/workflow")


@pytest.mark.slow
def test_a_wheel_carries_the_workflow(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True, timeout=120)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as content:
        content.extractall(tmp_path / "installed")
    shipped = tmp_path / "installed" / "ai_dev_tools" / "benchmark" / "shipped"
    settings = {"tasks": ["safety_assessment"], "profile": "light", "endpoint": "http://127.0.0.1:9"}
    folder = other_workflow(tmp_path / "other", settings, snakefile=shipped / "Snakefile")
    done = snakemake(folder, "--dry-run", "--quiet", "rules", PYTHONPATH=str(tmp_path / "installed"))
    assert done.returncode == 0, done.stdout
    assert "run_block" in done.stdout


def test_without_its_package_one_line_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "ai_dev_tools").mkdir()
    (tmp_path / "ai_dev_tools" / "__init__.py").write_text(
        "raise ModuleNotFoundError(\"No module named 'ai_dev_tools'\")"
    )
    folder = other_workflow(tmp_path / "other", {})
    done = snakemake(folder, "--dry-run", PYTHONPATH=str(tmp_path))
    assert done.returncode == 1
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("error: ")]
    assert "`pip install .`" in line
    assert "Traceback" not in done.stdout and "File " not in done.stdout


def conda_environment() -> dict[str, str]:
    """Package -> version bound, of the environment for `--sdm conda`."""
    listed = yaml.safe_load((ROOT / "envs" / "environment.yaml").read_text())["dependencies"]
    (pip,) = [item["pip"] for item in listed if isinstance(item, dict)]
    found = {}
    for item in [*(item for item in listed if isinstance(item, str)), *pip]:
        requirement = Requirement(item)
        found[
            {"snakemake-minimal": "snakemake", "matplotlib-base": "matplotlib"}.get(requirement.name, requirement.name)
        ] = str(requirement.specifier)
    return found


def test_conda_environment_has_the_bounds_of_the_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = {Requirement(line).name: str(Requirement(line).specifier) for line in project["dependencies"]}
    assert conda_environment() == wanted | {"python": project["requires-python"]}


FAKE_CONDA = """#!/usr/bin/env bash
# A labelled fake: makes virtual environments that see the packages of the running one, but not this project's.
case "$1 $2" in
  "info --json") echo '{{"conda_prefix": "{prefix}", "platform": "linux-64"}}' ;;
  "--version "*) echo "conda 25.1.0 (fake)" ;;
  "config --get") echo '{{"get": {{"channel_priority": "strict"}}}}' ;;
  "env create")
    for word in "$@"; do last=$word; done
    {python} -m venv --without-pip "$last"
    echo {packages} > "$("$last/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/all.pth" ;;
  "clean -y") ;;
  *) echo "fake conda: $*" >&2; exit 1 ;;
esac
"""


@pytest.mark.slow
def test_jobs_run_in_the_conda_environment(tmp_path: Path) -> None:
    """As far as it can be seen without conda: the environment is made, gets the package, and jobs use its Python."""
    bin_folder = tmp_path / "conda" / "bin"
    bin_folder.mkdir(parents=True)
    packages = Path(yaml.__file__).parents[1]
    script = FAKE_CONDA.format(prefix=tmp_path / "conda", python=sys.executable, packages=packages)
    (bin_folder / "conda").write_text(script)
    (bin_folder / "conda").chmod(0o755)
    (bin_folder / "activate").write_text('export PATH="$1/bin:$PATH"\n')
    path = os.pathsep.join([str(bin_folder), str(Path(sys.executable).parent), os.environ["PATH"]])
    with FakeOllama(models=[MODEL]) as fake:
        settings = {"profile": "light", "endpoint": fake.url, "tasks": ["safety_assessment"], "samples": 1}
        folder = other_workflow(tmp_path / "other", settings)
        done = snakemake(folder, "--sdm", "conda", "--until", "make_tables", PATH=path)
        assert done.returncode == 0, done.stdout
    assert len(list((folder / "results/light/samples").rglob("[0-9]*.json"))) == 3
    (environment,) = folder.glob(".snakemake/conda/*_/")
    (link,) = environment.glob("lib/python*/site-packages/ai_dev_tools")
    assert link.resolve() == ROOT / "src" / "ai_dev_tools"


def test_lint_finds_only_what_is_argued(tmp_path: Path) -> None:
    """Targets without output talk to the person at the terminal about the environment there, or remove files."""
    said = Project.create(tmp_path).snakemake("--lint").stdout
    lints: set[tuple[str, str]] = set()
    where = ""
    for line in said.splitlines():
        if line.startswith("Lints for "):
            where = line.removeprefix("Lints for ").partition(" (")[0]
        elif line.startswith("    * "):
            lints.add((where, line.strip(" *:")))
    argued = ("No log directive defined", "Specify a conda environment or container for each rule.")
    spoken_or_removed = ("list_tasks", "validate", "plan", "clean_report", "clean_resources")
    assert lints == {(f"rule {rule}", title) for rule in spoken_or_removed for title in argued}, said


def test_the_catalog_finds_what_it_wants() -> None:
    usage = yaml.safe_load((ROOT / ".snakemake-workflow-catalog.yml").read_text())["usage"]
    assert set(usage) <= {"mandatory-flags", "software-stack-deployment", "report"}
    assert (ROOT / "workflow" / "Snakefile").exists()
    assert (ROOT / "config" / "README.md").read_text().strip()
    assert all((ROOT / word).exists() for word in usage["mandatory-flags"]["flags"].split() if "/" in word)


def test_no_rule_is_longer_than_twenty_lines() -> None:
    text = "\n".join(file.read_text() for file in (ROOT / "workflow" / "rules").glob("*.smk"))
    rules = re.findall(r"^rule (\w+):\n((?:(?: .*)?\n)+)", text + "\n", re.MULTILINE)
    lengths = {name: 1 + len(body.strip("\n").splitlines()) for name, body in rules}
    assert len(lengths) > 10
    assert [name for name, length in lengths.items() if length > 20] == []
