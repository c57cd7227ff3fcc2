"""Make an archive's report again from its data, and compare it with the recorded one.

No code from the archive is run. The author's notebook, templates and plugins are left out, and what they made is listed as
not checked. When and with which software the report was made is taken from the archive.
"""

from __future__ import annotations

import json
import platform
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ai_dev_tools.benchmark._util.json_values import Json, JsonFields
from ai_dev_tools.benchmark._util.scratch import scratch_folder
from ai_dev_tools.benchmark._util.text import visible_line
from ai_dev_tools.benchmark.archive.container import Archive, ArchiveError
from ai_dev_tools.benchmark.archive.layout import (
    BLOCK_NAME,
    CONTEXTS_NAME,
    PROMPTS_NAME,
    RECORDED,
    Manifest,
)
from ai_dev_tools.benchmark.archive.program import OTHER_PROGRAM, ProgramComparison, installed_notebook
from ai_dev_tools.benchmark.errors import BenchmarkError
from ai_dev_tools.benchmark.records import paths
from ai_dev_tools.benchmark.records.about import RunAbout
from ai_dev_tools.benchmark.reporting.machine import PACKAGES, ReportOrigin, sessions_of, software

REPORT, FIGURES = f"{RECORDED}/report/", f"{RECORDED}/figures/"
NOTEBOOK = f"{REPORT}report.ipynb"
PAGE = f"{REPORT}report.html"
IMPOSSIBLE = (BenchmarkError, ValueError, KeyError, TypeError, AttributeError, RecursionError, OSError, ArithmeticError)
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC")
_VERSION = re.compile(r"[A-Za-z0-9.+!_-]{1,60}")


@dataclass(frozen=True)
class RenderComparison:
    """The result of rendering again.

    Members that differ though they must not, and members that could not be checked.
    """

    differing: tuple[str, ...] = ()
    unchecked: tuple[str, ...] = ()
    reason: str = ""


def write_report_data(archive: Archive, manifest: Manifest, folder: Path) -> None:
    """Write the data that a report is made from into a folder, laid out like a run; no code, no settings."""
    for name in manifest.files:
        if wanted := _path_of(name, manifest.profile):
            target = folder / wanted
            target.parent.mkdir(parents=True, exist_ok=True)
            with open(target, "xb") as file:
                for piece in archive.pieces(name):
                    file.write(piece)


def _path_of(name: str, profile: str) -> str | None:
    run = paths.RUN.format(profile=profile)
    if name.startswith(f"{RECORDED}/tables/"):
        return f"{run}/tables/{name.removeprefix(f'{RECORDED}/tables/')}"
    known = (BLOCK_NAME, PROMPTS_NAME, CONTEXTS_NAME)
    kept = name.startswith(f"{run}/identity/") or name in (f"{run}/plans.jsonl", f"{run}/about.json")
    return name if kept or any(pattern.fullmatch(name) for pattern in known) else None


def recorded_origin(report: JsonFields) -> ReportOrigin:
    """How the report of an archive was made, according to its report.json.

    Raises:
        ArchiveError: it does not say, or in a form that no report has.
    """
    try:
        generated, said = report["benchmark_info"]["generated"], report["facts"]["provenance"]
        named = {name: said[name] for name in ("Python", *PACKAGES) if name in said}
        machine = said.get("Report made on", "not said")
        if not _MOMENT.fullmatch(generated) or not all(map(_VERSION.fullmatch, named.values())) or len(machine) > 400:
            raise ValueError
    except (KeyError, TypeError, ValueError, AttributeError):
        raise ArchiveError("does not say when and with what it was made") from None
    return ReportOrigin(generated, named, machine)


def compare_report(
    archive: Archive, manifest: Manifest, report: JsonFields, program: ProgramComparison, own: dict[str, str]
) -> RenderComparison:
    """Render every format again and compare byte by byte.

    Args:
        report: content of report.json.
        own: members of the report that the author's own code made, each with that code.
    """
    made = recorded_origin(report)
    with scratch_folder("verify") as folder:
        write_report_data(archive, manifest, folder)
        run = folder / paths.RUN.format(profile=manifest.profile)
        try:
            _render(folder, run, made)
        except IMPOSSIBLE as error:
            raise ArchiveError(f"cannot be made again ({type(error).__name__}: {str(error)[:120]})") from None
        recorded = [name for name in manifest.files if name.startswith((REPORT, FIGURES)) and name not in own]
        expected = {f"{RECORDED}/{path.relative_to(run).as_posix()}": path
                    for kind in ("report", "figures") for path in (run / kind).rglob("*") if path.is_file()}  # fmt: skip
        about = json.loads((run / "about.json").read_bytes())
        differing = [
            name for name in sorted({*recorded, *expected.keys() - own.keys()})
            if not _same(archive, name, expected.get(name), manifest, about)
        ]  # fmt: skip
        elsewhere = _another_system(sessions_of(run / "identity"))
    return _without_explained(differing, program, made, own, elsewhere)


