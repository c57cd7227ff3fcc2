"""Commands about stored runs and archives: verify, unpack, render, import, gate; comparing what is stored. None runs Snakemake."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ai_dev_tools.cli import console
from ai_dev_tools.cli.options import AsJson, Root, names
from ai_dev_tools.cli.running import Wish, open_wish, show

if TYPE_CHECKING:
    from ai_dev_tools.benchmark.archive import Verification
    from ai_dev_tools.benchmark.comparison.run import Run


def register(app: typer.Typer) -> None:
    """Add these commands to the application."""
    app.command()(verify)
    app.command()(unpack)
    app.command()(render)
    app.command(name="import")(import_runs)
    app.command()(gate)


def archived(as_json: bool) -> Callable[[Any, Path, str], None]:
    """Presents the archive that a run was put into."""

    def present(experiment: Any, root: Path, command: str) -> None:
        from ai_dev_tools.benchmark.records import paths

        profile = experiment.run
        file = root / paths.ARCHIVE.format(profile=profile, archive=experiment.archive_name(profile))
        if as_json:
            console.out_json({"command": command, "archive": str(file), "bytes": file.stat().st_size})
        else:
            console.tell(file)
            console.say(f"Check it anywhere: ai-dev-bench verify {file.name}")

    return present


def verify(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE ...", help="Archives to check", exists=True, dir_okay=False)
    ],
    recompute: Annotated[bool, typer.Option("--recompute", help="Also derive all tables again, byte by byte")] = False,
    every: Annotated[
        bool, typer.Option("--all", help="List every finding, and every member that was not checked")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Check archives: one line each, exit code 1 if any is not valid."""
    from ai_dev_tools.benchmark.archive import verify as check

    results = [check(file, recompute=recompute) for file in files]
    if as_json:
        console.out_json([_as_data(result) for result in results])
    else:
        for result in results:
            console.tell(f"{result.path}: {result.line}")
            for finding in result.findings[1:] if every else ():
                console.tell(f"  {finding}")
            for name in result.unchecked if every else ():
                console.tell(f"  NOT CHECKED: {name}")
    raise SystemExit(console.OK if all(result.ok for result in results) else console.FAILED)


def _as_data(result: Verification) -> dict[str, Any]:
    facts = result.facts
    return {
        "file": str(result.path),
        "valid": result.ok,
        "recomputed": result.recomputed,
        "rendered": result.rendered,
        "unchecked": list(result.unchecked),
        "program": {
            "same": result.program.same,
            "differing": list(result.program.differing),
            "own": list(result.program.own),
        },
        "findings": [{"where": finding.where, "what": finding.what} for finding in result.findings],
        "profile": facts and facts.profile,
        "plan": facts and facts.plan,
        "samples": facts and facts.samples,
    }


def unpack(
    file: Annotated[Path, typer.Argument(help="Archive to unpack")],
    folder: Annotated[Path, typer.Argument(help="A new folder")],
) -> None:
    """Check an archive and unpack it into a folder of its own; writes nothing unless it is valid."""
    from ai_dev_tools.benchmark.archive import unpack as check_and_unpack

    if not file.is_file():
        console.stop(f"{file} does not exist, or is no file: name an archive, then a new folder")
    checked = check_and_unpack(file, folder)
    console.tell(f"{folder}: {checked.line}")
    console.say(f"Snakemake there runs the program of the archive: {checked.program.line}")
    console.say(f"To run the installed one instead: ai-dev-bench render {shlex.quote(str(file))}")


