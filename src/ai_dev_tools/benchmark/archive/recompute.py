"""Compute the report's numbers again from the tables, and the tables from the samples."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from ai_dev_tools.benchmark._util.json_values import Json, JsonFields
from ai_dev_tools.benchmark._util.scratch import scratch_folder
from ai_dev_tools.benchmark.archive.chain import open_parquet_member
from ai_dev_tools.benchmark.archive.container import Archive, ArchiveError
from ai_dev_tools.benchmark.archive.layout import BLOCK_NAME, CONFIG, PROMPTS_NAME, RECORDED, Manifest
from ai_dev_tools.benchmark.archive.untrusted_yaml import yaml_data
from ai_dev_tools.benchmark.config.models import Config, load_config
from ai_dev_tools.benchmark.errors import BenchmarkError
from ai_dev_tools.benchmark.planning.experiment import Experiment
from ai_dev_tools.benchmark.plugins import BUILT_IN
from ai_dev_tools.benchmark.records import paths
from ai_dev_tools.benchmark.records.about import RunAbout
from ai_dev_tools.benchmark.records.plan import RULES, parse_plans, read_plans, up_to
from ai_dev_tools.benchmark.records.table_files import in_current_format, read_table, with_current_names

_IMPOSSIBLE = (BenchmarkError, ValueError, KeyError, TypeError, AttributeError, RecursionError)
FROM_TABLES = ("comparison_metrics", "overall_metrics", "verdicts", "verdict_rows")
"""Parts of report.json that are read from the tables."""


def report_differences(archive: Archive, manifest: Manifest, report: JsonFields) -> list[str]:
    """Parts of the report that contradict the recorded tables; empty if it belongs to them."""
    # these take 0.1 s
    from ai_dev_tools.benchmark.reporting.build import SCHEMA_VERSION, build_report
    from ai_dev_tools.benchmark.reporting.data import DERIVED, RunData, plain_samples
    from ai_dev_tools.benchmark.reporting.formats import structured

    tables: JsonFields = {name: _table(archive, name) for name in ("samples", *DERIVED)}
    plans = archive.read(paths.PLANS.format(profile=manifest.profile)).splitlines()
    try:
        about = RunAbout.read(json.loads(archive.read(paths.ABOUT.format(profile=manifest.profile))))
        data = RunData(
            about=about,
            plans=up_to(parse_plans(plans), about.plan),
            samples=plain_samples(tables.pop("samples")),
            **tables,
        )
        made = structured.render(build_report(data), SCHEMA_VERSION)
    except _IMPOSSIBLE as error:
        return [f"cannot be made again from the tables ({type(error).__name__}: {str(error)[:120]})"]
    return [
        f"contradicts the tables: {part.replace('_', ' ')}"
        for part in FROM_TABLES
        if not same(made.get(part), _with_current_names(report.get(part)))
    ]


def _with_current_names(part: Json) -> Json:
    """A part of a report as this version writes it: rows of an earlier one lack today's names."""
    return (
        [with_current_names(row) if isinstance(row, dict) else row for row in part] if isinstance(part, list) else part
    )


def same(one: object, other: object) -> bool:
    """Whether two JSON values agree.

    Numbers to nine digits, since another machine may round the last one differently.
    """
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(value, other[key]) for key, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, float | int) and isinstance(other, float | int) and not isinstance(one, bool):
        return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-12)
    return bool(one == other)


