"""Check that an archive is unchanged, its records are valid, and its report belongs to them.

Everything is read as a stream, in one pass over the members; what is kept per sample is 16 bytes. Findings are
collected, not raised, so that one damaged byte is reported with the member that holds it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from ai_dev_tools.benchmark._util.text import plural, visible_line
from ai_dev_tools.benchmark.archive.build import chain_of
from ai_dev_tools.benchmark.archive.chain import Records
from ai_dev_tools.benchmark.archive.container import (
    LIMITS,
    Archive,
    ArchiveError,
    ArchiveLimits,
    Digest,
    is_intact,
    open_archive,
)
from ai_dev_tools.benchmark.archive.crate import entity_ids
from ai_dev_tools.benchmark.archive.layout import (
    CRATE,
    FORMAT,
    MANIFEST,
    RECORDED,
    RUN,
    Manifest,
    ManifestEntry,
    RunFacts,
)
from ai_dev_tools.benchmark.archive.limits import bounded_memory, first_line
from ai_dev_tools.benchmark.archive.members import is_known, most_bytes
from ai_dev_tools.benchmark.archive.program import OTHER_PROGRAM, ProgramComparison, compare_program, names_in_line
from ai_dev_tools.benchmark.archive.streams import Hashed
from ai_dev_tools.benchmark.plugins import without_plugins

MOST_FINDINGS = 50
TABLES = f"{RECORDED}/tables"


@dataclass(frozen=True)
class Finding:
    """What is wrong, and where."""

    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


@dataclass
class Verification:
    """The result of checking an archive.

    Attributes:
        findings: everything that is wrong; empty if the archive is genuine.
        facts: the archive's own summary, when it could be read.
        files: checksum and size of every member, as they were checked.
        program: the program in the archive, compared with the installed one.
        recomputed, rendered: whether tables were derived again, and all formats of the report made again and compared.
        unchecked: members of which only the checksum was verified, since nothing here can make them again.
        own_scorers: scorers of the sender's plugins, whose scores were taken as they are.
    """

    path: Path
    findings: list[Finding] = field(default_factory=list)
    facts: RunFacts | None = None
    files: dict[str, ManifestEntry] = field(default_factory=dict)
    program: ProgramComparison = field(default_factory=ProgramComparison)
    recomputed: bool = False
    rendered: bool = False
    unchecked: tuple[str, ...] = ()
    why_unchecked: str = ""
    own_scorers: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        return not self.findings

    @property
    def line(self) -> str:
        """The result in one short line; `details` says the rest."""
        if self.findings:
            more = len(self.findings) - 1
            return visible_line(f"NOT VALID: {self.findings[0]}" + (f" (and {more} more)" if more else ""))
        facts = self.facts
        assert facts is not None
        whole = self.rendered and not self.unchecked and not self.own_scorers
        what = "the report belongs to the data" if whole else "the data belong together"
        return visible_line(
            f"VALID: {what}: {plural(facts.samples, 'sample')} of profile {facts.profile}, plan {facts.plan}"
        )

    @property
    def details(self) -> tuple[str, ...]:
        """When a valid archive's run was measured, what was checked, and what was not: one visible line each."""
        if self.findings or self.facts is None:
            return ()
        other = "other " if any(name.startswith(TABLES) for name in self.unchecked) else ""
        said = [
            f"measured {self.facts.started_at} to {self.facts.ended_at}",
            f"all {other}tables were derived again, byte by byte"
            if self.recomputed
            else "every row of the samples table was checked (--recompute derives the other tables again)",
            f"every {'other ' if self.unchecked else ''}format of the report was made again from the tables, byte by byte"
            if self.rendered
            else "of the report, only report.json's numbers and verdicts were checked",
        ]
        if self.unchecked:
            said.append(f"NOT CHECKED: {names_in_line(self.unchecked)} ({self.why_unchecked})")
        if self.own_scorers:
            said.append(f"NOT CHECKED: scores by {names_in_line(self.own_scorers)} (a plugin's scorer is not run)")
        return tuple(map(visible_line, said))

    def require(self) -> Verification:
        """Itself, if nothing is wrong.

        Raises:
            ArchiveError: the first finding.
        """
        if self.findings:
            raise ArchiveError(f"{self.path} is {self.line}")
        return self

    def add(self, where: str, what: str) -> None:
        """Record a finding; beyond a limit, more of them add nothing."""
        if len(self.findings) < MOST_FINDINGS:
            self.findings.append(Finding(where, what))


def verify(path: Path, *, recompute: bool = False, report: bool = True, limits: ArchiveLimits = LIMITS) -> Verification:
    """Check an archive; never raises for what is in the file.

    Args:
        recompute: also derive all tables from the samples and compare them byte by byte, which needs the program and the
            packages of the run (see envs/requirements.lock in the archive). Where another program made the archive, tables
            that differ are reported as not checked.
        report: make every format of the report again and compare. Without it, only the numbers
            and verdicts of report.json.
    """
    result = Verification(path)
    try:
        with bounded_memory(path, limits), without_plugins():  # what this process registered is not the archive's
            intact = is_intact(path)
            with open_archive(path, limits) as archive:
                _check(archive, result, intact, report)
                if result.ok and recompute:
                    from ai_dev_tools.benchmark.archive.recompute import recomputed  # takes 30 ms

                    _note_tables(result, recomputed(archive, _manifest(archive)))
    except ArchiveError as error:
        result.add(path.name, str(error).removeprefix(f"{path} "))
    return result


