"""`ai-dev-bench`: every command prints the Snakemake command that it runs, so that you can run it yourself.

Exit codes: 0 done; 1 the run failed, a check failed, an archive is not valid, or something got worse; 2 the call
or a setting is wrong (the message names the right one); 3 the gate could not decide (`gate --strict`); 130 stopped
by Ctrl-C; 143 told to end.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from ai_dev_tools.cli import console, more, stored
from ai_dev_tools.cli.options import AsJson, Root, join_lists, names, takes
from ai_dev_tools.cli.running import Wish, open_wish, shows, start

app = typer.Typer(
    help="Does handing a language model a tool's findings save tokens and time at equal quality?",
    epilog=(__doc__ or "").partition("\n\n")[2].replace("\n", " "),
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from ai_dev_tools import __version__

        console.out(__version__)
        raise SystemExit(console.OK)


@app.callback()
def common(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Print the version and exit")
    ] = False,
) -> None:
    pass


@app.command(name="run")
@takes("profile", "tasks", "samples", "approaches", "models", "tools", "endpoint", "output_format")
def run_command(wish: Wish, as_json: AsJson = False) -> None:
    """Run the benchmark of one profile. Snakemake's own flags go after `--`, for example `-- --dry-run`."""
    raise SystemExit(start(wish, "report", shows(None, as_json)))


@app.command()
@takes("tasks", "models", "endpoint", "output_format")
def batch(
    name: Annotated[str, typer.Argument(help="quick, standard, comprehensive, scaling, or one of the config's")],
    wish: Wish,
    as_json: AsJson = False,
) -> None:
    """Run a batch of profiles and report it as one."""
    raise SystemExit(start(wish.also(batch=name), "batch", shows(f"batches/{name}", as_json)))


