"""Run benchmarks from Python: async, with progress, cancellable; Snakemake does the work.

runner = BenchmarkRunner()
results = await runner.run_single_benchmark(profile=HardwareProfile.LIGHT, sample_size=3)
results.overall_metrics["success_rate"], results.metrics()
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ai_dev_tools.benchmark import paths
from ai_dev_tools.benchmark.config import HardwareProfile, OutputFormat
from ai_dev_tools.benchmark.drive import GRACE_S, SUMMARY, Call, find_root
from ai_dev_tools.benchmark.errors import BenchmarkError, ConfigurationError

if TYPE_CHECKING:
    import pandas as pd

_REQUESTS = re.compile(r"\| run: (\d+)/(\d+) requests")
_KEPT_LINES = 400


class RunFailed(BenchmarkError):
    """A run that did not finish. What it has measured is kept, and the same call again asks only for the rest.

    Attributes:
        exit_code: Snakemake's.
        output: the last lines it printed.
    """

    def __init__(self, message: str, exit_code: int, output: Sequence[str]) -> None:
        super().__init__(message)
        self.exit_code = exit_code
        self.output = list(output)


@dataclass(frozen=True)
class Progress:
    """A line that a run said; `done` and `total` count requests of the run, where the line tells them."""

    line: str
    done: int | None = None
    total: int | None = None

    @classmethod
    def of(cls, line: str) -> Progress:
        """What a line says of the progress."""
        found = _REQUESTS.search(line)
        return cls(line, int(found[1]), int(found[2])) if found else cls(line)


OnProgress = Callable[[Progress], None]


@dataclass(frozen=True)
class BenchmarkResults:
    """The results of one profile's run.

    Attributes:
        profile: hardware profile.
        folder: `results/{profile}`.
        command: the Snakemake command that made it.
        output_format: what `text` is.
    """

    profile: str
    folder: Path
    command: str
    output_format: OutputFormat = OutputFormat.JSON

    def samples(self) -> pd.DataFrame:
        """One row per sample; see the reference of the samples table."""
        import pandas as pd

        return pd.read_parquet(self.folder / "tables" / "samples.parquet")

    def metrics(self) -> pd.DataFrame:
        """Metrics by profile, model, task and approach, with all margins: metric, unit, value, low, high, n, note."""
        return self.table("metrics")

    def comparisons(self) -> pd.DataFrame:
        """Every arm against the reference, per model and task: ratios with intervals."""
        return self.table("comparisons")

    def verdicts(self) -> pd.DataFrame:
        """One row per claim, model and scope."""
        return self.table("verdicts")

    def table(self, name: str) -> pd.DataFrame:
        """A table of the run by its file name; raises ConfigurationError where there is none."""
        return _read_csv(self.folder / "tables" / f"{name}.csv")

    @cached_property
    def report(self) -> dict[str, Any]:
        """The content of report.json."""
        return _read_json(self.folder / "report" / "report.json")

    @property
    def benchmark_info(self) -> dict[str, Any]:
        """Profile, number of tasks, sample size, execution mode."""
        return dict(self.report.get("benchmark_info", {}))

    @property
    def comparison_metrics(self) -> dict[str, Any]:
        """Reductions of tokens and time in percent, positive = cheaper, and the change of efficiency."""
        return dict(self.report.get("comparison_metrics", {}))

    @property
    def overall_metrics(self) -> dict[str, Any]:
        """Success rate, throughput, efficiency score."""
        return dict(self.report.get("overall_metrics", {}))

    @property
    def text(self) -> str:
        """The report in the wanted format."""
        return report_text(self.folder, self.output_format)


@dataclass(frozen=True)
class _Overview:
    folder: Path
    command: str
    output_format: OutputFormat

    @cached_property
    def report(self) -> dict[str, Any]:
        """The content of overview.json."""
        return _read_json(self.folder / "overview.json")

    def arms(self) -> pd.DataFrame:
        """One row per profile, model and approach: how much was asked, how good, how dear."""
        return _read_csv(self.folder / "arms.csv")

    def effects(self) -> pd.DataFrame:
        """Every arm against the reference within its own run."""
        return _read_csv(self.folder / "effects_within_each_run.csv")

    @property
    def text(self) -> str:
        """The overview in the wanted format."""
        name = {OutputFormat.JSON: "overview.json", OutputFormat.CSV: "arms.csv"}.get(self.output_format, "overview.md")
        return (self.folder / name).read_text(encoding="utf-8")


@dataclass(frozen=True)
class BatchResults(_Overview):
    """The results of a batch: its members, and all of them in one overview."""

    name: str
    members: tuple[BenchmarkResults, ...] = ()


@dataclass(frozen=True)
class Comparison(_Overview):
    """Two profiles compared."""

    before: str
    after: str

    def changes(self) -> pd.DataFrame:
        """What differs between them, arm by arm, for models and cases that both have."""
        return _read_csv(self.folder / "changes_between_the_runs.csv")


@dataclass(frozen=True)
class ComparisonResults:
    """The results of comparing profiles: the first with each other one."""

    profiles: tuple[str, ...]
    command: str
    members: tuple[BenchmarkResults, ...]
    comparisons: tuple[Comparison, ...]

    def arms(self) -> pd.DataFrame:
        """The arms of all comparisons in one table, each profile once."""
        import pandas as pd

        every = pd.concat([c.arms() for c in self.comparisons], ignore_index=True)
        return every.drop_duplicates(["profile", "model", "approach"], ignore_index=True)

    @property
    def text(self) -> str:
        """All overviews in the wanted format."""
        return "\n".join(c.text for c in self.comparisons)


@dataclass
class BenchmarkRunner:
    """Runs benchmarks by driving Snakemake in the workflow's folder.

    Args:
        config: a file laid over config/config.yaml, or settings as `--config` takes them.
        root: the workflow's folder; found upwards from the working folder by default.
        cores: for Snakemake; its own setting (all) by default.
        on_progress: called with every line that a run says.
        flags: further flags of Snakemake's.
    """

    config: Mapping[str, Any] | str | Path | None = None
    root: Path | None = None
    cores: int | None = None
    on_progress: OnProgress | None = None
    flags: Sequence[str] = field(default_factory=tuple)

    async def run_single_benchmark(
        self,
        profile: HardwareProfile | str = HardwareProfile.EMBEDDED,
        task_ids: Sequence[str] | None = None,
        sample_size: int | None = None,
        output_format: OutputFormat | str = OutputFormat.JSON,
        **settings: Any,
    ) -> BenchmarkResults:
        """Run one profile.

        Args:
            profile: hardware profile, shipped or one of the config's.
            task_ids: tasks; all by default.
            sample_size: samples per approach; the profile's by default.
            output_format: what `results.text` is; every format is written.
            settings: any other setting of the config: approaches, models, endpoint …

        Raises:
            ConfigurationError: a setting is wrong; nothing was asked.
            RunFailed: the run did not finish; what it has is kept.
        """
        given = {"profile": str(profile), "tasks": task_ids, "samples": sample_size, **settings}
        kind = _format(output_format)
        command = await self._run("report", _given(given) | {"output_format": str(kind)})
        return self._results(str(profile), command, kind)

    async def run_batch_benchmark(
        self, batch_name: str, output_format: OutputFormat | str = OutputFormat.JSON, **settings: Any
    ) -> BatchResults:
        """Run a batch: quick, standard, comprehensive, scaling, or one of the config's.

        Raises as `run_single_benchmark`.
        """
        kind = _format(output_format)
        command = await self._run("batch", {"batch": batch_name, **_given(settings), "output_format": str(kind)})
        folder = self._root / paths.BATCH.format(batch=batch_name)
        profiles = _read_json(folder / "overview.json")["profiles"]
        members = tuple(self._results(profile, command, kind) for profile in profiles)
        return BatchResults(folder, command, kind, batch_name, members)

    async def run_comparison_benchmark(
        self,
        profiles: Sequence[HardwareProfile | str],
        sample_size: int | None = None,
        task_ids: Sequence[str] | None = None,
        output_format: OutputFormat | str = OutputFormat.JSON,
        **settings: Any,
    ) -> ComparisonResults:
        """Run several profiles and compare the first with each other one; raises as `run_single_benchmark`."""
        names, kind = tuple(map(str, profiles)), _format(output_format)
        given = {"compare": names, "profile": names[0] if names else None, "tasks": task_ids, "samples": sample_size}
        command = await self._run("compare", _given(given | settings) | {"output_format": str(kind)})
        comparisons = tuple(
            Comparison(self._root / paths.COMPARISON.format(before=names[0], after=n), command, kind, names[0], n)
            for n in names[1:]
        )
        members = tuple(self._results(name, command, kind) for name in names)
        return ComparisonResults(names, command, members, comparisons)

    async def stream_single_benchmark(self, *args: Any, **kwargs: Any) -> AsyncIterator[Progress | BenchmarkResults]:
        """As `run_single_benchmark`, but yields each line of progress, and the results last.

        Leaving the loop early stops the run in order.
        """
        lines: asyncio.Queue[Progress | None] = asyncio.Queue()
        runner = BenchmarkRunner(self.config, self.root, self.cores, lines.put_nowait, self.flags)
        task = asyncio.create_task(runner.run_single_benchmark(*args, **kwargs))
        task.add_done_callback(lambda _: lines.put_nowait(None))
        try:
            while (event := await lines.get()) is not None:
                yield event
            yield await task
        finally:
            if not task.done():
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task

    @cached_property
    def _root(self) -> Path:
        return find_root(self.root)

    def _results(self, profile: str, command: str, kind: OutputFormat) -> BenchmarkResults:
        return BenchmarkResults(profile, self._root / paths.RUN.format(profile=profile), command, kind)

    def call(self, target: str, settings: Mapping[str, Any]) -> Call:
        """The Snakemake call that a run makes."""
        flags, given = [*self.flags], {}
        if self.cores is not None:
            flags += ["--cores", str(self.cores)]
        if isinstance(self.config, Mapping):
            given = dict(self.config)
        elif self.config is not None:
            flags += ["--configfile", str(Path(self.config).resolve())]
        return Call(target, given | dict(settings), flags)

    async def _run(self, target: str, settings: Mapping[str, Any]) -> str:
        call = self.call(target, settings)
        self._say(f"$ {call.shown()}")
        process = await asyncio.create_subprocess_exec(
            *call.command(),
            cwd=self._root,
            env={**os.environ, SUMMARY: "off"},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
            limit=2**24,
        )
        last: deque[str] = deque(maxlen=_KEPT_LINES)
        try:
            assert process.stdout is not None
            async for raw in process.stdout:
                last.append(raw.decode(errors="replace").rstrip())
                self._say(last[-1])
            code = await process.wait()
        except BaseException:
            await asyncio.shield(_end(process))
            raise
        if code:
            raise _failure(code, list(last))
        return call.shown()

    def _say(self, line: str) -> None:
        if self.on_progress is not None:
            self.on_progress(Progress.of(line))


async def _end(process: asyncio.subprocess.Process) -> None:
    """End a run and everything it started: as Ctrl-C does, then SIGTERM, then SIGKILL."""
    for signum, grace_s in [*GRACE_S.items(), (signal.SIGKILL, 5.0)]:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signum)
        with suppress(asyncio.TimeoutError):
            # draining as well: a full pipe would keep the process from ending
            await asyncio.wait_for(process.communicate(), grace_s)
            break
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _failure(code: int, output: list[str]) -> BenchmarkError:
    """What went wrong, in the run's own words: its `error:` lines."""
    said = list(dict.fromkeys(line.removeprefix("error: ") for line in output if line.startswith("error: ")))
    started = any("asking" in line or line.startswith(("Execute", "rule ", "localrule ")) for line in output)
    if said and not started:
        from ai_dev_tools.benchmark.errors import ConfigurationErrors

        return ConfigurationErrors(said)
    words = "; ".join(said) or next((line for line in reversed(output) if line.strip()), "no message")
    return RunFailed(f"the run ended with exit code {code}: {words}", code, output)