def _note_tables(result: Verification, differences: Iterable[tuple[str, str]]) -> None:
    """Note which tables differ from those derived here: as findings, unless another program made them."""
    later = []
    for where, what in differences:
        if result.program.same or not where.startswith(f"{TABLES}/") or where == f"{TABLES}/":
            result.add(where, what)
        else:
            later.append(where)
    result.recomputed = True
    if later:
        result.unchecked = tuple(sorted({*result.unchecked, *later}))
        result.why_unchecked = result.why_unchecked or OTHER_PROGRAM


def _check(archive: Archive, result: Verification, intact: bool, report: bool) -> None:
    manifest = _manifest_or_none(archive, result)
    if manifest is None:
        return
    result.files = manifest.files
    expected = {*manifest.files, MANIFEST}
    for name in sorted(expected ^ archive.members.keys()):
        result.add(name, "is missing" if name in expected else "is not listed in the manifest")
    for name, member in archive.members.items():
        if not is_known(name, manifest.profile):
            result.add(name, "is refused: no archive of this project has a file of that name")
        elif member.file_size > most_bytes(name, archive.limits):
            result.add(name, f"is refused: it is larger than {most_bytes(name, archive.limits)} bytes")
    if result.findings and not intact:
        return
    records = Records(archive, manifest, result.add) if intact else None  # a changed file is only searched for where
    order = records.reading_order if records else sorted
    for name in order(name for name in manifest.files if name in archive.members):
        _check_member(archive, name, manifest, records, result)
    if records is None and result.ok:
        result.add(
            archive.path.name, "a byte outside the members' contents was changed (headers or directory of the zip)"
        )
    if records and result.ok:
        records.finish()
        result.own_scorers = tuple(sorted(map(visible_line, records.own_scorers)))
    if records and result.ok:
        _check_summary(archive, manifest, records, result)
    if records and result.ok:
        records.release()
        _check_made(archive, manifest, records, result, report)


def _check_made(archive: Archive, manifest: Manifest, records: Records, result: Verification, report: bool) -> None:
    """Compare what the archive made from its records (summary, report, metadata) with what is made here."""
    from ai_dev_tools.benchmark.archive.derived import check_made  # takes 40 ms

    result.program = compare_program(manifest.files)
    try:
        check_made(archive, manifest, records, result, report)
    except ArchiveError as error:
        result.add(RECORDED, str(error))
    except MemoryError:
        raise
    except Exception as error:  # anything in an archive that makes our code fail is the archive's fault
        result.add(RECORDED, f"cannot be made again from the records ({type(error).__name__}: {first_line(error)})")


def _manifest(archive: Archive) -> Manifest:
    try:
        manifest = msgspec.json.decode(archive.read(MANIFEST), type=Manifest)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ArchiveError(f"{MANIFEST} is not a manifest ({error})") from None
    if manifest.format != FORMAT:
        raise ArchiveError(f"this archive has format {manifest.format}; this version reads {FORMAT}",
                           remedy="Use the version that its envs/requirements.lock and src/ hold")  # fmt: skip
    return manifest


def _manifest_or_none(archive: Archive, result: Verification) -> Manifest | None:
    try:
        return _manifest(archive)
    except ArchiveError as error:
        result.add(MANIFEST, str(error))
        return None


def _check_member(
    archive: Archive, name: str, manifest: Manifest, records: Records | None, result: Verification
) -> None:
    """Checksum and records of one member, in one pass."""
    try:
        with archive.open(name) as file:
            stream = Hashed(file, name, archive.limits)
            before = len(result.findings)
            try:
                if records and not (
                    result.findings and name.startswith(RECORDED)
                ):  # tables of wrong samples say nothing new
                    records.read(name, stream)
            except ArchiveError as error:
                result.add(name, str(error).removeprefix(f"{name} ").removeprefix(f"{name}: "))
            except (ArithmeticError, LookupError, TypeError, ValueError, AttributeError, RecursionError) as error:
                result.add(
                    name, f"holds what no record of this project says ({type(error).__name__}: {first_line(error)})"
                )
            digest: Digest = stream.finish()
        expected = manifest.files[name]
        if (digest.sha256, digest.bytes) != (expected.sha256, expected.bytes):
            del result.findings[before:]  # findings in damaged content add nothing
            result.add(name, "was changed: its content does not match its checksum")
    except ArchiveError as error:
        result.add(name, str(error).removeprefix(f"{name} "))


def _check_summary(archive: Archive, manifest: Manifest, records: Records, result: Verification) -> None:
    """Check the chain, the summary and the crate against the records."""
    if chain_of(manifest.files, manifest.profile) != manifest.chain:
        result.add(MANIFEST, "its chain from prompts to report does not follow from its files")
    try:
        facts = msgspec.json.decode(archive.read(RUN), type=RunFacts)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ArchiveError) as error:
        result.add(RUN, f"is not the summary of a run ({error})")
        return
    result.facts = facts
    said = (facts.profile, facts.plan, facts.samples)
    if said != (manifest.profile, manifest.plan, records.samples):
        result.add(RUN, f"says {said}, but the archive holds {(manifest.profile, manifest.plan, records.samples)}")
    if manifest.plan not in records.plans:
        result.add(RUN, f"names plan {manifest.plan}, which the ledger does not have")
    try:
        for name in entity_ids(archive.read(CRATE)):
            if name not in manifest.files:
                result.add(CRATE, f"describes {name}, which is not in the archive")
    except (ValueError, KeyError, TypeError, RecursionError, AttributeError) as error:
        result.add(CRATE, f"is not RO-Crate metadata ({error})")