@app.command()
@takes("tasks", "samples", "models", "endpoint", "output_format")
def compare(
    wish: Wish,
    profiles: Annotated[
        list[str] | None,
        typer.Option(
            "--profiles",
            metavar="NAME ...",
            help="Two or more; the first with each other one; NAME@replay is a replay of NAME",
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
    as_json: AsJson = False,
) -> None:
    """Compare profiles over the cases that they share, running what is missing; or two stored runs, or a repetition."""
    if runs and profiles:
        console.stop("compare takes --profiles (and runs what is missing) or --runs (and asks nothing), not both")
    if runs:
        raise SystemExit(stored.compare_runs(runs, wish, same_verdicts, as_json))
    wanted = names(profiles) or []
    if len(wanted) < 2:
        console.stop("compare needs two profiles or more: ai-dev-bench compare --profiles light medium")
    wish = wish.also(compare=wanted, profile=wanted[0])
    experiment, _, place = open_wish(wish)
    first, *others = experiment.compared
    folders = [f"comparison/{first}__{other}" for other in others]
    code = start(wish, "compare", shows(folders[0], as_json))
    if code == console.OK and not wish.dry:
        from ai_dev_tools.benchmark.comparison.run import read_run

        for folder in folders[1:]:
            console.say(f"Report: results/{folder}/overview.html")
        compared = [read_run(place / "results" / name) for name in (first, *others)]
        code = stored.say_whether_verdicts_hold(compared, same_verdicts)
    raise SystemExit(code)


@app.command()
@takes("profile", "tasks", "samples", "approaches", "models", "tools", "endpoint", "output_format")
def report(
    wish: Wish, partial: Annotated[bool, typer.Option(help="Of what exists")] = False, as_json: AsJson = False
) -> None:
    """Render the report of a run again from what is stored; asks no model. Name what the run was asked with."""
    from ai_dev_tools.cli.listing import undeclared

    stored_only = wish.also(partial=partial or None, source="samples")
    experiment, _, place = open_wish(stored_only)
    if problem := undeclared(experiment, place):
        console.stop(problem)
    raise SystemExit(start(stored_only.with_flags("--forcerun", "render_report"), "report", shows(None, as_json)))


@app.command()
@takes("profile", "tasks", "samples", "approaches", "models", "tools", "endpoint")
def archive(wish: Wish, as_json: AsJson = False) -> None:
    """Put a run into one file that others can check, render again and repeat; asks models only for what is missing."""
    raise SystemExit(start(wish, "archive", stored.archived(as_json)))


@app.command(name="list-tasks")
def list_tasks(root: Root = None, as_json: AsJson = False) -> None:
    """List the tasks there are."""
    from ai_dev_tools.cli.listing import task_rows, task_table

    rows = task_rows(Wish(root).place())
    console.out_json(rows) if as_json else console.out(task_table(rows))


@app.command(name="add-task")
def add_task(
    task_id: Annotated[str, typer.Option("--task-id", help="Letters, digits, '-' and '_'")],
    name: Annotated[str, typer.Option("--name", help="For people")],
    baseline_prompt: Annotated[str, typer.Option("--baseline-prompt", help="Context of the baseline arm; @FILE")],
    tools_prompt: Annotated[str, typer.Option("--tools-prompt", help="Context of the tools arm; @FILE reads it")],
    workflow_type: Annotated[str, typer.Option("--workflow-type", help="safety_check, pattern_analysis …")] = "custom",
    description: Annotated[str, typer.Option("--description", help="One sentence [default: the name]")] = "",
    expected_outputs: Annotated[
        str | None, typer.Option("--expected-outputs", metavar="JSON", help='{"risk_level": "HIGH"}')
    ] = None,
    timeout: Annotated[float | None, typer.Option("--timeout", help="Seconds for one request")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a task of yours of this id")] = False,
    root: Root = None,
    as_json: AsJson = False,
) -> None:
    """Add a task made of two prompts."""
    from ai_dev_tools.benchmark.tasks.registry import get_task_registry
    from ai_dev_tools.cli.listing import json_table, text_or_file

    task = get_task_registry(root).create_custom_task(
        task_id, name, workflow_type, text_or_file(baseline_prompt), text_or_file(tools_prompt), description, timeout,
        json_table(expected_outputs, "--expected-outputs"), overwrite,
    )  # fmt: skip
    if as_json:
        console.out_json({"id": task.id, "folder": task.folder, "answer_schema": task.answer_schema})
    else:
        console.tell(f"Task '{task.id}' is in {task.folder}. Run it: ai-dev-bench run --tasks {task.id}")
    if expected_outputs is None:
        console.say("note: without --expected-outputs answers are not scored, so no verdict on it can say 'saves'")


@app.command()
@takes("profile", "tasks", "endpoint", "models", runs=False)
def validate(
    wish: Wish,
    sources: Annotated[bool, typer.Option(help="Also where each setting comes from")] = True,
    as_json: AsJson = False,
) -> None:
    """Check settings, tasks, tools, endpoints, models, memory and disk; exit code 1 if a run cannot work."""
    from ai_dev_tools.benchmark.config.sources import load_settings
    from ai_dev_tools.benchmark.workflow.preflight import validate as check_all
    from ai_dev_tools.cli.listing import setting_rows

    place, overrides = wish.place(), wish.settings()
    merged = load_settings(place, overrides)
    with contextlib.chdir(place):
        checks = [vars(check) for check in check_all(merged, overrides, place)]
    settings = setting_rows(merged) if sources else []
    if as_json:
        console.out_json({"checks": checks, "settings": settings})
    else:
        if settings:
            console.out(console.table(settings, ["setting", "value", "source"], console.WIDTH) + "\n")
        console.out(console.table(checks, ["status", "name", "found", "mend"], console.WIDTH))
    raise SystemExit(console.FAILED if any(check["status"] == "failed" for check in checks) else console.OK)


@app.command()
@takes("profile", "tasks", "samples", "approaches", "models", "tools", "endpoint", runs=False)
def plan(
    wish: Wish,
    effect: Annotated[
        float | None, typer.Option("--effect", help="True ratio to be found, e.g. 0.8 [default: plan.effect]")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show what a run would claim, can find, would ask and take, and how large one for `--effect` must be."""
    from ai_dev_tools.cli.listing import plan_of

    experiment, _, place = open_wish(wish)
    content, text = plan_of(experiment, place, effect)
    console.out_json(content) if as_json else console.out(text)
    console.say(f"$ {wish.call('report').shown()}")


stored.register(app)
more.register(app)


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse, run, and turn every failure into one line and an exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    at = words.index("--") if "--" in words else len(words)
    words, flags = words[:at], words[at + 1 :]
    try:
        result = app(join_lists(words), standalone_mode=False, prog_name="ai-dev-bench", obj={"flags": flags})
        return result if isinstance(result, int) else console.OK
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else console.FAILED
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        return _explain(error, words)


def _explain(error: Exception, words: list[str]) -> int:
    """One line that names the right call; what is no mistake of the user's is raised."""
    from ai_dev_tools.benchmark.errors import BenchmarkError, ConfigurationError

    if isinstance(error, BenchmarkError):
        for line in str(error).splitlines():
            console.say(f"error: {line}")
        return console.WRONG_CALL if isinstance(error, ConfigurationError) else console.FAILED
    if not hasattr(error, "format_message"):
        raise error
    from ai_dev_tools.cli.listing import better_call

    message = better_call(error, app, words)
    if message:
        console.say(f"error: {message}")
    return int(getattr(error, "exit_code", console.WRONG_CALL))


if __name__ == "__main__":
    raise SystemExit(main())
