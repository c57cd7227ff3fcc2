"""Where files are in an archive, and the records that only archives have."""

from __future__ import annotations

import re

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


class ManifestEntry(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Checksum and size of a member."""

    sha256: str
    bytes: int


class StageDigests(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
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
    chain: StageDigests
    files: dict[str, ManifestEntry]


class BlockRow(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """What is said of one block."""

    file: str
    model: str
    task: str
    samples: int
    started_at: str
    ended_at: str
    failed: int


class ServerFacts(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A server that answered for a model."""

    kind: str
    version: str


class ModelFacts(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A model that was asked."""

    tag: str
    digests: list[str]
    instances: list[str]
    endpoints: list[ServerFacts]


class ToolFacts(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True, omit_defaults=True):
    """A tool under test: what its file says, and the versions that ran."""

    id: str
    description: str | None = None
    homepage: str | None = None
    install: str | None = None
    versions: list[str]


class NotIncluded(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True, omit_defaults=True):
    """A corpus or weights that the run used and that the archive only names."""

    kind: str
    id: str
    sha256: str | None = None
    version: str | None = None
    license: str | None = None
    url: str | None = None

    @property
    def pin(self) -> str:
        """What fixes its content; of a few files out of an archive, each has its own sha256."""
        return f"sha256 {self.sha256}" if self.sha256 else "sha256 of each file in config/corpora.yaml"


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
    blocks: list[BlockRow]
    models: list[ModelFacts]
    machine: dict[str, str]
    hardware: list[dict[str, object]]
    software: dict[str, str]
    tools: list[ToolFacts]
    corpora: list[dict[str, object]]
    not_included: list[NotIncluded]


def stage_files(files: dict[str, ManifestEntry], profile: str) -> dict[str, dict[str, ManifestEntry]]:
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
            f"pyproject.toml: the settings of [{section}] cannot be separated from the rest",
            remedy=f"Write them below a line [{section}]",
        )
    return text
