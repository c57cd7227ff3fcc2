"""`ai-dev-bench`: every command prints the Snakemake command that it runs, so that you can run it yourself.

Exit codes: 0 done; 1 the run failed, a check failed, or the gate found something worse; 2 the call or a
setting is wrong (the message names the right one); 3 the gate could not decide (`gate --strict`); 130 stopped
by Ctrl-C; 143 told to end.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from ai_dev_tools.cli import console
from ai_dev_tools.cli.running import Wish, open_wish, start

app = typer.Typer(
    help="Does handing a language model a tool's findings save tokens and time at equal quality?",
    epilog=(__doc__ or "").partition("\n\n")[2].replace("\n", " "),
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
LISTS = ("--tasks", "--approaches", "--models", "--profiles", "--tools", "--runs", "--config", "--metric")
"""Options that take several values: `--tasks a b`, `--tasks a,b` and `--tasks a --tasks b` mean the same."""

Root = Annotated[Path | None, typer.Option("--root", help="The workflow's folder [default: found upwards from here]")]
Pairs = Annotated[
    list[str] | None, typer.Option("--config", metavar="KEY=VALUE", help="Any setting of config/config.yaml")
]
Files = Annotated[list[Path] | None, typer.Option("--configfile", help="Settings to lay over config/config.yaml")]
Cores = Annotated[str | None, typer.Option("--cores", help="Cores for Snakemake [default: all]")]
AsJson = Annotated[bool, typer.Option("--json", help="Data for programs on standard output")]
ProfileName = Annotated[str | None, typer.Option("--profile", "-p", help="embedded, light, medium, heavy, or your own")]
Tasks = Annotated[list[str] | None, typer.Option("--tasks", "-t", help="Task ids [default: all]")]
Samples = Annotated[int | None, typer.Option("--samples", "-s", help="Samples per approach [default: the profile's]")]
Approaches = Annotated[list[str] | None, typer.Option("--approaches", help="Arms, or all")]
Models = Annotated[list[str] | None, typer.Option("--models", help="Model tags or instance names of the profile")]
Tools = Annotated[list[str] | None, typer.Option("--tools", help="Tools to judge, each in an arm of its own")]
Endpoint = Annotated[
    str | None, typer.Option("--endpoint", help="embedded, auto, external, process, container, or a URL")
]
Format = Annotated[
    str | None, typer.Option("--output-format", "-f", help="What is printed: json, markdown, csv, console")
]


def _wish(ctx: typer.Context, root: Path | None, pairs: Any, files: Any, cores: str | None, **config: Any) -> Wish:
    listed = {key: _names(value) if isinstance(value, list) else value for key, value in config.items()}
    return Wish(root, listed, pairs or (), files or (), cores, (ctx.obj or {}).get("flags", ()))


def _names(values: Sequence[str] | None) -> list[str] | None:
    return [part for value in values or () for part in value.split(",") if part] or None


@app.command(name="run")
def run_command(
    ctx: typer.Context,
    profile: ProfileName = None,
    tasks: Tasks = None,
    samples: Samples = None,
    approaches: Approaches = None,
    models: Models = None,
    tools: Tools = None,
    endpoint: Endpoint = None,
    output_format: Format = None,
    config: Pairs = None,
    configfile: Files = None,
    cores: Cores = None,
    root: Root = None,
    as_json: AsJson = False,
) -> None:
    """Run the benchmark of one profile. Snakemake's own flags go after `--`, for example `-- --dry-run`."""
    wish = _wish(
        ctx, root, config, configfile, cores, profile=profile, tasks=tasks, samples=samples, approaches=approaches,
        models=models, tools=tools, endpoint=endpoint, output_format=output_format,
    )  # fmt: skip
    name = str(open_wish(wish)[0].config.profile)
    raise SystemExit(start(wish, "report", name, as_json))