def recomputed(archive: Archive, manifest: Manifest) -> Iterator[tuple[str, str]]:
    """Derive every table from the samples; yields (member, what is wrong) for each that differs by a byte."""
    with scratch_folder("verify") as folder:
        wanted = [n for n in manifest.files if BLOCK_NAME.fullmatch(n) or PROMPTS_NAME.fullmatch(n)]
        plans = paths.PLANS.format(profile=manifest.profile)
        for member in (*wanted, plans):
            _extract(archive, member, folder / member)
        config = settings_of(archive)
        if config.plugins and _made_with_plugins(archive):
            yield (
                CONFIG,
                "tables made with plugins are not derived by verify; unpack and render them (it runs their code)",
            )
            return
        outputs = {key: folder / Path(file).name for key, file in paths.TABLE_FILES.items()}
        try:
            about = RunAbout.read(json.loads(archive.read(paths.ABOUT.format(profile=manifest.profile))))
            blocks, prompts = (
                [folder / n for n in wanted if pattern.fullmatch(n)] for pattern in (BLOCK_NAME, PROMPTS_NAME)
            )
            derive_tables(config, blocks, prompts, folder / plans, outputs, about.plan)
        except _IMPOSSIBLE as error:
            yield f"{RECORDED}/tables/", f"cannot be derived again: {str(error)[:200]}"
            return
        for name, file in outputs.items():
            member = f"{RECORDED}/tables/{file.name}"
            if name in paths.LATER_TABLES and member not in manifest.files:
                continue
            if member not in manifest.files or not _same_bytes(archive, manifest, member, file):
                rules = _other_rules(folder / plans)
                yield member, f"does not follow from the samples ({rules}other versions of the packages made it)"


def _same_bytes(archive: Archive, manifest: Manifest, member: str, made: Path) -> bool:
    """Whether a recorded table is the one made here, at most in the words of an earlier version."""
    with open(made, "rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() == manifest.files[member].sha256:
            return True
    return not member.endswith(".parquet") and in_current_format(archive.read(member)) == made.read_bytes()


def _made_with_plugins(archive: Archive) -> bool:
    """Whether metrics, comparisons or checks of plugins went into the tables.

    Approaches and scorers did their part before.
    """
    origins = _table(archive, "definitions").get("origin", pd.Series(dtype=str))
    return not all(str(origin).startswith(BUILT_IN) for origin in origins)


def _other_rules(ledger: Path) -> str:
    """Another possible reason for a difference: the archive's verdicts were made by earlier rules."""
    plans = read_plans(ledger)
    made = plans[-1].rules if plans else RULES
    return f"it was made under rules {made}, which are {RULES} now, or " if made < RULES else "or "


def settings_of(archive: Archive) -> Config:
    """The settings in an archive.

    Raises:
        ArchiveError, ConfigurationError: they are not valid.
    """
    return load_config(yaml_data(archive.read(CONFIG), CONFIG, archive.limits))


def derive_tables(
    config: Config, blocks: list[Path], prompts: list[Path], plans: Path, outputs: dict[str, Path], plan: str | None
) -> None:
    """Write all tables of a run, as the workflow does, but without plugins, which are someone else's code."""
    from ai_dev_tools.benchmark.analysis.tables import write_tables  # takes 0.4 s

    write_tables(
        blocks=blocks,
        prompts=prompts,
        plans=plans,
        outputs=outputs,
        reference=config.plan.reference,
        thresholds=config.validity.model_dump(),
        shown=Experiment(config, {}, {}).shown_arm,
        plan=plan,
    )


def _extract(archive: Archive, member: str, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with open(target, "wb") as file:
        for piece in archive.pieces(member):
            file.write(piece)


def _table(archive: Archive, name: str) -> pd.DataFrame:
    """A recorded table; empty if there is none.

    Raises:
        ArchiveError: it cannot be read.
    """
    parquet, text = (f"{RECORDED}/tables/{name}.{suffix}" for suffix in ("parquet", "csv"))
    try:
        if parquet in archive.members:
            open_parquet_member(archive, parquet)  # says how large it would become
            return read_table(archive.read(parquet), parquet)
        if text in archive.members:
            return read_table(archive.read(text), text)
    except (ValueError, OSError, pd.errors.ParserError) as error:
        raise ArchiveError(f"{name} is not a table ({str(error)[:120]})") from None
    return pd.DataFrame()