def render(
    file: Annotated[Path, typer.Argument(help="Archive to make the report of")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A new folder [default: NAME-rendered, here]")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check an archive and make its report again: data from the archive, code from here. Runs nothing of the sender's."""
    from ai_dev_tools.benchmark.archive import render as check_and_render
    from ai_dev_tools.benchmark.archive.unpacking import NO_PLUGINS
    from ai_dev_tools.benchmark.comparison.run import CRATE_SUFFIX

    if not file.is_file():
        console.stop(f"{file} does not exist, or is no file: name an archive")
    folder = output or Path(f"{file.name.removesuffix(CRATE_SUFFIX).removesuffix('.zip')}-rendered")
    checked = check_and_render(file, folder)
    report = folder / "report" / "report.html"
    if as_json:
        console.out_json(_as_data(checked) | {"folder": str(folder), "report": str(report)})
        return
    console.tell(f"{report}: {checked.line}")
    if checked.program.own:
        console.say(f"note: {NO_PLUGINS}")


def import_runs(
    sources: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE ...", help="Archives of one or several machines, or a JSON file of the replaced system"
        ),
    ],
    name: Annotated[
        str | None, typer.Option("--as", help="Name of the result [default: from the names of what is imported]")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Archives: its folder [default: results/comparison/NAME]")
    ] = None,
    separate: Annotated[
        bool, typer.Option("--separate", help="Archives: keep apart what cannot be pooled, instead of refusing")
    ] = False,
    report: Annotated[bool, typer.Option(help="Old results: also render the report")] = True,
    root: Root = None,
    as_json: AsJson = False,
) -> None:
    """Put archives together as one comparison, machine by machine; or import results of the replaced system."""
    import re

    if name is not None and not re.fullmatch(r"[A-Za-z0-9_.-]*[A-Za-z0-9_-]", name):
        console.stop(f"--as {name}: use letters, digits, '-', '_' and '.' only (it names a folder)")
    old = [source for source in sources if source.suffix == ".json"]
    if old and len(sources) > 1:
        console.stop(
            f"{old[0]} is a result file of the replaced system: import such files one by one, archives together"
        )
    if old and (output or separate):
        console.stop("--output and --separate are for archives; an old result file is imported --as NAME")
    if absent := [source for source in sources if not source.is_file()]:
        console.stop(f"{absent[0]} does not exist, or is no file: name archives, or one old result file")
    if old:
        _import_old(old[0], name, report, Wish(root).place(), as_json)
    else:
        _import_archives(sources, name, output, separate, root, as_json)


def _import_archives(
    files: Sequence[Path], name: str | None, output: Path | None, separate: bool, root: Path | None, as_json: bool
) -> None:
    from ai_dev_tools.benchmark.comparison.pool import import_archives
    from ai_dev_tools.benchmark.comparison.run import CRATE_SUFFIX

    label = name or "__".join(file.name.removesuffix(CRATE_SUFFIX).removesuffix(".zip") for file in files)
    folder = output or Wish(root).place() / "results" / "comparison" / label
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        console.stop(f"{folder} is a file or not empty: name another folder with --output")
    imported = import_archives(files, folder, separate=separate)
    if as_json:
        console.out_json({"folders": [str(path) for path in imported.folders], "lines": imported.lines})
        return
    for line in imported.lines:
        console.tell(line)
    for path in imported.folders:
        console.say(f"Report: {path / 'overview.html'}")


