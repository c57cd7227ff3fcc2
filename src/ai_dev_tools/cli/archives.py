"""Commands about archives: verify, unpack, render. They run no code of the sender, and no plugin."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ai_dev_tools.cli import console
from ai_dev_tools.cli.options import AsJson

if TYPE_CHECKING:
    from ai_dev_tools.benchmark.archive import Verification


def verify(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE ...", help="Archives to check", exists=True, dir_okay=False)
    ],
    recompute: Annotated[
        bool, typer.Option("--recompute", help="Also compute all tables again and compare them byte by byte")
    ] = False,
    every: Annotated[
        bool, typer.Option("--all", help="List every finding, and every member that was not checked")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Check archives: a line each, with what was checked below it; exit code 1 if any is not valid."""
    from ai_dev_tools.benchmark.archive import verify as check  # takes 0.8 s

    results = [check(file, recompute=recompute) for file in files]
    if as_json:
        console.out_json([_as_data(result) for result in results])
    else:
        for result in results:
            _tell(result.path, result)
            for finding in result.findings[1:] if every else ():
                console.tell(f"  {finding}")
            for name in result.unchecked if every else ():
                console.tell(f"  NOT CHECKED: {name}")
    raise SystemExit(console.OK if all(result.ok for result in results) else console.FAILED)


def _tell(what: Path, result: Verification) -> None:
    """The result in a line, and what was checked below it."""
    console.tell(f"{what}: {result.line}")
    for detail in result.details:
        console.tell(f"  {detail}")


def _as_data(result: Verification) -> dict[str, object]:
    facts = result.facts
    return {
        "file": str(result.path),
        "valid": result.ok,
        "recomputed": result.recomputed,
        "rendered": result.rendered,
        "unchecked": list(result.unchecked),
        "own_scorers": list(result.own_scorers),
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
    """Check an archive and unpack it into a new folder; writes nothing unless it is valid."""
    from ai_dev_tools.benchmark.archive import unpack as check_and_unpack  # takes 0.8 s

    if not file.is_file():
        console.stop(f"{file} does not exist or is not a file: name an archive, then a new folder")
    checked = check_and_unpack(file, folder)
    _tell(folder, checked)
    console.say(f"Snakemake there runs the program of the archive: {checked.program.line}")
    console.say(f"To run the installed one instead: ai-dev-bench render {shlex.quote(str(file))}")


def render(
    file: Annotated[Path, typer.Argument(help="Archive to make the report from")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A new folder [default: NAME-rendered, here]")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check an archive and make its report again from its data. Runs none of the sender's code."""
    # these take 1.4 s
    from ai_dev_tools.benchmark.archive import render as check_and_render
    from ai_dev_tools.benchmark.archive.unpacking import NO_PLUGINS
    from ai_dev_tools.benchmark.comparison.run import CRATE_SUFFIX

    if not file.is_file():
        console.stop(f"{file} does not exist or is not a file: name an archive")
    folder = output or Path(f"{file.name.removesuffix(CRATE_SUFFIX).removesuffix('.zip')}-rendered")
    checked = check_and_render(file, folder)
    report = folder / "report" / "report.html"
    if as_json:
        console.out_json(_as_data(checked) | {"folder": str(folder), "report": str(report)})
        return
    _tell(report, checked)
    if checked.program.own:
        console.say(f"note: {NO_PLUGINS}")
