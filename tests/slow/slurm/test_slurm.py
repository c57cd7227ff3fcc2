"""The same workflow on a real Slurm of one node: blocks are Slurm jobs, and the endpoint is started on the node."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from support import slurm_node
from support.workflow_project import Project

pytestmark = pytest.mark.slow
OPTIONS = [
    *("--profile", "profiles/slurm", "--slurm-no-account", "--slurm-status-command", "squeue"),
    *(
        "--default-resources",
        "mem_mb=800",
        "runtime=30",
        "--set-threads",
        "run_block=1",
        "--set-resources",
        "run_block:runtime=30",
    ),
    *("--slurm-init-seconds-before-status-checks", "3", "--seconds-between-status-checks", "2", "--latency-wait", "20"),
    "--slurm-keep-successful-logs",
]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    if why := slurm_node.missing():
        pytest.skip(why)
    with slurm_node.slurm_node(tmp_path_factory.mktemp("slurm")) as environment:
        yield environment


@pytest.fixture
def project(tmp_path: Path, weights: Path) -> Iterator[Project]:
    project = Project.create(tmp_path, weights)
    yield project
    project.clean_up()


def run(project: Project, cluster: dict[str, str], **config: object) -> str:
    done = subprocess.run(
        project.command("run", *OPTIONS, **config),
        cwd=project.folder, env=cluster, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=400,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + logs(project)
    return done.stdout


def logs(project: Project) -> str:
    return "\n".join(path.read_text()[-800:] for path in project.folder.rglob(".snakemake/slurm_logs/**/*.log"))


def test_a_run_on_slurm_is_one_like_any_other(project: Project, cluster: dict[str, str]) -> None:
    settings = {"profile": "embedded", "tasks": "systematic_fix"}
    project.run("results/prompts/systematic_fix.jsonl", **settings)  # here, as it takes the tools a while each time
    run(project, cluster, **settings, samples=1)
    first = project.sample_files()
    assert len(first) == 3
    assert {sample["status"] for sample in first.values()} == {"completed"}
    block_log = next(project.folder.rglob(".snakemake/slurm_logs/rule_run_block/**/*.log")).read_text()
    assert "systematic_fix on smollm2:135m: 3/3" in block_log, "the block ran as a job of Slurm"
    identity = json.loads((project.folder / "results/embedded/identity/smollm2-135m/systematic_fix.json").read_text())
    assert identity["sessions"][0]["server_on_this_machine"], "its server was started on the node"
    assert project.wait_until_quiet() == [], "and is not left there"

    with (project.folder / "output.log").open("w") as output:
        process = subprocess.Popen(
            project.command("run", *OPTIONS, **settings, samples=3),
            cwd=project.folder,
            env=cluster,
            stdout=output,
            stderr=output,
        )
    try:
        project.wait_for_samples(4, "embedded", timeout_s=200)
        assert (
            subprocess.run(["scancel", f"--partition={slurm_node.PARTITION}"], env=cluster, check=False).returncode == 0
        )
        deadline = time.monotonic() + 120
        while blocks(project) and time.monotonic() < deadline:
            time.sleep(0.2)
        assert blocks(project) == [], "after scancel job and server are gone from the node"
        process.wait(120)
        assert process.returncode != 0
    finally:
        process.kill()
        process.wait()
    kept = project.sample_files()
    assert len(kept) >= 4
    assert {name: kept[name] for name in first} == first

    run(project, cluster, **settings, samples=3)
    finished = project.sample_files()
    assert len(finished) == 9
    assert {name: finished[name] for name in kept} == kept, "the rerun asked only what was missing"


def blocks(project: Project) -> list[psutil.Process]:
    return project.processes("block_job", "endpoints.embedded")
