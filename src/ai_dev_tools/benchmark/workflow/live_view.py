"""A live view of a running or finished run, from its sample files alone.

    python -m ai_dev_tools.benchmark.workflow.live_view results/embedded

It does not talk to the run itself, so it works during a run, over ssh, on any machine that sees the folder, and after the
end. Times are those that the samples hold, so a clock that differs does no harm.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from statistics import fmean

import msgspec
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from ai_dev_tools.benchmark._util.clock import busy_seconds, duration
from ai_dev_tools.benchmark._util.text import plural, visible_line
from ai_dev_tools.benchmark.errors import BenchmarkError, ConfigurationError, error_lines, file_error
from ai_dev_tools.benchmark.planning.estimate import measured_blocks, scaled, seconds_per_request
from ai_dev_tools.benchmark.records.paths import safe_model
from ai_dev_tools.benchmark.records.plan import parse_plans

RECENT_S = 60.0
Cell = tuple[str, str, str]


class SampleErrorClass(msgspec.Struct):
    """Error class of a sample file."""

    class_: str = msgspec.field(name="class")


class SampleStatus(msgspec.Struct):
    """What the view needs of a sample file; everything else is skipped unread."""

    status: str
    started_at: str
    error: SampleErrorClass | None = None
    duration_s: float | None = None
    total_tokens: int | None = None
    in_flight: int = 1
    plan: str | None = None

    @property
    def span(self) -> tuple[float, float] | None:
        """Its beginning and end in seconds since the epoch; None if unknown, as in old results."""
        try:
            start = datetime.fromisoformat(self.started_at).timestamp()
        except (ValueError, OverflowError, OSError):
            return None
        return start, start + (self.duration_s or 0.0)


_decoder = msgspec.json.Decoder(SampleStatus)


@dataclass
class RunView:
    """State of a run's folder; `update` reads what is new.

    Attributes:
        expected: planned samples of each (path-safe model, task, approach); empty without a plan.
        samples: what is there, by path.
        unreadable: files that are not samples (yet).
    """

    folder: Path
    expected: dict[Cell, int] = field(default_factory=dict)
    samples: dict[Path, SampleStatus] = field(default_factory=dict)
    unreadable: int = 0
    _stamps: dict[Path, tuple[int, int]] = field(default_factory=dict)
    _cells: dict[Path, Cell] = field(default_factory=dict)
    _before: dict[str, float] | None = None

    def update(self) -> None:
        """Read the plan and every sample file that is new or changed, forget those that are gone."""
        self.expected = planned(self.folder / "plans.jsonl")
        found: dict[Path, tuple[int, int]] = {}
        self.unreadable = 0
        for path, cell, stamp in sample_files(self.folder / "samples"):
            if self.expected and path.stem.isdigit() and int(path.stem) >= self.expected.get(cell, 0):
                continue  # of an earlier, larger run
            found[path] = stamp
            self._cells[path] = cell
            if self._stamps.get(path) == stamp and path in self.samples:
                continue
            try:
                self.samples[path] = _decoder.decode(path.read_bytes())
            except (OSError, msgspec.MsgspecError):
                self.unreadable += 1
                self.samples.pop(path, None)
        for path in set(self.samples) - set(found):
            del self.samples[path]
        self._stamps = found

    def by_cell(self) -> dict[Cell, list[SampleStatus]]:
        """Samples by (path-safe model, task, approach)."""
        cells: dict[Cell, list[SampleStatus]] = defaultdict(list)
        for path, sample in self.samples.items():
            cells[self._cells[path]].append(sample)
        return cells

    @property
    def total(self) -> int:
        """Planned samples; those that are there when no plan says more."""
        return max(sum(self.expected.values()), len(self.samples)) if self.expected else len(self.samples)

    @property
    def finished(self) -> bool:
        """Whether every planned sample is there."""
        cells = self.by_cell()
        return bool(self.expected) and all(len(cells.get(cell, [])) >= count for cell, count in self.expected.items())

    def rates(self) -> tuple[float, float, int]:
        """(requests/s, tokens/s, in flight) over the last minute before the newest sample ended."""
        timed = [(span, sample) for sample in self.samples.values() if (span := sample.span)]
        if not timed:
            return 0.0, 0.0, 0
        (_, newest), last = max(timed, key=lambda one: one[0][1])
        recent = [(start, sample) for (start, end), sample in timed if end >= newest - RECENT_S]
        seconds = max(newest - max(newest - RECENT_S, min(start for start, _ in recent)), 1e-9)
        tokens = sum(sample.total_tokens or 0 for _, sample in recent)
        return len(recent) / seconds, tokens / seconds, last.in_flight

    def left_s(self) -> float | None:
        """Seconds that the missing samples may take; None as long as nothing is known.

        Each missing sample is charged the mean duration of its cell, else of its model and approach, else of the
        model: in this run, in earlier runs in this folder, or scaled by the model's size. This sum is
        divided by how many requests were under way on average while anything was.
        """
        cells = self.by_cell()
        known = {cell: [s.duration_s for s in samples if s.duration_s] for cell, samples in cells.items()}
        work = 0.0
        for cell, count in self.expected.items():
            if (missing := count - len(cells.get(cell, []))) <= 0:
                continue
            alike = [d for other, ds in known.items() if (other[0], other[2]) == (cell[0], cell[2]) for d in ds]
            durations = known.get(cell) or alike
            each = fmean(durations) if durations else self._usual(cell[0], known)
            if each is None:
                return None
            work += missing * each
        spans = [span for sample in self.samples.values() if (span := sample.span)]
        at_once = sum(end - start for start, end in spans) / busy_seconds(spans)
        return work / max(1.0, at_once) if self.expected else None

    def _usual(self, model: str, known: Mapping[Cell, Sequence[float]]) -> float | None:
        """Seconds of a model's request.

        From this run, or earlier runs in the same folder, or scaled from other models.
        """
        if self._before is None:
            earlier = seconds_per_request(measured_blocks(self.folder.parent))
            self._before = {safe_model(model): seconds for model, seconds in earlier.items()}
        here: dict[str, list[float]] = defaultdict(list)
        for (name, _, _), durations in known.items():
            here[name] += durations
        measured = self._before | {name: fmean(durations) for name, durations in here.items() if durations}
        return measured.get(model) or scaled(model, measured)


def planned(ledger: Path) -> dict[Cell, int]:
    """Samples per cell that the latest plan announces; empty without a readable plan."""
    try:
        plans = parse_plans(ledger.read_bytes().splitlines()[-1:])
    except (OSError, ConfigurationError):
        return {}
    return {
        (safe_model(model), task, arm): plan.samples
        for plan in plans
        for model in plan.models
        for task in plan.tasks
        for arm in plan.arms_of(task)
    }


def sample_files(folder: Path) -> Iterator[tuple[Path, Cell, tuple[int, int]]]:
    """Every sample file with its cell, and a stamp that changes when the file does."""
    for model in _entries(folder):
        for task in _entries(Path(model.path)):
            for arm in _entries(Path(task.path)):
                for file in _entries(Path(arm.path)):
                    if file.name.endswith(".json") and not file.name.startswith("."):
                        try:
                            status = file.stat()
                        except OSError:
                            continue
                        yield Path(file.path), (model.name, task.name, arm.name), (status.st_mtime_ns, status.st_size)


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        return sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:
        return []


def show(view: RunView) -> RenderableType:
    """The view as something rich can print."""
    cells = view.by_cell()
    blocks = list(dict.fromkeys((model, task) for model, task, _ in [*view.expected, *sorted(cells)]))
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name, right in (
        ("model", False),
        ("task", False),
        ("progress", False),
        ("done", True),
        ("failed", True),
        ("mean s", True),
    ):
        table.add_column(name, justify="right" if right else "left")
    for model, task in blocks:
        mine = [sample for cell, samples in cells.items() if cell[:2] == (model, task) for sample in samples]
        want = sum(count for cell, count in view.expected.items() if cell[:2] == (model, task)) or len(mine)
        bad = sum(sample.status != "completed" for sample in mine)
        durations = [sample.duration_s for sample in mine if sample.duration_s]
        bar = ProgressBar(total=max(want, 1), completed=min(len(mine), want), width=24)
        mean = f"{fmean(durations):.2f}" if durations else "–"
        table.add_row(
            Text(visible_line(model)),
            Text(visible_line(task)),
            bar,
            f"{len(mine)}/{want}",
            Text(str(bad), style="red" if bad else ""),
            mean,
        )
    return Group(_headline(view), Text(""), table, *_errors(view))


def _headline(view: RunView) -> Text:
    requests, tokens, in_flight = view.rates()
    left = view.left_s()
    done = len(view.samples)
    state = (
        "finished"
        if view.finished
        else "no plan yet"
        if not view.expected
        else f"about {duration(left)} left"
        if left is not None
        else "waiting for the first sample"
    )
    text = Text(f"{visible_line(view.folder)}: {done} of {view.total} samples, {state}", style="bold")
    if done:
        now = f"{in_flight} in flight, " if not view.finished else ""
        text.append(
            f"\n{now}{requests:.2f} requests/s, {tokens:.0f} tokens/s in the last minute of measuring", style="not bold"
        )
    return text


def _errors(view: RunView) -> list[Text]:
    classes = Counter(s.error.class_ if s.error else s.status for s in view.samples.values() if s.status != "completed")
    lines = [Text(f"{visible_line(name)}: {count}", style="red") for name, count in sorted(classes.items())]
    if view.unreadable:
        lines.append(Text(f"{plural(view.unreadable, 'file')} cannot be read as samples", style="yellow"))
    return [Text(""), Text("errors", style="bold"), *lines] if lines else []


def watch(folder: Path, interval_s: float = 2.0, once: bool = False, console: Console | None = None) -> RunView:
    """Show a run until every planned sample is there.

    Args:
        folder: results folder of a profile, e.g. results/light.
        interval_s: seconds between updates.
        once: look once and return.

    Raises:
        ConfigurationError: the results folder does not exist.
    """
    if not folder.is_dir():
        raise ConfigurationError(
            f"the results folder {folder} does not exist", remedy="Start the run first, or name another folder"
        )
    console = console or Console()
    view = RunView(folder)
    view.update()
    if once or not console.is_terminal:
        console.print(show(view))
        while not (once or view.finished):
            time.sleep(interval_s)
            view.update()
            console.print(_headline(view))
        return view
    with Live(show(view), console=console, auto_refresh=False) as live:
        while not view.finished:
            time.sleep(interval_s)
            view.update()
            live.update(show(view), refresh=True)
    return view


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line of the live view; returns the exit code."""
    parser = argparse.ArgumentParser(prog="watch", description="Show the progress of a run from its sample files.")
    parser.add_argument(
        "folder", type=Path, nargs="?", default=Path("results/embedded"), help="results folder of a profile"
    )
    parser.add_argument("--interval", type=float, default=2.0, help="seconds between updates")
    parser.add_argument("--once", action="store_true", help="print the current state and exit")
    given = parser.parse_args(arguments)
    try:
        watch(given.folder, max(given.interval, 0.1), given.once)
    except (BenchmarkError, OSError) as error:
        print(
            *error_lines(error if isinstance(error, BenchmarkError) else file_error(error)), sep="\n", file=sys.stderr
        )
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
