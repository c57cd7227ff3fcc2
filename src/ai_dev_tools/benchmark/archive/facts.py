"""What an archive says about its run, gathered from the run's records in one pass and bounded memory."""

from __future__ import annotations

import importlib.metadata
import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import msgspec

from ai_dev_tools import __version__
from ai_dev_tools.benchmark._util.clock import utc_stamp
from ai_dev_tools.benchmark._util.json_values import Json, JsonFields
from ai_dev_tools.benchmark.archive.layout import (
    FORMAT,
    BlockRow,
    ModelFacts,
    NotIncluded,
    RunFacts,
    ServerFacts,
    ToolFacts,
)
from ai_dev_tools.benchmark.errors import ConfigurationError
from ai_dev_tools.benchmark.prompts.tool_results import ToolResult
from ai_dev_tools.benchmark.records import paths
from ai_dev_tools.benchmark.records.plan import read_plans
from ai_dev_tools.benchmark.records.sample import Sample, iter_block
from ai_dev_tools.benchmark.records.sessions import read_sessions
from ai_dev_tools.benchmark.reporting.machine import PACKAGES

PACKAGE = "ai-dev-tools-benchmark"
GENERATED = "%Y-%m-%d %H:%M:%S UTC"
MACHINE = ("Measured on", "Report made on", "Server")


@dataclass
class BlockFacts:
    """One block: what it holds and when it was measured."""

    file: str
    model: str = ""
    task: str = ""
    samples: int = 0
    started_at: str = ""
    ended_at: str = ""
    statuses: Counter[str] = field(default_factory=Counter)
    endpoints: set[tuple[str, str]] = field(default_factory=set)
    digests: set[str] = field(default_factory=set)
    instances: set[str] = field(default_factory=set)
    plans: set[str] = field(default_factory=set)
    protocols: set[int] = field(default_factory=set)

    def take(self, sample: Sample) -> None:
        """Count one sample."""
        self.model, self.task = sample.model, sample.task
        self.samples += 1
        self.statuses[sample.status] += 1
        self.endpoints.add((sample.endpoint.kind, sample.endpoint.version))
        self.instances.add(sample.instance)
        self.protocols.add(sample.request.protocol)
        self.plans |= {sample.plan} - {None}  # type: ignore[arg-type]
        self.digests |= {sample.model_digest} - {None}  # type: ignore[arg-type]
        ended = moment_after(sample.started_at, sample.duration_s or 0.0)
        self.started_at = min(filter(None, (self.started_at, sample.started_at)), default="")
        self.ended_at = max(self.ended_at, ended)

    def row(self) -> BlockRow:
        """What run.json says about the block."""
        failed = self.samples - self.statuses["completed"]
        return BlockRow(self.file, self.model, self.task, self.samples, self.started_at, self.ended_at, failed)


def moment_after(started_at: str, seconds: float) -> str:
    """A time some seconds later, UTC; the text itself if it is not a time."""
    try:
        moment = datetime.fromisoformat(started_at) + timedelta(seconds=seconds if math.isfinite(seconds) else 0.0)
        return utc_stamp(moment, "microseconds")
    except (ValueError, OverflowError):
        return started_at


def block_facts(root: Path, names: Iterable[str]) -> list[BlockFacts]:
    """Facts of each block file, read line by line.

    Raises:
        ConfigurationError: a line is not a sample.
    """
    return [_block(root / name, name) for name in names]


def _block(path: Path, name: str) -> BlockFacts:
    facts = BlockFacts(name)
    for sample in iter_block(path):
        facts.take(sample)
    return facts


def read_run_report(report: Path) -> JsonFields:
    """The content of a run's report.json.

    Raises:
        ConfigurationError: it is missing or not a report.
    """
    try:
        content = json.loads(report.read_bytes())
        datetime.strptime(content["benchmark_info"]["generated"], GENERATED)
    except (OSError, ValueError, KeyError, TypeError):
        raise ConfigurationError(f"{report} is not a report", remedy="Make it again: snakemake report") from None
    assert isinstance(content, dict)
    return content


