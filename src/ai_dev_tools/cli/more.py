"""Further commands: watch, serve, gate, migrate, import, verify."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from ai_dev_tools.cli import console
from ai_dev_tools.cli.running import Wish, open_wish

Root = Annotated[Path | None, typer.Option("--root", help="The workflow's folder [default: found upwards from here]")]
AsJson = Annotated[bool, typer.Option("--json", help="Data for programs on standard output")]


def register(app: typer.Typer) -> None:
    """Add these commands to the application."""
    app.command()(watch)
    app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(serve)
    app.command()(gate)
    app.command()(migrate)
    app.command(name="import")(import_results)
    app.command()(verify)


def watch(
    profile: Annotated[
        str | None, typer.Option("--profile", "-p", help="Hardware profile [default: the config's]")
    ] = None,
    config: Annotated[
        list[str] | None, typer.Option("--config", metavar="KEY=VALUE", help="As given to the run")
    ] = None,
    interval: Annotated[float, typer.Option(min=0.1, help="Seconds between looks")] = 2.0,
    once: Annotated[bool, typer.Option("--once", help="One look, then end")] = False,
    root: Root = None,
) -> None:
    """Watch a running (or finished) run from its sample files; Ctrl-C leaves the run alone."""
    from ai_dev_tools.benchmark.watch import watch as look

    experiment, _, place = open_wish(Wish(root, {"profile": profile}, config or ()))
    folder = place / "results" / experiment.config.profile
    if not folder.exists():
        console.stop(f"profile '{folder.name}' has no run yet: ai-dev-bench run --profile {folder.name}")
    try:
        look(folder, interval, once or not sys.stdout.isatty())
    except KeyboardInterrupt:
        raise SystemExit(130) from None


def serve(
    ctx: typer.Context,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 picks a free one")] = 11434,
    host: Annotated[str, typer.Option(help="Address to listen on")] = "127.0.0.1",
) -> None:
    """Serve the embedded model alone, as Ollama would; further options are those of the endpoint."""
    import os

    module = "ai_dev_tools.benchmark.endpoints.embedded"
    rest = [*ctx.args, *(ctx.obj or {}).get("flags", ())]
    command = [sys.executable, "-m", module, "--host", host, "--port", str(port), *rest]
    console.say(f"$ {' '.join(['python', *command[1:]])}")
    sys.stdout.flush()
    os.execv(sys.executable, command)


def gate(
    baseline: Annotated[
        str, typer.Option("--baseline", help="The stored run: a profile, results folder, table or archive")
    ],
    run: Annotated[
        str | None, typer.Option("--run", help="The run to judge [default: the configured profile's]")
    ] = None,
    metric: Annotated[
        list[str] | None,
        typer.Option(
            "--metric",
            help="tokens=1.05 time=1.10 (ratios) quality=0.05 failures=0.05 (differences) [default: all but time]",
        ),
    ] = None,
    approach: Annotated[str, typer.Option("--approach", help="The arm that is judged")] = "tools",
    reference: Annotated[str, typer.Option("--reference", help="The arm that its time is relative to")] = "baseline",
    alpha: Annotated[float, typer.Option(min=0.0001, max=0.5, help="Error rate over all metrics and models")] = 0.05,
    strict: Annotated[bool, typer.Option("--strict", help="Exit code 3 where a metric could not be decided")] = False,
    junit: Annotated[Path | None, typer.Option("--junit", help="Also write JUnit XML")] = None,
    root: Root = None,
    as_json: AsJson = False,
) -> None:
    """Fail (exit code 1) if a declared metric got worse than in a stored run, beyond its bound and beyond chance."""
    from ai_dev_tools.benchmark.gate import judge_gate, parse_metrics
    from ai_dev_tools.benchmark.gate import junit as as_junit
    from ai_dev_tools.benchmark.runs import read_run

    bounds = parse_metrics(metric or [])
    place = Wish(root).place() if run is None or not Path(run).exists() or not Path(baseline).exists() else Path()
    now = read_run(run or open_wish(Wish(root))[0].config.profile, place)
    table = judge_gate(now, read_run(baseline, place), bounds, approach, reference, alpha)
    rows = table.astype(object).where(table.notna(), None).to_dict("records")
    if junit:
        junit.write_text(as_junit(table), encoding="utf-8")
    if as_json:
        console.out_json(rows)
    else:
        shown = ["verdict", "metric", "model", "value", "low", "high", "bound", "p_adjusted", "clusters", "note"]
        console.out(console.table(rows, shown))
    verdicts = {str(row["verdict"]) for row in rows}
    if "worse" in verdicts:
        raise SystemExit(console.FAILED)
    raise SystemExit(console.UNDECIDED if strict and "undecided" in verdicts else console.OK)


def compare_stored(names: list[str], root: Path | None, as_json: bool) -> None:
    """Compare two stored runs; nothing is asked and Snakemake has nothing to do."""
    from ai_dev_tools.benchmark.comparing import write_comparison
    from ai_dev_tools.benchmark.runs import read_run
    from ai_dev_tools.cli.running import show

    if len(names) != 2:
        console.stop("--runs takes two stored runs: ai-dev-bench compare --runs results/before results/after")
    wish = Wish(root)
    experiment, _, place = open_wish(wish)
    before, after = (read_run(name, place) for name in names)
    if before.name == after.name:
        console.stop(f"both runs are called '{before.name}': rename one of the files or folders")
    target = f"comparison/{before.name}__{after.name}"
    write_comparison(before, after, place / "results" / target, experiment.config.plan.reference)
    show(place, target, experiment.config.output_format, "", as_json)


def migrate(
    source: Annotated[Path, typer.Argument(help="pyproject.toml with [tool.ai-dev-tools.benchmark]")],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="File to write, laid over config.yaml by --configfile")
    ] = Path("config/migrated.yaml"),
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it exists")] = False,
    root: Root = None,
) -> None:
    """Carry the replaced system's settings over; writes one file, changes no other."""
    from ai_dev_tools.benchmark.migrate import migrate_file

    place = Wish(root).place()
    target = output if output.is_absolute() else place / output
    migration = migrate_file(source, place)
    if target.exists() and not force:
        console.stop(f"{target} exists already: name another with --output, or replace it with --force")
    target.write_text(migration.yaml(source.name), encoding="utf-8")
    console.out(f"Carried over: {', '.join(migration.carried) or 'nothing'}")
    for line in migration.left:
        console.out(f"Not carried over: {line}")
    console.out(f"Wrote {target}. Use it: ai-dev-bench run --configfile {target}")


