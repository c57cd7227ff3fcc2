"""Run benchmarks from Python: async, with progress, cancellable; Snakemake does the work.

runner = BenchmarkRunner()
results = await runner.run_single_benchmark(profile=HardwareProfile.LIGHT, sample_size=3)
results.overall_metrics["success_rate"], results.metrics()
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from ai_dev_tools.benchmark._util.json_values import list_in
from ai_dev_tools.benchmark._util.processes import signal_group
from ai_dev_tools.benchmark.config.models import HardwareProfile, OutputFormat
from ai_dev_tools.benchmark.config.parsing import nearest
from ai_dev_tools.benchmark.config.shipped_files import find_root
from ai_dev_tools.benchmark.errors import BenchmarkError, ConfigurationError, ConfigurationErrors
from ai_dev_tools.benchmark.records import paths
from ai_dev_tools.benchmark.runner.results import (
    BatchResults,
    BenchmarkResults,
    Comparison,
    ComparisonResults,
    read_json,
)
from ai_dev_tools.benchmark.workflow.snakemake import GRACE_S, SUMMARY, SnakemakeCall

_REQUESTS = re.compile(r"\| run: (\d+)/(\d+) requests")
_KEPT_LINES = 400


class RunFailed(BenchmarkError):
    """A run that did not finish.

    What it has measured is kept, and the same call again asks only for the rest.

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
    """A line that a run printed; `done` and `total` count the run's requests, if the line contains them."""

    line: str
    done: int | None = None
    total: int | None = None

    @classmethod
    def of(cls, line: str) -> Progress:
        """The progress in a line."""
        found = _REQUESTS.search(line)
        return cls(line, int(found[1]), int(found[2])) if found else cls(line)


OnProgress = Callable[[Progress], None]


