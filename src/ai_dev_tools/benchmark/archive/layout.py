"""Where files are in an archive, and the records that only archives have."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from ai_dev_tools.benchmark.errors import ConfigurationError

FORMAT = 1
"""Increased when archives change in a way that older readers would misread."""

MANIFEST = "manifest.json"
CRATE = "ro-crate-metadata.json"
RUN = "run.json"
README = "README.md"
CONFIG = "config/config.yaml"
RECORDED = "recorded"
"""Folder of what the run made from its samples: tables, figures, report. Rendering again writes to results/."""
SOURCE = "src/ai_dev_tools"
GENERATED = (MANIFEST, CRATE)
"""Members that describe all others; they come last."""

BLOCK_NAME = re.compile(r"results/(?P<profile>[A-Za-z0-9_-]+)/blocks/(?P<model>[^/]+)/(?P<task>[^/]+)\.jsonl")
PROMPTS_NAME = re.compile(r"results/prompts/(?P<task>[^/]+)\.jsonl")
CONTEXTS_NAME = re.compile(r"results/contexts/(?P<task>[^/.]+)\.(?P<tool>[^/]+)\.jsonl")


class Entry(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Checksum and size of a member."""

    sha256: str
    bytes: int


class Chain(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """What was made from what, as digests over the manifest entries of each stage."""

    prompts: str
    plans: str
    samples: str
    tables: str
    report: str


class Manifest(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Every other member of the archive with its checksum."""

    format: int
    profile: str
    plan: str
    chain: Chain
    files: dict[str, Entry]


class RunFacts(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Who, when, how, on what: the archive's own summary of the run. Times are ISO 8601 UTC."""

    format: int
    profile: str
    plan: str
    plans: list[str]
    protocols: list[int]
    package_version: str
    samples: int
    statuses: dict[str, int]
    superseded: int
    started_at: str
    ended_at: str
    rendered_at: str
    author: dict[str, str]
    license: str
    blocks: list[dict[str, Any]]
    models: list[dict[str, Any]]
    machine: dict[str, str]
    hardware: list[dict[str, Any]]
    software: dict[str, str]
    tools: list[dict[str, Any]]
    corpora: list[dict[str, Any]]
    not_included: list[dict[str, Any]]


def pin(item: dict[str, Any]) -> str:
    """What pins the content of something that is not included: one sha256, or one for each of a few files."""
    return f"sha256 {item['sha256']}" if item.get("sha256") else "sha256 of each file in config/corpora.yaml"


def stage_files(files: dict[str, Entry], profile: str) -> dict[str, dict[str, Entry]]:
    """The members of each stage of the chain, by name."""
    prefixes = {
        "prompts": "results/prompts/",
        "plans": f"results/{profile}/plans.jsonl",
        "samples": f"results/{profile}/blocks/",
        "tables": f"{RECORDED}/tables/",
        "report": f"{RECORDED}/report/",
    }
    return {
        stage: {name: entry for name, entry in files.items() if name.startswith(prefix)}
        for stage, prefix in prefixes.items()
    }


def without_section(pyproject: str, section: str = "tool.ai-dev-tools.benchmark") -> str:
    """A pyproject.toml without the run's settings, which an archive has in its config, already merged.

    Raises:
        ConfigurationError: the section cannot be cut out line by line.
    """
    kept, inside = [], False
    for line in pyproject.splitlines(keepends=True):
        if header := re.match(r"\s*\[\[?\s*([^\]]+?)\s*\]", line):
            name = header[1].replace('"', "").replace("'", "")
            inside = name == section or name.startswith(f"{section}.")
        if not inside:
            kept.append(line)
    text = "".join(kept)
    if re.search(r"^\s*(tool\.)?ai-dev-tools\b.*=", text, re.MULTILINE):
        raise ConfigurationError(
            f"pyproject.toml: the settings of [{section}] cannot be told from the rest",
            remedy=f"Write them below a line [{section}]",
        )
    return text
