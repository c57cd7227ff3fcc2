"""What the workflow adds to its requests, and what its other steps cost, beside the aims: CPU and wall time, as ratios.

    python benchmarks/overhead.py [--rounds 3] [--large] [--promptfoo PATH]

Labelled fake endpoints take the place of models. The headline configuration without controls: 4 models x 6 tasks x 2 arms x 12
samples = 576 requests in 24 blocks; the default run has 54. Everything before the first request (corpora, tools, prompts) is
done beforehand and not counted. A bare loop over as many requests, and promptfoo where it is installed, are measured in the
same run: figures are for one machine at one time, and only their ratios mean anything elsewhere.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import urllib3

REPO = Path(__file__).parents[1]
sys.path[:0] = [str(REPO / "tests")]

from support.workflow_project import Project  # noqa: E402

MODELS = {11434: "llama3.2:1b", 11435: "llama3.2:3b", 11436: "llama3.1:8b", 11437: "codellama:7b"}
SMALLEST = "smollm2:135m"
ONE_SERVER = "http://127.0.0.1:11434"
SLOTS = 4
REQUESTS = 576
LARGE = 417
"""Samples per arm of the large report: 20,016 in all."""
SETTINGS = {"profile": "heavy", "approaches": "baseline,tools"}
DEFAULT = {"profile": "embedded", "endpoint": ONE_SERVER}
LATENCY_S = 0.05
ASKED = ("samples", "blocks", "identity")
"""What asking leaves in the folder of a run."""


@dataclass(frozen=True)
class Spent:
    """What a stage took; CPU seconds are those of its programs and their children."""

    cpu_s: float
    wall_s: float


Measured = Mapping[str, Spent]


@dataclass(frozen=True)
class Aim:
    """At most this much: `cpu` or `wall` seconds of a stage, compared with a limit that may depend on another stage."""

    what: str
    value: Callable[[Measured], float]
    most: Callable[[Measured], float]
    needs: tuple[str, ...]


def _seconds(stage: str, most: float) -> Aim:
    return Aim(f"{stage}, CPU s", lambda m: m[stage].cpu_s, lambda _: most, (stage,))


AIMS = (
    Aim("run stage, CPU s (0.7 of promptfoo)", lambda m: m["run stage"].cpu_s, lambda m: 0.7 * m["promptfoo"].cpu_s,
        ("run stage", "promptfoo")),
    Aim("run stage at 50 ms, wall s above the loop", lambda m: m["run stage at 50 ms"].wall_s - m["loop at 50 ms"].wall_s,
        lambda _: 5.0, ("run stage at 50 ms", "loop at 50 ms")),
    _seconds("nothing to do", 2.5),
    _seconds("tables", 4.0),
    _seconds("report", 10.0),
    _seconds("report of the default run", 6.0),
    _seconds("report of 20,016 samples", 15.0),
)  # fmt: skip


def children_cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


@contextmanager
def fakes(latency_s: float, models: Mapping[int, Sequence[str]], slots: int = 0) -> Iterator[None]:
    """Labelled fake Ollama servers, by port."""
    module = [sys.executable, "-m", "tests.fakes.ollama", "--latency", str(latency_s), "--slots", str(slots)]
    processes = [
        subprocess.Popen(
            [*module, "--port", str(port), *(word for tag in tags for word in ("--model", tag))],
            cwd=REPO,
            stdout=subprocess.DEVNULL,
        )
        for port, tags in models.items()
    ]
    try:
        for port in models:
            urllib3.request(
                "GET", f"http://127.0.0.1:{port}/api/version", retries=urllib3.Retry(20, backoff_factor=0.05)
            )
        yield
    finally:
        for process in processes:
            process.terminate()
            process.wait()


def measured(command: Sequence[str], folder: Path, environment: Mapping[str, str] | None = None) -> Spent:
    """What a command and its children take."""
    cpu_s, started = children_cpu_s(), time.perf_counter()
    done = subprocess.run(command, cwd=folder, env=environment, text=True, capture_output=True, check=False)
    spent = Spent(children_cpu_s() - cpu_s, time.perf_counter() - started)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
    return spent


def plain_loop() -> Spent:
    """The same number of requests in a bare loop over one server."""
    pool = urllib3.PoolManager(maxsize=SLOTS)
    body = json.dumps({"model": MODELS[11434], "messages": [{"role": "user", "content": "x"}], "stream": True})

    def ask(_: int) -> None:
        pool.request("POST", f"{ONE_SERVER}/api/chat", body=body)

    cpu_s, started = time.process_time(), time.perf_counter()
    with ThreadPoolExecutor(SLOTS) as threads:
        list(threads.map(ask, range(REQUESTS)))
    return Spent(time.process_time() - cpu_s, time.perf_counter() - started)


def promptfoo(program: Path, folder: Path) -> Spent:
    """As many requests by promptfoo, four at a time, at one server."""
    folder.mkdir(exist_ok=True)
    tests = [{"vars": {"q": f"Request {number}"}} for number in range(REQUESTS)]
    provider = f"ollama:chat:{MODELS[11434]}"
    (folder / "promptfooconfig.json").write_text(
        json.dumps({"prompts": ["{{q}}"], "providers": [provider], "tests": tests})
    )
    environment = {
        **os.environ, "PROMPTFOO_DISABLE_TELEMETRY": "1", "PROMPTFOO_DISABLE_UPDATE": "1",
        "PROMPTFOO_CONFIG_DIR": str(folder / "home"), "OLLAMA_BASE_URL": ONE_SERVER,
    }  # fmt: skip
    options = ["-j", str(SLOTS), "--no-cache", "--no-table", "--no-progress-bar"]
    return measured([str(program), "eval", "-c", "promptfooconfig.json", *options], folder, environment)


class Stages:
    """The stages of one project, measured again and again; each counts with the round that took the least CPU."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self._rounds: dict[str, list[Spent]] = defaultdict(list)

    @property
    def best(self) -> Measured:
        return {name: min(rounds, key=lambda spent: spent.cpu_s) for name, rounds in self._rounds.items()}

    def add(self, name: str, spent: Spent) -> None:
        self._rounds[name].append(spent)

    def snakemake(self, name: str, target: str, settings: Mapping[str, object], *again: str) -> None:
        """Measure a target after moving what it is to make again out of the run's folder.

        It is not deleted: for half a minute, ext4 looks past each file that has been deleted whenever it makes one.
        """
        aside = Path(tempfile.mkdtemp(dir=self.project.folder.parent))
        for part in again:
            with suppress(FileNotFoundError):
                (self.project.folder / "results" / str(settings["profile"]) / part).rename(aside / part)
        self.add(name, measured(self.project.command(target, "--cores", "8", **settings), self.project.folder))

    def whole_run(self) -> None:
        """A run that asks 576 requests at servers that answer at once, and all that follows it."""
        self.snakemake("run stage", "run", SETTINGS, *ASKED)
        assert len(self.project.sample_files("heavy")) == REQUESTS
        self.snakemake("nothing to do", "run", SETTINGS)
        self.snakemake("tables", "tables", SETTINGS, "tables")
        self.snakemake("report", "report", SETTINGS, "report", "figures")
        self.snakemake("tables of the default run", "tables", DEFAULT, "tables")
        self.snakemake("report of the default run", "report", DEFAULT, "report", "figures")

    def large(self) -> None:
        """A report of 20,016 samples; what is asked for it is not counted."""
        settings = {**SETTINGS, "samples": LARGE}
        self.project.run("tables", "--cores", "8", **settings)
        self.snakemake("report of 20,016 samples", "report", settings, "report", "figures")

    def with_latency(self) -> None:
        """All four models at one server of four slots, which takes 50 ms for an answer."""
        self.add("loop at 50 ms", plain_loop())
        self.snakemake("run stage at 50 ms", "run", {**SETTINGS, "endpoint": ONE_SERVER}, *ASKED)