@dataclass
class BenchmarkRunner:
    """Runs benchmarks by driving Snakemake in the workflow's folder.

    Args:
        config: a file on top of config/config.yaml, or settings as for `--config`.
        root: the workflow's folder; by default, it is searched from the working folder upwards.
        cores: for Snakemake; its own setting (all) by default.
        on_progress: called with every line that a run prints.
        flags: more flags for Snakemake.
    """

    config: Mapping[str, object] | str | Path | None = None
    root: Path | str | None = None
    cores: int | None = None
    on_progress: OnProgress | None = None
    flags: Sequence[str] = field(default_factory=tuple)

    async def run_single_benchmark(
        self,
        profile: HardwareProfile | str = HardwareProfile.EMBEDDED,
        task_ids: Sequence[str] | None = None,
        sample_size: int | None = None,
        output_format: OutputFormat | str = OutputFormat.JSON,
        **settings: object,
    ) -> BenchmarkResults:
        """Run one profile.

        Args:
            profile: hardware profile, shipped or from the config.
            task_ids: tasks; all by default.
            sample_size: samples per approach; the profile's by default.
            output_format: what `results.text` is; every format is written.
            settings: any other setting of the config: approaches, models, endpoint …

        Raises:
            ConfigurationError: a setting is wrong; nothing was asked.
            RunFailed: the run did not finish; its results are kept.
        """
        given = {"profile": str(profile), "tasks": task_ids, "samples": sample_size, **settings}
        kind = _format(output_format)
        command = await self._run("report", _given(given) | {"output_format": str(kind)})
        own = self.config if isinstance(self.config, Mapping) else {}
        replayed = {**own, **_given(settings)}.get("endpoint") == "replay"
        return self._results(f"{profile}{paths.REPLAY if replayed else ''}", command, kind)

    async def run_batch_benchmark(
        self, batch_name: str, output_format: OutputFormat | str = OutputFormat.JSON, **settings: object
    ) -> BatchResults:
        """Run a batch: quick, standard, comprehensive, scaling, or one from the config.

        Raises as `run_single_benchmark`.
        """
        kind = _format(output_format)
        command = await self._run("batch", {"batch": batch_name, **_given(settings), "output_format": str(kind)})
        folder = self._root / paths.BATCH.format(batch=batch_name)
        profiles = list_in(read_json(folder / "overview.json").get("profiles"))
        members = tuple(self._results(str(profile), command, kind) for profile in profiles)
        return BatchResults(folder, command, kind, batch_name, members)

    async def run_comparison_benchmark(
        self,
        profiles: Sequence[HardwareProfile | str],
        sample_size: int | None = None,
        task_ids: Sequence[str] | None = None,
        output_format: OutputFormat | str = OutputFormat.JSON,
        **settings: object,
    ) -> ComparisonResults:
        """Run several profiles and compare the first with each of the others.

        Raises as `run_single_benchmark`.
        """
        names, kind = tuple(map(str, profiles)), _format(output_format)
        given = {"compare": names, "profile": names[0] if names else None, "tasks": task_ids, "samples": sample_size}
        command = await self._run("compare", _given(given | settings) | {"output_format": str(kind)})
        comparisons = tuple(
            Comparison(self._root / paths.COMPARISON.format(before=names[0], after=n), command, kind, names[0], n)
            for n in names[1:]
        )
        members = tuple(self._results(name, command, kind) for name in names)
        return ComparisonResults(names, command, members, comparisons)

    async def stream_single_benchmark(
        self,
        profile: HardwareProfile | str = HardwareProfile.EMBEDDED,
        task_ids: Sequence[str] | None = None,
        sample_size: int | None = None,
        output_format: OutputFormat | str = OutputFormat.JSON,
        **settings: object,
    ) -> AsyncIterator[Progress | BenchmarkResults]:
        """As `run_single_benchmark`, but yields each line of progress, and the results last.

        Leaving the loop early stops the run cleanly.
        """
        lines: asyncio.Queue[Progress | None] = asyncio.Queue()

        def told(line: Progress) -> None:
            lines.put_nowait(line)
            if self.on_progress is not None:
                self.on_progress(line)

        runner = replace(self, on_progress=told)
        asked = runner.run_single_benchmark(profile, task_ids, sample_size, output_format, **settings)
        task = asyncio.create_task(asked)
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
        return find_root(Path(self.root) if self.root is not None else None)

    def _results(self, profile: str, command: str, kind: OutputFormat) -> BenchmarkResults:
        return BenchmarkResults(profile, self._root / paths.RUN.format(profile=profile), command, kind)

    def call(self, target: str, settings: Mapping[str, object]) -> SnakemakeCall:
        """The Snakemake call that a run makes; raises ConfigurationError if its config file does not exist."""
        flags = [*self.flags]
        given: dict[str, object] = {}
        if self.cores is not None:
            flags += ["--cores", str(self.cores)]
        if isinstance(self.config, Mapping):
            given = dict(self.config)
        elif self.config is not None:
            if not Path(self.config).is_file():
                raise ConfigurationError(
                    f"{self.config} is not a file", remedy="Name a YAML file of settings, or pass a dict"
                )
            flags += ["--configfile", str(Path(self.config).resolve())]
        return SnakemakeCall(target, given | dict(settings), flags)

    async def _run(self, target: str, settings: Mapping[str, object]) -> str:
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
        signal_group(process.pid, signum)
        with suppress(asyncio.TimeoutError):
            # keep reading: a full pipe would prevent the process from ending
            await asyncio.wait_for(process.communicate(), grace_s)
            break
    signal_group(process.pid, signal.SIGKILL)


def _failure(code: int, output: list[str]) -> BenchmarkError:
    """What went wrong, in the run's own words: its `error:` lines."""
    said = list(dict.fromkeys(line.removeprefix("error: ") for line in output if line.startswith("error: ")))
    started = any("asking" in line or line.startswith(("Execute", "rule ", "localrule ")) for line in output)
    if said and not started:
        return ConfigurationErrors(said)
    words = "; ".join(said) or next((line for line in reversed(output) if line.strip()), "no message")
    return RunFailed(f"the run ended with exit code {code}: {words}", code, output)


def _given(settings: Mapping[str, object]) -> dict[str, object]:
    return {key: value for key, value in settings.items() if value is not None}


def _format(value: OutputFormat | str) -> OutputFormat:
    try:
        return OutputFormat(value)
    except ValueError:
        raise ConfigurationError(f"unknown output format '{value}', {nearest(value, OutputFormat)}") from None
