"""Archives from one or more machines as one comparison.

They are pooled by case, with the machine as a factor.

Samples come from the archives' own records, never from their tables. Only runs that asked the same questions by the
same protocol are put together; everything else is refused, or kept apart, with the reason.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pandas as pd

from ai_dev_tools.benchmark._util.text import plural
from ai_dev_tools.benchmark.analysis.flatten import sample_row, table_of
from ai_dev_tools.benchmark.analysis.money import with_prices
from ai_dev_tools.benchmark.analysis.rows import Row
from ai_dev_tools.benchmark.analysis.samples import Samples
from ai_dev_tools.benchmark.archive.container import Archive, ArchiveError, open_archive
from ai_dev_tools.benchmark.archive.layout import BLOCK_NAME, PROMPTS_NAME, RunFacts
from ai_dev_tools.benchmark.archive.limits import bounded_memory
from ai_dev_tools.benchmark.archive.unpacking import all_or_nothing, refuse_in_use
from ai_dev_tools.benchmark.archive.verification import verify
from ai_dev_tools.benchmark.comparison.page import table_page, write_overview
from ai_dev_tools.benchmark.comparison.tables import arms, changes, effects, per_run, shared_cases
from ai_dev_tools.benchmark.config.thresholds import ValidityThresholds
from ai_dev_tools.benchmark.errors import ConfigurationError
from ai_dev_tools.benchmark.prompts import Prompt
from ai_dev_tools.benchmark.records.paths import PLANS
from ai_dev_tools.benchmark.records.plan import parse_plans, up_to
from ai_dev_tools.benchmark.records.sample import decode
from ai_dev_tools.benchmark.records.table_files import write_csv

Question = tuple[str, str, str]
"""Task, case and approach."""


@dataclass(frozen=True)
class PooledArchive:
    """One archive, read.

    Attributes:
        name: unique among those put together.
        prompts: sha256 of the prompt behind each question that was asked.
        samples: the samples table with the columns `run` and `machine`.
    """

    name: str
    facts: RunFacts
    machine: str
    prompts: dict[Question, str]
    samples: pd.DataFrame


@dataclass
class ImportResult:
    """What was written: one folder per group of runs that belong together, and a line on each."""

    folders: list[Path] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)


def import_archives(
    files: Sequence[Path],
    output: Path,
    *,
    separate: bool = False,
    reference: str = "baseline",
    thresholds: ValidityThresholds | None = None,
) -> ImportResult:
    """Check archives and write a comparison of their runs.

    Writes overview.{html,md,json}, tables, and samples.csv.

    Args:
        separate: put runs that cannot be pooled into separate folders, instead of refusing.
        reference: the arm that the others are compared with.
        thresholds: when checks flag a sample.

    Raises:
        ArchiveError: one is not valid.
        ConfigurationError: they differ in protocol, in a task, or share no case; or `output` is in use.
    """
    refuse_in_use(output)
    if not files:
        raise ConfigurationError("no archive was named")
    runs = _named_apart([read_archive(file) for file in files])
    groups: list[list[PooledArchive]] = []
    result = ImportResult()
    for run in runs:
        if twin := next((other for other in runs if other is not run and _same(other, run)), None):
            raise ConfigurationError(f"{run.name} and {twin.name} are the same run", remedy="Name it once")
        reasons = [why for group in groups if (why := difference(group, run))]
        fitting = next((group for group in groups if difference(group, run) is None), None)
        if fitting is not None:
            fitting.append(run)
        elif groups and not separate:
            raise ConfigurationError(reasons[0], remedy="Import them one by one, or keep them apart with --separate")
        else:
            result.lines += [f"kept apart: {reason}" for reason in reasons[:1]]
            groups.append([run])
    with all_or_nothing(output):
        for number, group in enumerate(groups, start=1):
            folder = output if len(groups) == 1 else output / f"group_{number}"
            _write(group, folder, reference, thresholds)
            result.folders.append(folder)
            machines = len({run.machine for run in group})
            result.lines.append(
                f"{folder}: {plural(len(group), 'run')} on {plural(machines, 'machine')}, "
                f"{plural(sum(len(run.samples) for run in group), 'sample')}"
            )
    return result


def read_archive(file: Path) -> PooledArchive:
    """Check an archive and read its samples.

    Raises:
        ArchiveError: it is not valid.
    """
    with bounded_memory(file):
        facts = verify(file, report=False).require().facts  # its report is not read
        assert facts is not None
        with open_archive(file) as archive:
            strata = _strata(archive)
            rows: list[Row] = []
            prompts: dict[Question, str] = {}
            for name in sorted(filter(BLOCK_NAME.fullmatch, archive.members)):
                for line in archive.lines(name):
                    sample = decode(line)
                    rows.append(sample_row(sample, strata.get((sample.task, sample.case), "")))
                    prompts[sample.task, sample.case, sample.approach] = sample.request.prompt_sha256
            ledger = parse_plans(archive.lines(PLANS.format(profile=facts.profile)))
    prices = up_to(ledger, facts.plan)[-1].prices if ledger else None
    machine = _machine(facts)
    name = file.name.removesuffix(".crate.zip").removesuffix(".zip")
    samples = table_of(rows)
    if prices:
        samples = with_prices(samples, prices.rates, prices.currency)
    return PooledArchive(name, facts, machine, prompts, samples.assign(machine=machine))


def difference(group: Sequence[PooledArchive], run: PooledArchive) -> str | None:
    """Why a run cannot be pooled with others, in one line; None if it can."""
    for other in group:
        if other.facts.protocols != run.facts.protocols:
            return (
                f"{other.name} was asked by protocol {_listed(other.facts.protocols)}, {run.name} by "
                f"{_listed(run.facts.protocols)}: their numbers mean different things"
            )
        shared = other.prompts.keys() & run.prompts.keys()
        if not shared:
            return f"{other.name} and {run.name} have no case in common"
        changed = sorted(question for question in shared if other.prompts[question] != run.prompts[question])
        if changed:
            task, case, approach = changed[0]
            return (
                f"{other.name} and {run.name} asked different prompts in task {task} (case {case}, {approach}; "
                f"{len(changed)} of {len(shared)} prompts differ)"
            )
    return None


def _same(one: PooledArchive, other: PooledArchive) -> bool:
    return one.facts == other.facts and one.prompts == other.prompts


def _write(group: Sequence[PooledArchive], folder: Path, reference: str, thresholds: ValidityThresholds | None) -> None:
    table = pd.concat([run.samples.assign(run=run.name) for run in group], ignore_index=True)
    samples = Samples.prepare(table, thresholds, reference)
    shared = shared_cases(samples, "run")
    tables = {
        "Runs": pd.DataFrame([_about(run) for run in group]),
        "Arms": _per_run(samples, group, arms),
        "Effects within each run": _per_run(samples, group, lambda part: effects(part, samples.reference)),
    }
    if len(group) > 1:
        tables["Effects over all runs"] = effects(samples, samples.reference)
    if len(group) > 1 and len(shared):
        first, *others = group
        parts = [changes(shared.where("run", first.name, run.name), run.name, first.name, "run") for run in others]
        tables["Changes between the runs"] = pd.concat(parts, ignore_index=True)
    machines = Counter(run.machine for run in group)
    lead = [
        f"{plural(len(group), 'archived run')} on {plural(len(machines), 'machine')}, all checked: "
        f"{plural(len(samples), 'sample')}.",
        "Effects over all runs pair the arms of a case within each run, and average a case over the runs before cases "
        "and clusters are averaged: more runs of the same cases do not count as more cases. Times differ between machines; judge "
        "a tool by its effect within a run, and machines by the changes between runs over the cases that all asked.",
        "Verdicts are those of each run's own report: pooling was in no run's plan, so everything here is exploratory.",
    ]
    about = {"machines": dict(machines), "runs": [_about(run) for run in group]}
    folder.mkdir(parents=True, exist_ok=True)
    write_overview(folder, table_page(plural(len(group), "archived run"), lead, tables), tables, about)
    write_csv(table, folder / "samples.csv")


def _per_run(samples: Samples, group: Sequence[PooledArchive], make: Callable[[Samples], pd.DataFrame]) -> pd.DataFrame:
    table = per_run(samples, [run.name for run in group], make)
    machines = {run.name: run.machine for run in group}
    table.insert(1, "machine", table["run"].map(machines))
    return table


def _about(run: PooledArchive) -> Row:
    facts = run.facts
    return {
        "run": run.name,
        "machine": run.machine,
        "profile": facts.profile,
        "models": ", ".join(model.tag for model in facts.models),
        "samples": facts.samples,
        "plan": facts.plan,
        "protocol": _listed(facts.protocols),
        "from": facts.started_at,
        "to": facts.ended_at,
    }


def _machine(facts: RunFacts) -> str:
    """A name for the hardware behind a run."""
    for hardware in facts.hardware:
        memory = hardware.get("ram_bytes")
        listed = hardware.get("gpus")
        gpus = [str(gpu.get("name")) for gpu in (listed if isinstance(listed, list) else ()) if isinstance(gpu, dict)]
        size = f"{memory / 2**30:.0f} GiB" if isinstance(memory, int) else "memory unknown"
        cores = hardware.get("cores")
        counted = plural(cores, "core") if isinstance(cores, int) else "cores unknown"
        return ", ".join([str(hardware.get("cpu") or "CPU unknown"), counted, size, *gpus])
    return ", ".join(facts.machine.values()) or "unknown machine"


def _strata(archive: Archive) -> dict[tuple[str, str], str]:
    decoder = msgspec.json.Decoder(Prompt)
    found: dict[tuple[str, str], str] = {}
    for name in filter(PROMPTS_NAME.fullmatch, archive.members):
        for line in archive.lines(name):
            try:
                row = decoder.decode(line)
            except msgspec.MsgspecError as error:
                raise ArchiveError(f"{name} is damaged ({error})") from None
            found[row.task, row.case] = row.stratum
    return found


def _named_apart(runs: list[PooledArchive]) -> list[PooledArchive]:
    """Runs under distinct names: the same file name may come from two machines."""
    counts = Counter(run.name for run in runs)
    seen: Counter[str] = Counter()
    named = []
    for run in runs:
        seen[run.name] += 1
        name = f"{run.name} ({seen[run.name]})" if counts[run.name] > 1 else run.name
        named.append(PooledArchive(name, run.facts, run.machine, run.prompts, run.samples))
    return named


def _listed(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers))