def gather(
    root: Path,
    profile: str,
    plan: str,
    config: Mapping[str, Json],
    blocks: list[BlockFacts],
    tools: list[ToolFacts],
    not_included: list[NotIncluded],
    corpora: list[dict[str, object]],
) -> RunFacts:
    """Everything that run.json says.

    Args:
        root: the workflow's folder.
        tools: what is known about each tool in addition to the version that ran.
    """
    run = root / paths.RUN.format(profile=profile)
    report = read_run_report(run / "report" / "report.json")
    said = report.get("facts", {}).get("provenance", {})
    filled = [block for block in blocks if block.samples]
    if not filled:
        raise ConfigurationError(
            f"{run} holds no samples", remedy="Run the benchmark first: there is nothing to archive"
        )
    settings = config.get("archive", {})
    return RunFacts(
        format=FORMAT,
        profile=profile,
        plan=plan,
        plans=[entry.plan for entry in read_plans(run / "plans.jsonl")],
        protocols=sorted({number for block in filled for number in block.protocols}),
        package_version=_version(),
        samples=sum(block.samples for block in filled),
        statuses=dict(sorted(sum((block.statuses for block in filled), Counter()).items())),
        superseded=sum(1 for _ in (run / "superseded").glob("*/*/*/*.json")),
        started_at=min(block.started_at for block in filled),
        ended_at=max(block.ended_at for block in filled),
        rendered_at=f"{datetime.strptime(report['benchmark_info']['generated'], GENERATED).isoformat()}Z",
        author={
            key: settings[key] for key in ("author", "orcid", "affiliation", "affiliation_url") if settings.get(key)
        },
        license=settings.get("license", "CC-BY-4.0"),
        blocks=[block.row() for block in filled],
        models=_models(filled),
        machine={name: said[name] for name in MACHINE if name in said},
        hardware=_hardware(run / "identity", filled),
        software={name: said[name] for name in ("Python", *PACKAGES) if name in said},
        tools=tools,
        corpora=corpora,
        not_included=not_included,
    )


def tool_facts(contexts: Iterable[Path], tools: Mapping[str, ToolFacts]) -> list[ToolFacts]:
    """Each tool with the version that ran, from what it left for each case.

    Args:
        contexts: context files that exist.
        tools: what the file of each tool says, by its id; see `tool_about`.
    """
    versions: dict[str, set[str]] = {tool: set() for tool in tools}
    decoder = msgspec.json.Decoder(ToolResult)
    for path in contexts:
        with open(path, "rb") as file:
            for line in file:
                try:
                    row = decoder.decode(line)
                except (msgspec.MsgspecError, UnicodeDecodeError) as error:
                    raise ConfigurationError(
                        f"{path} is damaged ({error})", remedy="Delete it; it is made again"
                    ) from None
                versions.setdefault(row.tool, set()).add(row.version)
    return [
        msgspec.structs.replace(tools.get(tool, ToolFacts(id=tool, versions=[])), versions=sorted(found))
        for tool, found in sorted(versions.items())
    ]


def tool_about(tool: str, data: object) -> ToolFacts:
    """What a tool's file says of it."""
    said = data if isinstance(data, dict) else {}
    known = {name: str(said[name]) for name in ("description", "homepage", "install") if said.get(name)}
    return ToolFacts(id=tool, versions=[], **known)


def _models(blocks: list[BlockFacts]) -> list[ModelFacts]:
    return [
        ModelFacts(
            tag,
            sorted({digest for block in mine for digest in block.digests}),
            sorted({name for block in mine for name in block.instances}),
            [
                ServerFacts(kind, version)
                for kind, version in sorted({pair for block in mine for pair in block.endpoints})
            ],
        )
        for tag in sorted({block.model for block in blocks})
        if (mine := [block for block in blocks if block.model == tag])
    ]


def _hardware(identity: Path, blocks: list[BlockFacts]) -> list[dict[str, object]]:
    """Every machine that asked, as recorded by the blocks."""
    files = {identity / Path(block.file).parent.name / f"{Path(block.file).stem}.json" for block in blocks}
    found = [
        dict(machine)
        for file in sorted(files)
        for entry in read_sessions(file)
        if isinstance(machine := entry.get("hardware"), dict)
    ]
    return sorted({json.dumps(item, sort_keys=True): item for item in found}.values(), key=str)


def _version() -> str:
    try:
        return importlib.metadata.version(PACKAGE)
    except importlib.metadata.PackageNotFoundError:
        return __version__