def import_results(
    source: Annotated[Path, typer.Argument(help="JSON of the replaced system, with `task_results`")],
    name: Annotated[str | None, typer.Option("--as", help="Name of the run [default: imported-PROFILE-DATE]")] = None,
    report: Annotated[bool, typer.Option(help="Also render its report")] = True,
    root: Root = None,
) -> None:
    """Import old results as a stored run, marked as such, with what they lack marked missing."""
    import re

    from ai_dev_tools.benchmark.old_results import import_results as read_in
    from ai_dev_tools.benchmark.old_results import report_import

    if name is not None and not re.fullmatch(r"[A-Za-z0-9_-]+", name):
        console.stop(f"--as {name}: use letters, digits, '-' and '_' only (it names a folder)")
    place = Wish(root).place()
    run, samples, vanished = read_in(source, place / "results", name)
    console.out(f"Imported {samples} samples as run '{run}'; {vanished} of them failed then and are not in the file.")
    if report:
        report_import(place / "results" / run, place / "notebooks" / "report.ipynb")
        console.say(f"Report: {place / 'results' / run / 'report' / 'report.html'}")


def verify(
    files: Annotated[list[Path], typer.Argument(help="Archives to check")],
    recompute: Annotated[bool, typer.Option("--recompute", help="Also derive all tables again, byte by byte")] = False,
    every: Annotated[bool, typer.Option("--all", help="List every finding, not just the first")] = False,
) -> None:
    """Check archives: one line each, exit code 1 if any is not valid."""
    from ai_dev_tools.benchmark.archive.__main__ import main

    flags = [*(["--recompute"] if recompute else []), *(["--all"] if every else [])]
    raise SystemExit(main(["verify", *flags, *map(str, files)]))