def _render(folder: Path, run: Path, made: ReportOrigin) -> None:
    from ai_dev_tools.benchmark.reporting.render import Inputs, render_without_kernel  # takes 1 s

    inputs = Inputs(
        tables=run / "tables",
        notebook=installed_notebook(),
        plans=run / "plans.jsonl",
        blocks=sorted(run.glob("blocks/*/*.jsonl")),
        prompts=sorted((folder / "results" / "prompts").glob("*.jsonl")),
        about=RunAbout.read(json.loads((run / "about.json").read_bytes())),
    )
    render_without_kernel(inputs, run / "report", run / "figures", made)


def _same(archive: Archive, name: str, made: Path | None, manifest: Manifest, about: object) -> bool:
    if made is None or name not in archive.members:
        return False
    if name == NOTEBOOK:
        from ai_dev_tools.benchmark.archive.executed_notebook import is_executed  # takes 0.9 s

        return is_executed(archive.read(name), made.read_bytes(), manifest.profile, about)
    if archive.members[name].file_size != made.stat().st_size:
        return False
    with open(made, "rb") as file:
        return all(piece == file.read(len(piece)) for piece in archive.pieces(name))


def _without_explained(
    differing: list[str], program: ProgramComparison, made: ReportOrigin, own: dict[str, str], elsewhere: str
) -> RenderComparison:
    """Differences that another version explains are not findings.

    Files that have them are reported as not checked.
    """
    here = software()
    other = [name for name in here if name not in ("snakemake", "xllamacpp") and made.software.get(name) != here[name]]
    reasons = sorted({f"made by {code}" for code in own.values()})
    if not program.same and differing:
        reasons.append(OTHER_PROGRAM)
    elif elsewhere and differing:
        reasons.append(f"made on {elsewhere}, here on {_system()}: pictures and last digits may differ")
    elif other and differing:
        then = ", ".join(f"{name} {made.software.get(name, 'unknown')}" for name in other)
        reasons.append(f"made with {then}, here {', '.join(here[name] for name in other)}")
    excused = not program.same or bool(other) or bool(elsewhere)
    unchecked = [*own, *(differing if excused else ())]
    return RenderComparison(() if excused else tuple(differing), tuple(sorted(unchecked)), "; ".join(reasons))


def _system() -> str:
    return f"{platform.system()} {platform.machine()}"


def _another_system(sessions: Sequence[Mapping[str, Json]]) -> str:
    """The kind of machine that a run was measured on, if it is another kind than this one.

    Another kind may compute other last digits.
    """
    found = [hardware for entry in sessions if isinstance(hardware := entry.get("hardware"), dict)]
    known = {
        f"{name.split()[0]} {hardware['architecture']}"
        for hardware in found
        if isinstance(name := hardware.get("os"), str)
        and name.split()
        and isinstance(hardware.get("architecture"), str)
    }
    return ", ".join(sorted(map(visible_line, known - {_system()})))[:200]


def made_by_own_code(settings: JsonFields, names: Iterable[str]) -> dict[str, str]:
    """Members of the report that the author's own notebook or templates made, and which of them."""
    report = settings.get("report") or {}
    return dict(_own(report, set(names)))


def _own(report: JsonFields, names: set[str]) -> Iterator[tuple[str, str]]:
    from ai_dev_tools.benchmark.reporting.formats.custom_template import output_name  # takes 0.5 s

    if (notebook := str(report.get("notebook", paths.NOTEBOOK))) != paths.NOTEBOOK:
        yield from ((name, notebook) for name in (PAGE, NOTEBOOK))
        # pictures come from its cells, too
        yield from ((name, notebook) for name in names if name.startswith(FIGURES))
    for template in map(str, report.get("templates") or []):
        if (name := f"{REPORT}{output_name(Path(template))}") in names:
            yield name, template