def _import_old(source: Path, name: str | None, report: bool, place: Path, as_json: bool) -> None:
    from ai_dev_tools.benchmark.legacy.old_results import import_results, report_import

    run, samples, vanished = import_results(source, place / "results", name)
    if report:
        report_import(place / "results" / run, place / "notebooks" / "report.ipynb")
    if as_json:
        folder = str(place / "results" / run)
        console.out_json({"run": run, "folder": folder, "samples": samples, "vanished": vanished})
        return
    console.tell(f"Imported {samples} samples as run '{run}'; {vanished} of them failed then and are not in the file.")
    if report:
        console.say(f"Report: {place / 'results' / run / 'report' / 'report.html'}")


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
            metavar="NAME=BOUND ...",
            help="tokens=1.05 time=1.10 (ratios) quality=0.05 failures=0.05 (differences) [default: all but time]",
        ),
    ] = None,
    approach: Annotated[str, typer.Option("--approach", help="The arm that is judged")] = "tools",
    reference: Annotated[str, typer.Option("--reference", help="The arm that its time is relative to")] = "baseline",
    alpha: Annotated[float, typer.Option(min=0.0001, max=0.5, help="Error rate over all metrics and models")] = 0.05,
    power: Annotated[
        float, typer.Option(min=0, max=0.999, help="Probability of finding a change of twice the bound that 'ok' needs")
    ] = 0.8,
    strict: Annotated[bool, typer.Option("--strict", help="Exit code 3 where a metric could not be decided")] = False,
    junit: Annotated[Path | None, typer.Option("--junit", help="Also write JUnit XML")] = None,
    root: Root = None,
    as_json: AsJson = False,
) -> None:
    """Fail (exit code 1) if a declared metric got worse than in a stored run, beyond its bound and beyond chance."""
    from ai_dev_tools.benchmark.comparison.gate import judge_gate, parse_metrics
    from ai_dev_tools.benchmark.comparison.gate import junit as as_junit
    from ai_dev_tools.benchmark.comparison.run import read_run
    from ai_dev_tools.benchmark.errors import ConfigurationError

    bounds = parse_metrics(names(metric) or [])
    place = Wish(root).place() if run is None or not Path(run).exists() or not Path(baseline).exists() else Path()
    try:
        now = read_run(run or open_wish(Wish(root))[0].run, place)
        table = judge_gate(now, read_run(baseline, place), bounds, approach, reference, alpha, power=power)
    except (LookupError, TypeError, ValueError, ArithmeticError, AttributeError) as error:
        # exit code 1 would tell a pipeline that something got worse
        said = (str(error).splitlines() or [""])[0][:120]
        raise ConfigurationError(f"these runs cannot be judged ({type(error).__name__}: {said})") from None
    rows = table.astype(object).where(table.notna(), None).to_dict("records")
    if junit:
        try:
            junit.write_text(as_junit(table), encoding="utf-8")
        except OSError as error:
            raise ConfigurationError(f"cannot write {junit}: {error.strerror}") from None
    if as_json:
        console.out_json(rows)
    else:
        shown = [
            "verdict",
            "metric",
            "model",
            "value",
            "low",
            "high",
            "bound",
            "p_adjusted",
            "power",
            "clusters",
            "note",
        ]
        console.out(console.table(rows, shown))
    verdicts = [str(row["verdict"]) for row in rows]
    if "undecided" in verdicts and not strict:
        console.say(f"{verdicts.count('undecided')} of {len(rows)} undecided: that passes; --strict ends with code 3.")
    if "worse" in verdicts:
        raise SystemExit(console.FAILED)
    raise SystemExit(console.UNDECIDED if strict and "undecided" in verdicts else console.OK)


def compare_runs(given: Sequence[str], wish: Wish, same_verdicts: bool, as_json: bool) -> int:
    """Compare two stored runs; nothing is asked and Snakemake has nothing to do. Returns the exit code."""
    from ai_dev_tools.benchmark.comparison import write_comparison
    from ai_dev_tools.benchmark.comparison.run import read_run

    asked = [name for name, value in wish.config.items() if value is not None and name != "output_format"]
    if asked:
        console.stop(f"--runs compares what is stored, so --{asked[0]} has no meaning there: leave it out")
    found = names(given) or []
    if len(found) != 2:
        console.stop("--runs takes two stored runs: ai-dev-bench compare --runs results/before results/after")
    experiment, _, place = open_wish(wish)
    before, after = (read_run(name, place) for name in found)
    if before.name == after.name:
        console.stop(f"both runs are called '{before.name}': rename one of the files or folders")
    target = f"comparison/{before.name}__{after.name}"
    write_comparison(before, after, place / "results" / target, experiment.config.plan.reference)
    show(place, target, experiment.config.output_format, "", as_json)
    return say_whether_verdicts_hold([before, after], same_verdicts)


def say_whether_verdicts_hold(runs: Sequence[Run], required: bool) -> int:
    """Say what became of the first run's verdicts in each other one; returns 1 if they must hold and do not."""
    from ai_dev_tools.benchmark.comparison.repetition import compare_requests

    first, *others = runs
    found = [compare_requests(first, other) for other in others]
    for other, repetition in zip(others, found, strict=True):
        for line in repetition.lines:
            console.say(f"{first.name} and {other.name}: {line}")
    return console.FAILED if required and not all(repetition.holds for repetition in found) else console.OK
