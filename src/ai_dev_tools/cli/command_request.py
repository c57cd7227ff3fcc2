"""From options to settings that are checked, and to one Snakemake call that is printed and run."""

from __future__ import annotations

import contextlib
import json
import os
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import typer

from ai_dev_tools.benchmark._util.json_values import JsonObject
from ai_dev_tools.benchmark.config.shipped_files import find_root
from ai_dev_tools.benchmark.config.sources import load_settings, parse_overrides, update
from ai_dev_tools.benchmark.errors import ConfigurationError
from ai_dev_tools.benchmark.reporting import usual_format
from ai_dev_tools.benchmark.workflow.run_lock import ANOTHER_RUN, another_run
from ai_dev_tools.benchmark.workflow.snakemake import SUMMARY, SnakemakeCall, run
from ai_dev_tools.cli.console import FAILED, OK, out, out_json, say, stop
from ai_dev_tools.cli.options import names

if TYPE_CHECKING:
    from ai_dev_tools.benchmark.config.models import OutputFormat, ValidityThresholds
    from ai_dev_tools.benchmark.planning.experiment import Experiment

Setting = str | int | float | bool | Sequence[str] | None
SETTINGS = ("profile", "tasks", "samples", "approaches", "models", "tools", "endpoint", "output_format")
"""Options that are settings of config.yaml by the same name."""


@dataclass(frozen=True)
class CommandRequest:
    """What a command was called with, before anything is checked.

    Attributes:
        config: settings by name; None if the option was not given.
        pairs: further settings, `KEY=VALUE`.
        files: config files to lay over config.yaml.
        flags: Snakemake's own flags.
    """

    root: Path | None = None
    config: Mapping[str, Setting] = field(default_factory=dict)
    pairs: Sequence[str] = ()
    files: Sequence[Path] = ()
    cores: str | None = None
    flags: Sequence[str] = ()

    @classmethod
    def of(cls, context: typer.Context) -> CommandRequest:
        """The shared options of a command; ends the program if one makes no sense."""
        given = context.params
        for name in SETTINGS:
            value = given.get(name)
            if isinstance(value, list | tuple) and value and not names(value):
                stop(f"--{name.replace('_', '-')} names nothing: give a name or more, or leave it out")
        cores = given.get("cores")
        if cores is not None and cores != "all" and not re.fullmatch(r"[1-9]\d*", cores):
            stop(f"--cores {cores}: expected a number of cores, or all")
        config = {
            name: names(v) if isinstance(v := given[name], list | tuple) else v for name in SETTINGS if name in given
        }
        root = given.get("root")
        return cls(
            root=Path(root) if root is not None else None,
            config=config,
            pairs=tuple(given.get("config") or ()),
            files=tuple(map(Path, given.get("configfile") or ())),
            cores=cores,
            flags=tuple((context.obj or {}).get("flags", ())),
        )

    def also(self, **config: Setting) -> CommandRequest:
        """The same request with further settings."""
        return replace(self, config={**self.config, **config})

    def with_flags(self, *flags: str) -> CommandRequest:
        """The same request with further flags of Snakemake's, before those of the user."""
        return replace(self, flags=[*flags, *self.flags])

    @property
    def dry(self) -> bool:
        """Whether Snakemake is only to say what it would do."""
        return any(flag in ("-n", "--dry-run", "--dryrun") for flag in self.flags)

    def settings(self) -> JsonObject:
        """The settings that the command line gives, in Snakemake's order: files, pairs, options."""
        from ai_dev_tools.benchmark.config.parsing import read_settings  # takes 0.1 s

        found: JsonObject = {}
        for path in self.files:
            update(found, read_settings(path))
        update(found, parse_overrides(self.pairs))
        update(found, {key: value for key, value in self.config.items() if value is not None})
        return found

    def call(self, target: str) -> SnakemakeCall:
        """The Snakemake call."""
        flags = ["--cores", self.cores] if self.cores else []
        if self.files:
            flags += ["--configfile", *(str(path.resolve()) for path in self.files)]
        given = {key: value for key, value in self.config.items() if value is not None}
        return SnakemakeCall(target, {**parse_overrides(self.pairs), **given}, [*flags, *self.flags])

    def find_root(self) -> Path:
        """The workflow's folder."""
        return find_root(self.root)


class Presenter(Protocol):
    """Presents the result of a run; takes the experiment, the workflow's folder and the command as typed."""

    def __call__(self, experiment: Experiment, root: Path, command: str) -> None: ...


def open_request(request: CommandRequest) -> tuple[Experiment, Path]:
    """The experiment and the workflow's folder, with everything checked.

    Raises ConfigurationError with one line per mistake.

    Paths in settings are seen from the workflow's folder, as Snakemake sees them, in any folder that the command is typed in.
    """
    # these take 0.3 s
    from ai_dev_tools.benchmark.config.batches import apply_batch
    from ai_dev_tools.benchmark.config.models import load_config
    from ai_dev_tools.benchmark.planning.opening import open_experiment

    root, overrides = request.find_root(), request.settings()
    config = load_config(apply_batch(load_settings(root, overrides).settings, overrides))
    with contextlib.chdir(root):
        return open_experiment(config, root), root


def judging(root: Path | None) -> tuple[ValidityThresholds | None, str]:
    """Thresholds and reference of the project that this is about; the defaults where there is none here."""
    from ai_dev_tools.benchmark.config.models import load_config  # takes 0.1 s

    try:
        folder = find_root(root)
    except ConfigurationError:
        return None, "baseline"
    config = load_config(load_settings(folder, {}).settings)
    return config.validity, config.plan.reference


def start(request: CommandRequest, target: str, present: Presenter) -> int:
    """Check, print and run; then have the result presented.

    Returns:
        The exit code: 0, 1 when the run failed, 130 or 143 when it was stopped.
    """
    experiment, root = open_request(request)
    call = request.call(target)
    say(f"$ {call.shown()}")
    code = run(call, root, {SUMMARY: "off"})
    if code == OK and not request.dry:
        present(experiment, root, call.shown())
    elif code not in (OK, 130, 143):
        if another_run(root / ".snakemake"):
            say(f"{ANOTHER_RUN}; this one did not finish")
            return FAILED
        say("error: the run did not finish; what it measured is kept, the same command asks only for the rest")
        code = FAILED
    elif code:
        say("stopped; what was measured is kept, the same command continues")
    return code


def presenter(results: str | None, as_json: bool) -> Presenter:
    """Presents a report, or the overview in a folder below results/."""

    def present(experiment: Experiment, root: Path, command: str) -> None:
        show(root, results or experiment.run, experiment.config.output_format, command, as_json)

    return present


def show(root: Path, results: str, output_format: OutputFormat | None, command: str, as_json: bool) -> None:
    """The result on standard output: a report or an overview."""
    # these take 0.2 s
    from ai_dev_tools.benchmark.config.models import OutputFormat
    from ai_dev_tools.benchmark.runner.results import overview_text, report_text

    folder = root / "results" / results
    overview = folder / "overview.json"
    shown = folder / ("overview.html" if overview.exists() else "report/report.html")
    if as_json:
        content = overview if overview.exists() else folder / "report" / "report.json"
        result = json.loads(content.read_text(encoding="utf-8"))
        out_json({"command": command, "folder": str(folder), "html": str(shown), "result": result})
        return
    chosen = OutputFormat(output_format or usual_format(sys.stdout))
    out(overview_text(folder, chosen) if overview.exists() else report_text(folder, chosen))
    if overview.exists() or chosen is not OutputFormat.CONSOLE:
        say(f"Report: {os.path.relpath(shown)}")
