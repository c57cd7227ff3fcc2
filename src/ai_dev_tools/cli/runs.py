"""Commands that run Snakemake for one run: run, batch, report, archive."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ai_dev_tools.benchmark.records import paths
from ai_dev_tools.cli import console, options
from ai_dev_tools.cli.command_request import CommandRequest, Presenter, open_request, presenter, start

if TYPE_CHECKING:
    from ai_dev_tools.benchmark.planning.experiment import Experiment


def run(
    context: typer.Context,
    profile: options.Profile = None, tasks: options.Tasks = None, samples: options.Samples = None,
    approaches: options.Approaches = None, models: options.Models = None, tools: options.Tools = None,
    endpoint: options.Endpoint = None, output_format: options.Output = None,
    config: options.Settings = None, configfile: options.ConfigFiles = None, cores: options.Cores = None,
    root: options.Root = None, as_json: options.AsJson = False,
) -> None:  # fmt: skip
    """Run the benchmark of one profile. Snakemake's own flags go after `--`, for example `-- --dry-run`."""
    raise SystemExit(start(CommandRequest.of(context), "report", presenter(None, as_json)))


def batch(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="quick, standard, comprehensive, scaling, or one of the config's")],
    tasks: options.Tasks = None, models: options.Models = None, endpoint: options.Endpoint = None,
    output_format: options.Output = None, config: options.Settings = None, configfile: options.ConfigFiles = None,
    cores: options.Cores = None, root: options.Root = None, as_json: options.AsJson = False,
) -> None:  # fmt: skip
    """Run a batch of profiles and report on all of them together."""
    request = CommandRequest.of(context).also(batch=name)
    raise SystemExit(start(request, "batch", presenter(f"batches/{name}", as_json)))


def report(
    context: typer.Context,
    partial: Annotated[bool, typer.Option(help="Use only what exists")] = False,
    profile: options.Profile = None, tasks: options.Tasks = None, samples: options.Samples = None,
    approaches: options.Approaches = None, models: options.Models = None, tools: options.Tools = None,
    endpoint: options.Endpoint = None, output_format: options.Output = None,
    config: options.Settings = None, configfile: options.ConfigFiles = None, cores: options.Cores = None,
    root: options.Root = None, as_json: options.AsJson = False,
) -> None:  # fmt: skip
    """Render the report of a stored run again; asks no model. Give the settings that the run was made with."""
    request = CommandRequest.of(context).also(partial=partial or None, source="samples")
    experiment, place = open_request(request)
    if problem := undeclared(experiment, place):
        console.stop(problem)
    raise SystemExit(start(request.with_flags("--forcerun", "render_report"), "report", presenter(None, as_json)))


def archive(
    context: typer.Context,
    profile: options.Profile = None, tasks: options.Tasks = None, samples: options.Samples = None,
    approaches: options.Approaches = None, models: options.Models = None, tools: options.Tools = None,
    endpoint: options.Endpoint = None, config: options.Settings = None, configfile: options.ConfigFiles = None,
    cores: options.Cores = None, root: options.Root = None, as_json: options.AsJson = False,
) -> None:  # fmt: skip
    """Write a run as one file that others can check, render and repeat; asks models only for what is missing."""
    raise SystemExit(start(CommandRequest.of(context), "archive", _archived(as_json)))


def _archived(as_json: bool) -> Presenter:
    """Presents the archive that was made of a run."""

    def present(experiment: Experiment, root: Path, command: str) -> None:
        profile = experiment.run
        file = root / paths.ARCHIVE.format(profile=profile, archive=experiment.archive_name(profile))
        if as_json:
            console.out_json({"command": command, "archive": str(file), "bytes": file.stat().st_size})
        else:
            console.tell(file)
            console.say(f"Check it anywhere: ai-dev-bench verify {file.name}")

    return present


def undeclared(experiment: Experiment, root: Path) -> str | None:
    """Why no finished run has these settings, and what the last one was asked with.

    None if one has them.
    """
    from ai_dev_tools.benchmark.records.plan import read_plans  # takes 0.1 s

    profile = experiment.config.profile
    plan = experiment.plan(profile)
    declared = read_plans(root / paths.PLANS.format(profile=experiment.run.removesuffix(paths.REPLAY)))
    if any(plan.digest == earlier.plan or plan.restates(earlier) for earlier in declared):
        return None
    if not declared:
        return f"profile '{profile}' has no run yet: ai-dev-bench run --profile {profile}"
    last = declared[-1]
    asked = {
        "tasks": (list(last.tasks), last.tasks != plan.tasks),
        "samples": ([str(last.samples)], last.samples != plan.samples),
        "approaches": (last.approaches, last.approaches != plan.approaches),
        "models": (last.models, last.models != plan.models),
    }
    differing = "".join(f" --{key} {' '.join(values)}" for key, (values, differs) in asked.items() if differs)
    return (
        f"no run of profile '{profile}' was asked with these settings; name those of the run, for example of the last: "
        f"ai-dev-bench report --profile {profile}{differing or ' (and its --config or --configfile)'}"
    )
