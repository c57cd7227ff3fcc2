"""The archive's metadata: a Workflow Run RO-Crate with the profile Provenance Run Crate.

It claims only what was recorded: the steps that ask models have a start and an end, taken from the
samples; rendering has its end, taken from the report. When tools ran and prompts were made is not recorded, so
those files appear as inputs, without an action that would need invented times.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, TypeAlias
from urllib.parse import unquote

from rocrate.model import ComputationalWorkflow, ContextEntity, File
from rocrate.rocrate import ROCrate

from ai_dev_tools.benchmark._util.text import plural
from ai_dev_tools.benchmark.archive.container import Digest
from ai_dev_tools.benchmark.archive.layout import CONFIG, CRATE, MANIFEST, README, RECORDED, RUN, SOURCE, RunFacts

Entity: TypeAlias = Any
"""An entity of rocrate, which has no types."""
SPECIFICATION = "1.1"
"""The RO-Crate version that the Workflow Run profiles 0.5 were written for."""
PROFILES = {
    "https://w3id.org/ro/wfrun/process/0.5": ("Process Run Crate", "0.5"),
    "https://w3id.org/ro/wfrun/workflow/0.5": ("Workflow Run Crate", "0.5"),
    "https://w3id.org/ro/wfrun/provenance/0.5": ("Provenance Run Crate", "0.5"),
    "https://w3id.org/workflowhub/workflow-ro-crate/1.0": ("Workflow RO-Crate", "1.0"),
}
TERMS = "https://w3id.org/ro/terms/workflow-run/context"
PROJECT = "https://github.com/ai-dev-tools/benchmark"
SNAKEMAKE = "https://snakemake.readthedocs.io"
COMPLETED = "http://schema.org/CompletedActionStatus"

_IANA = "https://www.iana.org/assignments/media-types/"
_FORMATS = {
    ".json": ("application/json", "https://www.nationalarchives.gov.uk/PRONOM/fmt/817", "JSON"),
    ".jsonl": ("application/jsonl", "https://jsonlines.org/", "JSON Lines"),
    ".ipynb": ("application/x-ipynb+json", "https://nbformat.readthedocs.io/", "Jupyter notebook"),
    ".csv": ("text/csv", "https://www.nationalarchives.gov.uk/PRONOM/x-fmt/18", "Comma Separated Values"),
    ".parquet": ("application/vnd.apache.parquet", "https://parquet.apache.org/docs/", "Apache Parquet"),
    ".html": ("text/html", "https://www.nationalarchives.gov.uk/PRONOM/fmt/471", "HTML 5"),
    ".md": ("text/markdown", "https://www.nationalarchives.gov.uk/PRONOM/fmt/1149", "Markdown"),
    ".txt": ("text/plain", "https://www.nationalarchives.gov.uk/PRONOM/x-fmt/111", "Plain text"),
    ".log": ("text/plain", "https://www.nationalarchives.gov.uk/PRONOM/x-fmt/111", "Plain text"),
    ".lock": ("text/plain", "https://www.nationalarchives.gov.uk/PRONOM/x-fmt/111", "Plain text"),
    ".yaml": ("application/yaml", "https://www.nationalarchives.gov.uk/PRONOM/fmt/818", "YAML"),
    ".xml": ("application/xml", "https://www.nationalarchives.gov.uk/PRONOM/fmt/101", "XML"),
    ".svg": ("image/svg+xml", "https://www.nationalarchives.gov.uk/PRONOM/fmt/92", "SVG"),
    ".png": ("image/png", "https://www.nationalarchives.gov.uk/PRONOM/fmt/13", "PNG"),
    ".smk": ("text/plain", "https://www.nationalarchives.gov.uk/PRONOM/x-fmt/111", "Plain text"),
}
_PLAIN = _FORMATS[".txt"]
_DESCRIBED = {
    README: "What this archive is, how to check it, render it again and repeat the run",
    MANIFEST: "sha256 and size of every other member",
    RUN: "Who made the run, when, how and on what, for machines",
    CONFIG: "All settings as they were resolved, with `source: samples`",
    "envs/requirements.lock": "Every Python package with its version and hash",
}


def crate_metadata(facts: RunFacts, digests: Mapping[str, Digest], citation: Mapping[str, object]) -> bytes:
    """Content of ro-crate-metadata.json.

    Args:
        digests: of every member written so far.
        citation: content of the project's CITATION.cff.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        crate = _Crate(facts, digests, citation).build()
    metadata = crate.metadata.generate()
    metadata["@graph"] = [{key: _compact(value) for key, value in entity.items()} for entity in metadata["@graph"]]
    return f"{json.dumps(metadata, indent=1, sort_keys=True, ensure_ascii=False)}\n".encode()


