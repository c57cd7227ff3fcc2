"""All tools over all cases and every prompt rendered, from empty and once more: seconds, against the promised limit.

    python benchmarks/contexts.py            # at most 90 s on two cores from empty, nothing to do afterwards

Runs the real workflow in a copy of this repository's configuration; existing corpora are not fetched again.
Wall time counts only on a quiet machine, so CPU seconds stand beside it. Exit code 1: a limit is broken.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from ai_dev_tools.benchmark.prompts.tool_results import read_contexts
from ai_dev_tools.benchmark.records import paths
from ai_dev_tools.benchmark.tasks.loading import find_tasks, says_agents_only

ROOT = Path(__file__).parents[1]
PARTS = ("Snakefile", "workflow", "notebooks", "profiles", "config", "envs")


def copy_of_the_workflow(folder: Path) -> None:
    """The workflow without results; fetched corpora are shared."""
    for name in PARTS:
        source = ROOT / name
        shutil.copytree(source, folder / name) if source.is_dir() else shutil.copy(source, folder / name)
    if (corpora := ROOT / paths.CORPORA_FOLDER).is_dir():
        shutil.copytree(corpora, folder / paths.CORPORA_FOLDER)


def render(folder: Path, cores: int) -> tuple[float, float, str]:
    """Every prompt of the workflow in a folder: wall seconds, CPU seconds, and what Snakemake printed."""
    found = find_tasks([folder / paths.TASKS])
    targets = [paths.PROMPTS.format(task=task) for task in found if not says_agents_only(found[task])]
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "--cores", str(cores), *targets],
        cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT / "src")}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
    )  # fmt: skip
    wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        sys.exit(done.stdout)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, done.stdout


def tools_table(folder: Path) -> float:
    """Print what each tool cost; returns the CPU seconds of all."""
    heads = ("runs", "failed", "wall s", "CPU s", "median ms", "condensed")
    print(f"{'task':20} {'tool':10}", *(f"{head:>10}" for head in heads))
    total = 0.0
    for file in sorted((folder / "results" / "contexts").glob("*.jsonl")):
        task, tool, _ = file.name.split(".")
        rows = [row for row in read_contexts(file).values() if row.status != "skipped"]
        if not rows:
            print(f"{task:20} {tool:10} skipped: its corpora are not available")
            continue
        wall, cpu = sum(row.wall_s for row in rows), sum(row.cpu_s for row in rows)
        median = sorted(row.wall_s for row in rows)[len(rows) // 2]
        share = sum(row.condensed_bytes for row in rows) / max(1, sum(row.raw_bytes for row in rows))
        failed = sum(row.status == "failed" for row in rows)
        counted = f"{len(rows):10} {failed:10} {wall:10.1f} {cpu:10.1f} {1000 * median:10.0f} {share:10.2f}"
        print(f"{task:20} {tool:10} {counted}")
        total += cpu
    return total


def main() -> int:
    parser = argparse.ArgumentParser(description="Time the tools and prompts of all cases.")
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=90.0, help="limit from empty")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="contexts-") as scratch:
        folder = Path(scratch)
        copy_of_the_workflow(folder)
        wall, cpu, _ = render(folder, given.cores)
        tools = tools_table(folder)
        again, _, said = render(folder, given.cores)
    idle = "Nothing to be done" in said
    print(
        f"\nfrom empty: {wall:.1f} s wall, {cpu:.1f} s CPU, of which {tools:.1f} s in tools (limit {given.seconds:g} s)"
    )
    print(f"once more:  {again:.1f} s wall, {'nothing to be done' if idle else 'SOMETHING WAS DONE'}")
    return int(wall > given.seconds or not idle)


if __name__ == "__main__":
    raise SystemExit(main())
