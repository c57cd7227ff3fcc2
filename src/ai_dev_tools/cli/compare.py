"""The command `compare`: profiles, running what is missing; or two stored runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from ai_dev_tools.cli import console, options
from ai_dev_tools.cli.command_request import CommandRequest, open_request, presenter, show, start

if TYPE_CHECKING:
    from ai_dev_tools.benchmark.comparison.run import StoredRun


def compare(
    context: typer.Context,
    profiles: Annotated[
        list[str] | None,
        typer.Option(
            "--profiles",
            metavar="NAME ...",
            help="Two or more; the first with each other; NAME@replay is a replay of NAME",
        ),
    ] = None,
    runs: Annotated[
        list[str] | None,
        typer.Option(
            "--runs", metavar="A B", help="Instead: two stored runs (folder, table, archive, import); asks nothing"
        ),
    ] = None,
    same_verdicts: Annotated[
        bool, typer.Option("--same-verdicts", help="Exit code 1 unless all verdicts of the first hold in the others")
    ] = False,
    tasks: options.Tasks = None, samples: options.Samples = None, models: options.Models = None,
    endpoint: options.Endpoint = None, output_format: options.Output = None, config: options.Settings = None,
    configfile: options.ConfigFiles = None, cores: options.Cores = None, root: options.Root = None,
    as_json: options.AsJson = False,
) -> None:  # fmt: skip
    """Compare profiles on the cases that they share (runs what is missing), or two stored runs, or a repetition."""
    request = CommandRequest.of(context)
    if runs and profiles:
        console.stop("compare takes --profiles (and runs what is missing) or --runs (and asks nothing), not both")
    if runs:
        raise SystemExit(_compare_stored(runs, request, same_verdicts, as_json))
    wanted = options.names(profiles) or []
    if len(wanted) < 2:
        console.stop("compare needs two profiles or more: ai-dev-bench compare --profiles light medium")
    raise SystemExit(_compare_profiles(request.also(compare=wanted, profile=wanted[0]), same_verdicts, as_json))


def _compare_profiles(request: CommandRequest, same_verdicts: bool, as_json: bool) -> int:
    experiment, place = open_request(request)
    first, *others = experiment.compared
    folders = [f"comparison/{first}__{other}" for other in others]
    code = start(request, "compare", presenter(folders[0], as_json))
    if code == console.OK and not request.dry:
        from ai_dev_tools.benchmark.comparison.run import open_run  # takes 1.4 s

        for folder in folders[1:]:
            console.say(f"Report: results/{folder}/overview.html")
        compared = [open_run(place / "results" / name) for name in (first, *others)]
        code = _say_whether_verdicts_hold(compared, same_verdicts)
    return code


def _compare_stored(given: Sequence[str], request: CommandRequest, same_verdicts: bool, as_json: bool) -> int:
    """Compare two stored runs; nothing is asked and Snakemake has nothing to do. Returns the exit code."""
    # these take 1.4 s
    from ai_dev_tools.benchmark.comparison import write_comparison
    from ai_dev_tools.benchmark.comparison.run import open_run

    asked = [name for name, value in request.config.items() if value is not None and name != "output_format"]
    if asked:
        console.stop(f"--runs compares what is stored, so --{asked[0]} has no meaning there: leave it out")
    found = options.names(given) or []
    if len(found) != 2:
        console.stop("--runs takes two stored runs: ai-dev-bench compare --runs results/before results/after")
    experiment, place = open_request(request)
    before, after = (open_run(name, place) for name in found)
    if before.name == after.name:
        console.stop(f"both runs are called '{before.name}': rename one of the files or folders")
    target = f"comparison/{before.name}__{after.name}"
    config = experiment.config
    write_comparison(before, after, place / "results" / target, config.plan.reference, config.validity)
    show(place, target, experiment.config.output_format, "", as_json)
    return _say_whether_verdicts_hold([before, after], same_verdicts)


def _say_whether_verdicts_hold(runs: Sequence[StoredRun], required: bool) -> int:
    """Say what became of the first run's verdicts in each other run.

    Returns 1 if they must hold and do not.
    """
    from ai_dev_tools.benchmark.comparison.repetition import compare_requests  # takes 1.4 s

    first, *others = runs
    found = [compare_requests(first, other) for other in others]
    for other, repetition in zip(others, found, strict=True):
        for line in repetition.lines:
            console.say(f"{first.name} and {other.name}: {line}")
    return console.FAILED if required and not all(repetition.holds for repetition in found) else console.OK
