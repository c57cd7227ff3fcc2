"""Derive an archive's summary, report and metadata again from its records, and compare."""

from __future__ import annotations

import json
from typing import Protocol

import msgspec

from ai_dev_tools.benchmark._util.scratch import scratch_folder
from ai_dev_tools.benchmark.archive.chain import REPORT_JSON, Records
from ai_dev_tools.benchmark.archive.container import Archive, ArchiveError
from ai_dev_tools.benchmark.archive.layout import RECORDED, RUN, Manifest, RunFacts
from ai_dev_tools.benchmark.archive.program import OTHER_PROGRAM, ProgramComparison
from ai_dev_tools.benchmark.archive.recompute import report_differences
from ai_dev_tools.benchmark.archive.rendering import (
    RenderComparison,
    compare_report,
    made_by_own_code,
    write_report_data,
)
from ai_dev_tools.benchmark.archive.summary import other_words, wrong_facts, wrong_settings_of_report
from ai_dev_tools.benchmark.records import paths

MOST_DERIVED = 8 << 20
"""Size of all derived tables, in addition to the samples table."""


class VerificationResult(Protocol):
    """Where findings go; see `Verification`."""

    facts: RunFacts | None
    rendered: bool
    unchecked: tuple[str, ...]
    why_unchecked: str

    @property
    def program(self) -> ProgramComparison: ...
    def add(self, where: str, what: str) -> None: ...


def check_made(
    archive: Archive, manifest: Manifest, records: Records, result: VerificationResult, report: bool
) -> None:
    """Compare and note what differs.

    Args:
        report: also make all formats of the report again.

    Raises:
        ArchiveError: something cannot be made again.
    """
    _refuse_large_tables(manifest)
    facts = msgspec.json.decode(archive.read(RUN), type=RunFacts)
    with scratch_folder("verify") as folder:
        run = folder / paths.RUN.format(profile=manifest.profile)
        write_report_data(archive, manifest, folder)
        (run / "report").mkdir()
        (run / "report" / "report.json").write_bytes(archive.read(REPORT_JSON))
        about = json.loads((run / "about.json").read_bytes())
        for what in wrong_facts(archive, manifest, folder, facts, records.settings):
            result.add(RUN, what)
        for what in wrong_settings_of_report(about, manifest, run / "plans.jsonl"):
            result.add(paths.ABOUT.format(profile=manifest.profile), what)
    compared = RenderComparison()
    if report:
        own = made_by_own_code(records.settings, manifest.files)
        compared = compare_report(archive, manifest, records.report, result.program, own)
        result.rendered = True
        for member in compared.differing:
            result.add(member, "does not follow from the recorded tables")
    if not report or REPORT_JSON in (*compared.differing, *compared.unchecked):
        for what in report_differences(archive, manifest, records.report):
            result.add(REPORT_JSON, what)
    _check_words(archive, manifest, facts, result, compared)


def _check_words(
    archive: Archive, manifest: Manifest, facts: RunFacts, result: VerificationResult, compared: RenderComparison
) -> None:
    different = list(other_words(archive, manifest, facts))
    if result.program.same:
        for name in different:
            result.add(name, "does not follow from the summary of the run")
        different = []
    result.unchecked = tuple(sorted({*compared.unchecked, *different}))
    reason = compared.reason or (OTHER_PROGRAM if different else "")
    result.why_unchecked = reason


def _refuse_large_tables(manifest: Manifest) -> None:
    tables = {name: entry.bytes for name, entry in manifest.files.items() if name.startswith(f"{RECORDED}/tables/")}
    samples = sum(size for name, size in tables.items() if name.startswith(f"{RECORDED}/tables/samples."))
    if sum(tables.values()) - samples > MOST_DERIVED + samples:
        raise ArchiveError("derived tables are larger than this number of samples can give")
