"""Check what an archive says about its run against the run's records.

As far as it can be gathered again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec

from ai_dev_tools.benchmark._util.json_values import JsonFields
from ai_dev_tools.benchmark.archive.container import Archive, Digest
from ai_dev_tools.benchmark.archive.crate import crate_metadata
from ai_dev_tools.benchmark.archive.facts import block_facts, gather, tool_about, tool_facts
from ai_dev_tools.benchmark.archive.layout import (
    BLOCK_NAME,
    CONTEXTS_NAME,
    CRATE,
    README,
    Manifest,
    RunFacts,
    ToolFacts,
)
from ai_dev_tools.benchmark.archive.publication import readme, zenodo
from ai_dev_tools.benchmark.archive.untrusted_yaml import yaml_data
from ai_dev_tools.benchmark.errors import ConfigurationError
from ai_dev_tools.benchmark.records import paths
from ai_dev_tools.benchmark.records.about import RunAbout
from ai_dev_tools.benchmark.records.plan import read_plans

NOT_GATHERED = ("format", "package_version", "superseded", "not_included")
"""What a run's records do not contain: samples left where the run was made, and files that were left out."""
ZENODO = ".zenodo.json"
_NAMED = re.compile(r"ai-dev-bench verify ([A-Za-z0-9_@.+-]{1,200})\n")


def wrong_facts(
    archive: Archive, manifest: Manifest, folder: Path, facts: RunFacts, settings: JsonFields
) -> Iterator[str]:
    """Parts of run.json that the records contradict.

    Args:
        folder: the run's records, laid out as a run has them.
    """
    names = [name for name in manifest.files if BLOCK_NAME.fullmatch(name)]
    contexts = [folder / name for name in manifest.files if CONTEXTS_NAME.fullmatch(name)]
    receipts = [json.loads(archive.read(name)) for name in _receipts(manifest)]
    about = {tool.id: _tool(archive, tool.id) for tool in facts.tools}
    made = gather(folder, manifest.profile, manifest.plan, settings, block_facts(folder, names),
                  tool_facts(contexts, about), [], receipts)  # fmt: skip
    for name in RunFacts.__struct_fields__:
        if name not in NOT_GATHERED and _sorted(getattr(made, name)) != _sorted(getattr(facts, name)):
            yield f"its {name.replace('_', ' ')} is not what the run's records say"
    version = facts.software.get("ai-dev-tools-benchmark", facts.package_version)
    if facts.package_version != version or facts.superseded < 0:
        yield "its package version or the number of superseded samples cannot be"
    known = {receipt.get("corpus"): receipt for receipt in receipts}
    for item in facts.not_included:
        receipt = known.get(item.id, {}) if item.kind == "corpus" else msgspec.structs.asdict(item)
        if item.kind not in ("corpus", "weights") or any(
            getattr(item, key) != receipt.get(key) for key in ("sha256", "version", "license")
        ):
            yield f"what it says of {item.id[:80]} is not what its receipt says"


def wrong_settings_of_report(recorded: object, manifest: Manifest, plans: Path) -> Iterator[str]:
    """Check what the report was told about its run (models, tasks, samples) against the plan."""
    try:
        about = RunAbout.read(recorded)
    except ConfigurationError as error:
        yield str(error)
        return
    plan = next((declared for declared in read_plans(plans) if declared.plan == manifest.plan), None)
    said = {
        "plan": about.plan,
        "profile": about.profile_name,
        "models": about.models,
        "tasks": sorted(about.tasks),
        "approaches": sorted(about.approaches),
        "samples": about.samples,
        "expected": about.expected,
    }
    planned = (
        {}
        if plan is None
        else {
            "plan": plan.plan,
            "profile": plan.profile,
            "models": list(plan.models),
            "tasks": sorted(plan.tasks),
            "approaches": sorted(plan.approaches),
            "samples": plan.samples,
            "expected": {task: plan.expected(task) for task in plan.tasks},
        }
    )
    yield from (f"its {name} is not what plan {manifest.plan} says" for name in said if said[name] != planned.get(name))


def other_words(archive: Archive, manifest: Manifest, facts: RunFacts) -> Iterator[str]:
    """Members that should repeat the summary (README, metadata for repositories) but do not."""
    citation = yaml_data(archive.read("CITATION.cff"), "CITATION.cff") if "CITATION.cff" in archive.members else {}
    citation = citation if isinstance(citation, dict) else {}
    said = archive.read(README).decode("utf-8", "replace")
    name = found[1] if (found := _NAMED.search(said)) else ""
    if readme(facts, name).encode() != archive.read(README):
        yield README
    if zenodo(facts, citation) != archive.read(ZENODO):
        yield ZENODO
    listed = {member: Digest(entry.sha256, entry.bytes) for member, entry in manifest.files.items() if member != CRATE}
    if _graph(crate_metadata(facts, listed, citation)) != _graph(archive.read(CRATE)):
        yield CRATE


def _graph(metadata: bytes) -> dict[str, object]:
    content = json.loads(metadata)
    graph = {entity["@id"]: entity for entity in content["@graph"]}
    return {"keys": sorted(content), "context": content["@context"], "count": len(content["@graph"]), "graph": graph}


def _receipts(manifest: Manifest) -> list[str]:
    start = f"{paths.CORPORA_FOLDER}/"
    return sorted(name for name in manifest.files
                  if name.startswith(start) and name.count("/") == start.count("/") and name.endswith(".json"))  # fmt: skip


def _tool(archive: Archive, tool: str) -> ToolFacts:
    name = f"{paths.TOOLS}/{tool}.yaml"
    return tool_about(tool, yaml_data(archive.read(name), name))


def _sorted(value: object) -> object:
    """A value with sorted lists of records, because blocks and tools come in the order of the settings."""
    if isinstance(value, list):
        return sorted(msgspec.json.encode(item, order="sorted") for item in value if item)
    return value