def report_text(folder: Path, kind: OutputFormat) -> str:
    """The report of a run in one format, as it lies in its folder.

    Raises:
        ConfigurationError: the report has not been made.
    """
    report = folder / "report"
    if kind is OutputFormat.CONSOLE:
        from ai_dev_tools.benchmark.reporting import console_summary

        return console_summary(report, kind, colour=False) + "\n"
    name = {OutputFormat.JSON: "report.json", OutputFormat.MARKDOWN: "report.md", OutputFormat.CSV: "report.csv"}[kind]
    try:
        return (report / name).read_text(encoding="utf-8")
    except OSError:
        raise ConfigurationError(
            f"{report / name} does not exist", remedy=f"Make it: snakemake report --config profile={folder.name}"
        ) from None


def _given(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in settings.items() if value is not None}


def _format(value: OutputFormat | str) -> OutputFormat:
    from ai_dev_tools.benchmark.validation import nearest

    try:
        return OutputFormat(value)
    except ValueError:
        raise ConfigurationError(f"unknown output format '{value}', {nearest(value, OutputFormat)}") from None


def _read_csv(path: Path) -> pd.DataFrame:
    import pandas as pd

    try:
        return pd.read_csv(path)
    except FileNotFoundError:
        raise ConfigurationError(f"{path} does not exist: the run made no such table") from None


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{path} cannot be read ({error})") from None
    return content if isinstance(content, dict) else {}


def run_blocking(runner: BenchmarkRunner, **arguments: Any) -> BenchmarkResults:
    """`run_single_benchmark` for programs that are not async."""
    return asyncio.run(runner.run_single_benchmark(**arguments))