def prepare(folder: Path) -> Project:
    """A clone with corpora, prompts and plans, so that only asking is left."""
    folder.mkdir()
    project = Project.create(folder)
    (REPO / "resources").mkdir(exist_ok=True)
    (project.folder / "resources").symlink_to(REPO / "resources")
    project.run("run", "--until", "render_prompts", "declare_plan", **SETTINGS)
    project.run("run", **DEFAULT)
    return project


def say(stages: Measured) -> None:
    """All stages, and the aims that can be compared with them."""
    print(f"{'stage':42} {'CPU s':>8} {'wall s':>8}")
    for name, spent in stages.items():
        print(f"{name:42} {spent.cpu_s:8.2f} {spent.wall_s:8.2f}")
    print(f"\n{'aim':42} {'is':>8} {'at most':>8} {'ratio':>8}")
    for aim in AIMS:
        if set(aim.needs) <= stages.keys():
            value, most = aim.value(stages), aim.most(stages)
            print(f"{aim.what:42} {value:8.2f} {most:8.2f} {value / most:8.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=1, help="how often everything is measured; the least CPU counts")
    parser.add_argument("--large", action="store_true", help="also report 20,016 samples, which are asked first")
    parser.add_argument(
        "--promptfoo", type=Path, metavar="PATH", help="an installed promptfoo, to be measured beside it"
    )
    given = parser.parse_args()
    every = {port: [tag] for port, tag in MODELS.items()}
    every[11434] = [*every[11434], SMALLEST]
    with tempfile.TemporaryDirectory() as scratch:
        with fakes(0.0, every):
            stages = Stages(prepare(Path(scratch) / "project"))
            for _ in range(given.rounds):
                stages.add("loop", plain_loop())
                if given.promptfoo:
                    stages.add("promptfoo", promptfoo(given.promptfoo.resolve(), Path(scratch) / "promptfoo"))
                stages.whole_run()
        with fakes(LATENCY_S, {11434: list(MODELS.values())}, SLOTS):
            for _ in range(given.rounds):
                stages.with_latency()
        if given.large:
            with fakes(0.0, every):
                stages.large()
    print(f"labelled fake endpoints, {REQUESTS} requests in 24 blocks; 54 in the default run")
    say(stages.best)


if __name__ == "__main__":
    main()