@app.command()
def batch(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="quick, standard, comprehensive, scaling, or one of the config's")],
    tasks: Tasks = None,
    endpoint: Endpoint = None,
    models: Models = None,
    output_format: Format = None,
    config: Pairs = None,
    configfile: Files = None,
    cores: Cores = None,
    root: Root = None,
    as_json: AsJson = False,
) -> None:
    """Run a batch of profiles and report it as one."""
    from ai_dev_tools.benchmark.batches import find_batch
    from ai_dev_tools.benchmark.estimate import estimate
    from ai_dev_tools.benchmark.progress import duration

    wish = _wish(
        ctx, root, config, configfile, cores, batch=name, tasks=tasks, endpoint=endpoint, models=models,
        output_format=output_format,
    )  # fmt: skip
    experiment, merged, place = open_wish(wish)
    found = find_batch(merged.settings, name)
    guess = estimate(experiment, list(found.profiles), place)
    nominal = "{:g}-{:g} min".format(*found.nominal_minutes) if found.nominal_minutes else "none given"
    mine = (
        "none: nothing was measured on this machine yet"
        if guess.seconds is None
        else f"about {duration(guess.seconds)}"
    )
    assumed = (
        f" (never measured here, scaled by size: {', '.join(guess.unknown)})" if guess.unknown and guess.seconds else ""
    )
    asked = f"{guess.missing} of {guess.requests} requests to ask"
    console.say(f"batch {name}: {asked}; estimate {mine}{assumed}; nominal {nominal}")
    raise SystemExit(start(wish, "batch", f"batches/{name}", as_json))


@app.command()
def compare(
    ctx: typer.Context,
    profiles: Annotated[
        list[str] | None, typer.Option("--profiles", help="Two or more; the first with each other one")
    ] = None,
    runs: Annotated[
        list[str] | None, typer.Option("--runs", help="Instead: two stored runs (folder, table, archive, import)")
    ] = None,
    tasks: Tasks = None,
    samples: Samples = None,
    endpoint: Endpoint = None,
    output_format: Format = None,
    config: Pairs = None,
    configfile: Files = None,
    cores: Cores = None,
    root: Root = None,
    as_json: AsJson = False,
) -> None:
    """Compare profiles over the cases that they share, running what is missing."""
    if runs:
        from ai_dev_tools.cli.more import compare_stored

        compare_stored(runs, root, as_json)
        return
    names = _names(profiles) or []
    if len(names) < 2:
        console.stop("compare needs two profiles or more: ai-dev-bench compare --profiles light medium")
    wish = _wish(
        ctx, root, config, configfile, cores, compare=names, profile=names[0], tasks=tasks, samples=samples,
        endpoint=endpoint, output_format=output_format,
    )  # fmt: skip
    from ai_dev_tools.benchmark.tasks import check_names

    check_names(names, open_wish(wish)[0].config.profiles, "profile")
    code = start(wish, "compare", f"comparison/{names[0]}__{names[1]}", as_json)
    for other in names[2:] if code == console.OK else ():
        console.say(f"Report: results/comparison/{names[0]}__{other}/overview.html")
    raise SystemExit(code)


@app.command()
def report(
    ctx: typer.Context,
    profile: ProfileName = None,
    partial: Annotated[bool, typer.Option(help="Of what exists")] = False,
    output_format: Format = None,
    config: Pairs = None,
    configfile: Files = None,
    cores: Cores = None,
    root: Root = None,
    as_json: AsJson = False,
) -> None:
    """Render the report again from what is stored; asks no model."""
    wish = _wish(
        ctx, root, config, configfile, cores, profile=profile, output_format=output_format, partial=partial or None
    )
    name = str(open_wish(wish)[0].config.profile)
    again = Wish(
        wish.root, wish.config, wish.pairs, wish.files, wish.cores, ["--forcerun", "render_report", *wish.flags]
    )
    raise SystemExit(start(again, "report", name, as_json))


@app.command(name="list-tasks")
def list_tasks(root: Root = None, as_json: AsJson = False) -> None:
    """List the tasks there are."""
    from ai_dev_tools.cli.listing import task_rows

    rows = task_rows(Wish(root).place())
    console.out_json(rows) if as_json else console.out(
        console.table(rows, ["id", "workflow_type", "cases", "S", "L", "tools", "name"])
    )


