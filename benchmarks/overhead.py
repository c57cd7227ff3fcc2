"""What the workflow adds around its requests: CPU and wall time per sample, against a labelled zero-latency fake endpoint.

    python benchmarks/overhead.py [--latency 0.05]

The headline configuration without controls: 4 models x 6 tasks x 2 arms x 12 samples = 576 requests in 24 blocks. Everything
before the first request (corpora, tools, prompts) is done beforehand and not counted. Figures are for one machine at one
time; the loop that stands beside them is timed in the same run.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import urllib3

REPO = Path(__file__).parents[1]
sys.path[:0] = [str(REPO / "tests")]

from support.workflow_project import Project  # noqa: E402

MODELS = {11434: "llama3.2:1b", 11435: "llama3.2:3b", 11436: "llama3.1:8b", 11437: "codellama:7b"}
REQUESTS = 576
SETTINGS = {"profile": "heavy", "approaches": "baseline,tools"}


def children_cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


@contextmanager
def fakes(latency_s: float) -> Iterator[None]:
    """Four labelled fake Ollama servers on the heavy profile's ports."""
    processes = [
        subprocess.Popen(
            [
                sys.executable,
                "-m",
                "tests.fakes.ollama",
                "--port",
                str(port),
                "--model",
                model,
                "--latency",
                str(latency_s),
            ],
            cwd=REPO,
            stdout=subprocess.DEVNULL,
        )
        for port, model in MODELS.items()
    ]
    try:
        for port in MODELS:
            urllib3.request(
                "GET", f"http://127.0.0.1:{port}/api/version", retries=urllib3.Retry(20, backoff_factor=0.05)
            )
        yield
    finally:
        for process in processes:
            process.terminate()
            process.wait()


def measured(command: list[str], folder: Path) -> tuple[float, float]:
    """(CPU seconds of the command and its children, wall seconds)."""
    cpu_s, started = children_cpu_s(), time.perf_counter()
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return children_cpu_s() - cpu_s, time.perf_counter() - started


def plain_loop(slots: int) -> tuple[float, float]:
    """CPU and wall seconds of the same number of requests in a bare loop over one server."""
    pool = urllib3.PoolManager(maxsize=slots)
    body = json.dumps({"model": MODELS[11434], "messages": [{"role": "user", "content": "x"}], "stream": True})

    def ask(_: int) -> None:
        pool.request("POST", "http://127.0.0.1:11434/api/chat", body=body)

    cpu_s, started = time.process_time(), time.perf_counter()
    with ThreadPoolExecutor(slots) as threads:
        list(threads.map(ask, range(REQUESTS)))
    return time.process_time() - cpu_s, time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--latency", type=float, default=0.0, help="seconds that the fake takes to answer")
    latency_s: float = parser.parse_args().latency
    with tempfile.TemporaryDirectory() as scratch, fakes(latency_s):
        project = Project.create(Path(scratch))
        (project.folder / "resources").symlink_to(REPO / "resources")
        prompts = [f"results/prompts/{path.parent.name}.jsonl" for path in (REPO / "config/tasks").glob("*/task.yaml")]
        project.run(*prompts, "results/heavy/plans.jsonl", **SETTINGS)
        loop_cpu_s, loop_s = plain_loop(slots=4)
        run = project.command("run", "--cores", "8", **SETTINGS)
        cpu_s, wall_s = measured(run, project.folder)
        assert len(project.sample_files("heavy")) == REQUESTS
        start_cpu_s, start_wall_s = measured(run, project.folder)
        more_cpu_s, _ = measured(project.command("run", "--cores", "8", **SETTINGS, samples=24), project.folder)
        block = [sys.executable, "-c", "import ai_dev_tools.benchmark.execution.worker"]
        import_cpu_s = sum(measured(block, project.folder)[0] for _ in range(5)) / 5
    print(f"labelled fake endpoint, latency {latency_s:g} s, {REQUESTS} requests in 24 blocks")
    print(f"plain loop, 4 slots, one server       wall {loop_s:6.2f} s   CPU {loop_cpu_s:6.2f} s")
    print(f"run stage                             wall {wall_s:6.2f} s   CPU {cpu_s:6.2f} s")
    print(f"  Snakemake's start, nothing to do    wall {start_wall_s:6.2f} s   CPU {start_cpu_s:6.2f} s")
    print(f"  the worker that blocks start from: its imports       CPU {import_cpu_s:6.2f} s")
    print(f"  all the rest                                         CPU {cpu_s - start_cpu_s - import_cpu_s:6.2f} s")
    print(
        f"per sample                            wall {1000 * wall_s / REQUESTS:6.2f} ms  CPU {1000 * cpu_s / REQUESTS:6.2f} ms"
    )
    further_ms = 1000 * (more_cpu_s - cpu_s) / REQUESTS
    print(f"each further sample (12 -> 24 per arm, first 12 reused)  CPU {further_ms:6.2f} ms")


if __name__ == "__main__":
    main()