def _compact(value: object) -> object:
    """A list with one item becomes that item, as RO-Crate recommends."""
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def _time(moment: str) -> str:
    """A time in the ISO 8601 form that the profiles recommend."""
    try:
        return datetime.fromisoformat(moment).astimezone(UTC).isoformat(timespec="milliseconds")
    except ValueError:
        return moment


class _Crate:
    def __init__(self, facts: RunFacts, digests: Mapping[str, Digest], citation: Mapping[str, object]) -> None:
        self.facts, self.digests, self.citation = facts, digests, citation
        self.crate: ROCrate = ROCrate(version=SPECIFICATION)
        self.crate.metadata.extra_contexts.append(TERMS)

    def build(self) -> ROCrate:
        """The crate, complete."""
        self._root()
        self._profiles()
        self._people()
        for name in self._listed():
            self._file(name)
        self._referenced()
        workflow = self._workflow()
        self._run(workflow)
        return self.crate

    def _root(self) -> None:
        facts, root = self.facts, self.crate.root_dataset
        models = ", ".join(model.tag for model in facts.models)
        self.crate.name = f"AI development tools benchmark: {facts.profile} on {models}"
        self.crate.description = (
            f"{plural(facts.samples, 'request')} to {models}, made from {facts.started_at} to {facts.ended_at} under plan "
            f"{facts.plan}: "
            "whether a tool's findings instead of raw files save tokens and time at equal answer quality. Samples, prompts, "
            "tool outputs, tables, figures and report, with all that is needed to render them again without a model."
        )
        self.crate.datePublished = _time(facts.rendered_at)
        self.crate.keywords = ["benchmark", "language models", "developer tools", "reproducibility"]
        root["identifier"] = f"urn:ai-dev-tools-benchmark:{facts.profile}:{facts.plan}"
        license_id = f"https://spdx.org/licenses/{facts.license}"
        self.crate.license = self._entity(
            license_id, "CreativeWork", name=facts.license, description=f"Licence of the run's data: {facts.license}",
            url=license_id,
        )  # fmt: skip

    def _profiles(self) -> None:
        entities = [
            self._entity(url, "CreativeWork", name=name, version=version) for url, (name, version) in PROFILES.items()
        ]
        self.crate.root_dataset["conformsTo"] = entities
        self.crate.metadata["conformsTo"] = [
            {"@id": f"https://w3id.org/ro/crate/{SPECIFICATION}"},
            {"@id": "https://w3id.org/workflowhub/workflow-ro-crate/1.0"},
        ]

    def _people(self) -> None:
        author = self.facts.author
        organisation = self._entity(
            author.get("affiliation_url", f"{PROJECT}#contributors"), "Organization",
            name=author.get("affiliation", "The AI Development Tools Benchmark contributors"),
            url=author.get("affiliation_url", PROJECT),
        )  # fmt: skip
        identifier = f"https://orcid.org/{author['orcid']}" if "orcid" in author else "#author"
        self.agent = self._entity(
            identifier, "Person", name=author.get("author", "not named (archive.author in the config)"),
            affiliation=organisation,
        )  # fmt: skip
        self.crate.root_dataset["author"] = self.agent
        self.crate.root_dataset["publisher"] = organisation
        self.organisation = organisation

    def _listed(self) -> list[str]:
        """Members that get an entity; the manifest has all of them."""
        skipped = (f"{SOURCE}/", "config/tasks/", "config/tools/", "workflow/", "profiles/", "Snakefile")
        return [name for name in self.digests if not name.startswith(skipped)]

    def _file(self, name: str) -> Entity:
        suffix = name[name.rfind(".") :] if "." in name else ""
        media, page, label = _FORMATS.get(suffix, _PLAIN)
        self._entity(page, "WebSite", name=label, url=page)
        digest = self.digests[name]
        properties: dict[str, object] = {
            "name": name.rsplit("/", 1)[-1],
            "encodingFormat": [media, {"@id": page}],
            "contentSize": str(digest.bytes),
            "sha256": digest.sha256,
        }
        if name in _DESCRIBED:
            properties["description"] = _DESCRIBED[name]
        if name == README:
            properties["about"] = {"@id": "./"}
        return self.crate.add(File(self.crate, dest_path=name, properties=properties))

    def _referenced(self) -> None:
        """Corpora and weights: named with checksum and licence, not included."""
        for item in self.facts.not_included:
            entity = self._entity(
                f"#{item.kind}-{item.id}", "CreativeWork", name=item.id,
                description=f"{item.kind} that the run used, not included, but fixed: {item.pin}",
                **{key: value for key in ("version", "license", "url") if (value := getattr(item, key))},
            )  # fmt: skip
            self.crate.root_dataset.append_to("mentions", entity)

    def _workflow(self) -> Entity:
        language = self._entity(
            "https://w3id.org/workflowhub/workflow-ro-crate#snakemake", "ComputerLanguage", name="Snakemake",
            url={"@id": SNAKEMAKE}, identifier={"@id": SNAKEMAKE},
        )  # fmt: skip
        digest = self.digests["Snakefile"]
        license_id = "https://spdx.org/licenses/MIT"
        self._entity(license_id, "CreativeWork", name="MIT", description="MIT License", url=license_id)
        page = _PLAIN[1]
        self._entity(page, "WebSite", name=_PLAIN[2], url=page)
        workflow = ComputationalWorkflow(
            self.crate,
            dest_path="Snakefile",
            properties={
                "@type": ["File", "SoftwareSourceCode", "ComputationalWorkflow", "HowTo"],
                "conformsTo": {"@id": "https://bioschemas.org/profiles/ComputationalWorkflow/1.0-RELEASE"},
                "name": str(self.citation.get("title", "AI Development Tools Benchmark")),
                "description": "From settings, tasks and tools to prompts, samples, tables and report",
                "url": PROJECT,
                "version": self.facts.package_version,
                "license": {"@id": license_id},
                "creator": self.organisation,
                "programmingLanguage": language,
                "encodingFormat": [_PLAIN[0], {"@id": page}],
                "contentSize": str(digest.bytes),
                "sha256": digest.sha256,
            },
        )
        self.crate.add(workflow)
        self._entity(
            "https://bioschemas.org/profiles/ComputationalWorkflow/1.0-RELEASE", "CreativeWork",
            name="Bioschemas ComputationalWorkflow", version="1.0-RELEASE",
        )  # fmt: skip
        self.crate.mainEntity = workflow
        return workflow

    def _run(self, workflow: Entity) -> None:
        """The run as an action of the workflow, and its parts whose times are known."""
        facts = self.facts
        tools = {
            "ask": self._tool(
                "ask", "Ask a model all questions of a task", f"{SOURCE}/benchmark/execution/block_job.py"
            ),
            "render": self._tool("render", "Derive tables and render the report", "workflow/rules/report.smk"),
        }
        steps = {
            key: self._entity(f"Snakefile#{key}", "HowToStep", position=str(place), workExample=tool, name=tool["name"])
            for place, (key, tool) in enumerate(tools.items(), start=1)
        }
        workflow["hasPart"] = list(tools.values())
        self._subjects()
        workflow["step"] = list(steps.values())
        prompts = [name for name in self.digests if name.startswith("results/prompts/")]
        outcome = [name for name in self.digests if name.startswith((f"{RECORDED}/report/", f"{RECORDED}/tables/"))]
        blocks = [block.file for block in facts.blocks]
        plans = [name for name in self.digests if name.endswith("/plans.jsonl")]
        workflow["input"] = [self._parameter("settings", [CONFIG]), self._parameter("plans", plans),
                             self._parameter("prompts", prompts)]  # fmt: skip
        workflow["output"] = [self._parameter("samples", blocks), self._parameter("report", outcome)]
        run = self._action("#run", f"Benchmark run {facts.profile}", workflow, facts.started_at, facts.rendered_at,
                           [CONFIG, *plans, *prompts], [*blocks, *outcome],
                           f"{plural(facts.samples, 'sample')}, of which {facts.statuses}")  # fmt: skip
        asked = [
            self._action(f"#ask-{number}", f"Ask {block.model}: {block.task}", tools["ask"], block.started_at,
                         block.ended_at, [f"results/prompts/{block.task}.jsonl"], [block.file],
                         f"{plural(block.samples, 'sample')}, {block.failed} without a complete answer")
            for number, block in enumerate(facts.blocks)
        ]  # fmt: skip
        rendered = self._action("#render", "Tables and report", tools["render"], None, facts.rendered_at,
                                [*blocks, *prompts, *plans], outcome, "Derived from the samples")  # fmt: skip
        controls = [
            self._entity(f"#control-{number}", "ControlAction", instrument=steps["ask"], object=action, name="ask")
            for number, action in enumerate(asked)
        ]
        controls.append(
            self._entity("#control-render", "ControlAction", instrument=steps["render"], object=rendered, name="render")
        )
        engine = self._software(SNAKEMAKE, "Snakemake", facts.software.get("snakemake", "unknown"), SNAKEMAKE)
        self._entity("#organise", "OrganizeAction", name="Snakemake runs the workflow", instrument=engine,
                     agent=self.agent, object=controls, result=run, startTime=_time(facts.started_at),
                     endTime=_time(facts.rendered_at))  # fmt: skip
        self.crate.root_dataset.append_to("mentions", [run, *asked, rendered])

    def _tool(self, key: str, name: str, where: str) -> Entity:
        return self._software(f"{PROJECT}#{key}", name, self.facts.package_version, f"{PROJECT}/blob/main/{where}")

    def _subjects(self) -> None:
        """The tools under test and the models: software that the run was about."""
        found = []
        for tool in self.facts.tools:
            url = tool.homepage or f"{PROJECT}#tool-{tool.id}"
            entity = self._software(f"{url}#{tool.id}", tool.id, ", ".join(tool.versions) or "unknown", url)
            entity["description"] = tool.description or "a tool under test"
            found.append(entity)
        for model in self.facts.models:
            digests = ", ".join(model.digests) or "unknown"
            entity = self._software(f"{PROJECT}#model-{model.tag}", model.tag, digests, PROJECT)
            entity["description"] = "a language model, served by " + ", ".join(
                f"{server.kind} {server.version}" for server in model.endpoints
            )
            found.append(entity)
        if found:
            self.crate.root_dataset.append_to("mentions", found)

    def _software(self, identifier: str, name: str, version: str, url: str) -> Entity:
        return self._entity(identifier, "SoftwareApplication", name=name, softwareVersion=version, url=url)

    def _parameter(self, name: str, files: Iterable[str]) -> Entity:
        entity = self._entity(
            f"Snakefile#parameter-{name}", "FormalParameter", name=name, additionalType="File",
            conformsTo={"@id": "https://bioschemas.org/profiles/FormalParameter/1.0-RELEASE"},
        )  # fmt: skip
        self._entity(
            "https://bioschemas.org/profiles/FormalParameter/1.0-RELEASE", "CreativeWork",
            name="Bioschemas FormalParameter", version="1.0-RELEASE",
        )  # fmt: skip
        for file in files:
            found = self.crate.dereference(file)
            entity.append_to("workExample", found)
            found.append_to("exampleOfWork", entity)
        return entity

    def _action(
        self,
        identifier: str,
        name: str,
        instrument: Entity,
        start: str | None,
        end: str,
        inputs: list[str],
        outputs: list[str],
        text: str,
    ) -> Entity:
        times = {"endTime": _time(end)} | ({"startTime": _time(start)} if start else {})
        return self._entity(
            identifier, "CreateAction", name=name, description=text, instrument=instrument, agent=self.agent,
            actionStatus=COMPLETED, object=[self.crate.dereference(file) for file in inputs if file in self.digests],
            result=[self.crate.dereference(file) for file in outputs], **times,
        )  # fmt: skip

    def _entity(self, identifier: str, kind: str, /, **properties: object) -> Entity:
        known = self.crate.dereference(identifier)
        if known is not None:
            return known
        return self.crate.add(ContextEntity(self.crate, identifier, properties={"@type": kind, **properties}))


def entity_ids(metadata: bytes) -> list[str]:
    """Ids of the files that a crate's metadata describes.

    Raises ValueError, KeyError or TypeError on anything else.
    """
    graph = json.loads(metadata)["@graph"]
    kinds = {unquote(item["@id"]): item["@type"] for item in graph}
    return [
        key for key, kind in kinds.items() if "File" in (kind if isinstance(kind, list) else [kind]) and key != CRATE
    ]