@app.command(name="add-task")
def add_task(
    task_id: Annotated[str, typer.Option("--task-id", help="Letters, digits, '-' and '_'")],
    name: Annotated[str, typer.Option("--name", help="For people")],
    baseline_prompt: Annotated[str, typer.Option("--baseline-prompt", help="Context of the baseline arm; @FILE")],
    tools_prompt: Annotated[str, typer.Option("--tools-prompt", help="Context of the tools arm; @FILE reads it")],
    workflow_type: Annotated[str, typer.Option("--workflow-type", help="safety_check, pattern_analysis …")] = "custom",
    description: Annotated[str, typer.Option("--description")] = "",
    expected_outputs: Annotated[
        str | None, typer.Option("--expected-outputs", metavar="JSON", help='{"risk_level": "HIGH"}')
    ] = None,
    timeout: Annotated[float | None, typer.Option("--timeout", help="Seconds for one request")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a task of yours of this id")] = False,
    root: Root = None,
    as_json: AsJson = False,
) -> None:
    """Add a task made of two prompts."""
    from ai_dev_tools.benchmark.registry import get_task_registry
    from ai_dev_tools.cli.listing import json_table, text_or_file

    task = get_task_registry(root).create_custom_task(
        task_id, name, workflow_type, text_or_file(baseline_prompt), text_or_file(tools_prompt), description, timeout,
        json_table(expected_outputs, "--expected-outputs"), overwrite,
    )  # fmt: skip
    if as_json:
        console.out_json({"id": task.id, "folder": task.folder, "answer_schema": task.answer_schema})
    else:
        console.out(f"Task '{task.id}' is in {task.folder}. Run it: ai-dev-bench run --tasks {task.id}")
    if expected_outputs is None:
        console.say("note: without --expected-outputs answers are not scored, so no verdict on it can say 'saves'")


@app.command()
def validate(
    ctx: typer.Context,
    profile: ProfileName = None,
    tasks: Tasks = None,
    endpoint: Endpoint = None,
    models: Models = None,
    config: Pairs = None,
    configfile: Files = None,
    root: Root = None,
    sources: Annotated[bool, typer.Option(help="Also where each setting comes from")] = True,
    as_json: AsJson = False,
) -> None:
    """Check settings, tasks, tools, endpoints, models, memory and disk; exit code 1 if a run cannot work."""
    from ai_dev_tools.benchmark.checks import validate as check_all
    from ai_dev_tools.benchmark.settings import load_settings
    from ai_dev_tools.cli.listing import setting_rows

    wish = _wish(ctx, root, config, configfile, None, profile=profile, tasks=tasks, endpoint=endpoint, models=models)
    place, overrides = wish.place(), wish.settings()
    merged = load_settings(place, overrides)
    checks = [vars(check) for check in check_all(merged, overrides, place)]
    settings = setting_rows(merged) if sources else []
    if as_json:
        console.out_json({"checks": checks, "settings": settings})
    else:
        if settings:
            console.out(console.table(settings, ["setting", "value", "source"]) + "\n")
        console.out(console.table(checks, ["status", "name", "found", "mend"]))
    raise SystemExit(console.FAILED if any(check["status"] == "failed" for check in checks) else console.OK)


@app.command()
def plan(
    ctx: typer.Context,
    profile: ProfileName = None,
    tasks: Tasks = None,
    samples: Samples = None,
    approaches: Approaches = None,
    models: Models = None,
    endpoint: Endpoint = None,
    config: Pairs = None,
    configfile: Files = None,
    root: Root = None,
    as_json: AsJson = False,
) -> None:
    """Show what a run would claim, ask and take, without asking anything."""
    from ai_dev_tools.cli.listing import plan_of

    wish = _wish(
        ctx, root, config, configfile, None, profile=profile, tasks=tasks, samples=samples, approaches=approaches,
        models=models, endpoint=endpoint,
    )  # fmt: skip
    experiment, _, place = open_wish(wish)
    content, text = plan_of(experiment, place)
    console.out_json(content) if as_json else console.out(text)
    console.say(f"$ {wish.call('report').shown()}")


from ai_dev_tools.cli import more  # noqa: E402 (its commands register themselves with `app`)

more.register(app)


def join_lists(arguments: Sequence[str]) -> list[str]:
    """`--tasks a b` as `--tasks a --tasks b`, which is how the parser takes several values."""
    joined: list[str] = []
    current = ""
    for word in arguments:
        if word.startswith("-"):
            current = word if word in LISTS else ""
            first = True
            joined.append(word)
            continue
        if current and not first:
            joined.append(current)
        joined.append(word)
        first = False
    return joined


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
    except (KeyboardInterrupt, EOFError):
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return console.OK
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
