"""The command `import`: archives as one comparison, or results of the previous system."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from ai_dev_tools.benchmark._util.text import plural
from ai_dev_tools.cli import console
from ai_dev_tools.cli.command_request import CommandRequest, judging
from ai_dev_tools.cli.options import AsJson, Root


def import_runs(
    sources: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE ...", help="Archives of one or several machines, or a JSON file of the previous system"
        ),
    ],
    name: Annotated[
        str | None, typer.Option("--as", help="Name of the result [default: from the names of the imports]")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Archives: its folder [default: results/comparison/NAME]")
    ] = None,
    separate: Annotated[
        bool,
        typer.Option("--separate", help="Archives: keep runs apart that cannot be pooled, instead of refusing them"),
    ] = False,
    report: Annotated[bool, typer.Option(help="Old results: also render the report")] = True,
    root: Root = None,
    as_json: AsJson = False,
) -> None:
    """Combine archives into one comparison, machine by machine; or import results of the previous system."""
    if name is not None and not re.fullmatch(r"[A-Za-z0-9_.-]*[A-Za-z0-9_-]", name):
        console.stop(f"--as {name}: use letters, digits, '-', '_' and '.' only (it names a folder)")
    old = [source for source in sources if source.suffix == ".json"]
    if old and len(sources) > 1:
        console.stop(
            f"{old[0]} is a result file of the previous system: import such files one by one, archives together"
        )
    if old and (output or separate):
        console.stop("--output and --separate are for archives; an old result file is imported --as NAME")
    if absent := [source for source in sources if not source.is_file()]:
        console.stop(f"{absent[0]} does not exist or is not a file: name archives, or one old result file")
    if old:
        _import_old(old[0], name, report, CommandRequest(root).find_root(), as_json)
    else:
        _import_archives(sources, name, output, separate, root, as_json)


def _import_archives(
    files: Sequence[Path], name: str | None, output: Path | None, separate: bool, root: Path | None, as_json: bool
) -> None:
    # these take 1.4 s
    from ai_dev_tools.benchmark.comparison.pool import import_archives
    from ai_dev_tools.benchmark.comparison.run import CRATE_SUFFIX

    label = name or "__".join(file.name.removesuffix(CRATE_SUFFIX).removesuffix(".zip") for file in files)
    folder = output or CommandRequest(root).find_root() / "results" / "comparison" / label
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        console.stop(f"{folder} is a file or not empty: name another folder with --output")
    thresholds, reference = judging(root)
    imported = import_archives(files, folder, separate=separate, reference=reference, thresholds=thresholds)
    if as_json:
        console.out_json({"folders": [str(path) for path in imported.folders], "lines": imported.lines})
        return
    for line in imported.lines:
        console.tell(line)
    for path in imported.folders:
        console.say(f"Report: {path / 'overview.html'}")


def _import_old(source: Path, name: str | None, report: bool, place: Path, as_json: bool) -> None:
    from ai_dev_tools.benchmark.legacy.old_results import import_results, report_import  # takes 1.4 s

    run, samples, vanished = import_results(source, place / "results", name)
    if report:
        report_import(place / "results" / run, place / "notebooks" / "report.ipynb")
    if as_json:
        folder = str(place / "results" / run)
        console.out_json({"run": run, "folder": folder, "samples": samples, "vanished": vanished})
        return
    console.tell(
        f"Imported {plural(samples, 'sample')} as run '{run}'; {vanished} of them failed then and are not in the file."
    )
    if report:
        console.say(f"Report: {place / 'results' / run / 'report' / 'report.html'}")
