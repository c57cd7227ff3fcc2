"""From a finished run to its archive: the same run gives the same bytes.

Nothing depends on when you archive: every time is one that the run recorded. Members are written one after the
other in pieces, so that memory does not grow with the run.
"""

from __future__ import annotations

import hashlib
import importlib.resources
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import msgspec
import yaml

from ai_dev_tools.benchmark._util.credentials import without_passwords
from ai_dev_tools.benchmark._util.json_values import Json, table_in
from ai_dev_tools.benchmark.archive.container import ArchiveError, Digest, Member, new_archive
from ai_dev_tools.benchmark.archive.crate import crate_metadata
from ai_dev_tools.benchmark.archive.facts import block_facts, gather, tool_about, tool_facts
from ai_dev_tools.benchmark.archive.layout import (
    CONFIG,
    CRATE,
    FORMAT,
    MANIFEST,
    README,
    RECORDED,
    RUN,
    SOURCE,
    Manifest,
    ManifestEntry,
    NotIncluded,
    RunFacts,
    StageDigests,
    stage_files,
    without_section,
)
from ai_dev_tools.benchmark.archive.members import ROOT_FILES
from ai_dev_tools.benchmark.archive.program import package_files
from ai_dev_tools.benchmark.archive.publication import readme, zenodo
from ai_dev_tools.benchmark.config.parsing import read_yaml
from ai_dev_tools.benchmark.config.shipped_files import find_catalogue
from ai_dev_tools.benchmark.endpoints.embedded.catalogue import CatalogueModel, load_catalogue, lookup
from ai_dev_tools.benchmark.errors import ConfigurationError
from ai_dev_tools.benchmark.execution.provenance import without_secrets
from ai_dev_tools.benchmark.plugins import is_file_name
from ai_dev_tools.benchmark.prompts.tool_spec import companions
from ai_dev_tools.benchmark.records import paths
from ai_dev_tools.benchmark.records.about import Subject
from ai_dev_tools.benchmark.records.archive_names import plugin_member
from ai_dev_tools.benchmark.records.plan import read_plans
from ai_dev_tools.benchmark.tasks.corpus_files import listing_of
from ai_dev_tools.benchmark.tasks.receipts import read_receipt

REPORT_FILES = "config/report"
"""Where custom notebooks and templates go."""
FREE_LICENCES = (
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "MIT",
    "MPL-2.0",
    "PSF-2.0",
    "Python-2.0",
    "Unlicense",
)
"""Licences that allow passing on files unchanged; corpora with other licences are only referenced."""


def build_archive(subject: Subject, root: Path, output: Path) -> None:
    """Write the archive of a finished run.

    Args:
        root: the workflow's folder.
        output: where the archive goes.

    Raises:
        ConfigurationError: the run is not finished, or one of its files is damaged or cannot be read.
    """
    if subject.profile.endswith(paths.REPLAY):
        raise ConfigurationError(
            f"{subject.profile} only replays a recorded run",
            remedy="Archive the run itself: leave endpoint=replay out",
        )
    ledger = [entry.plan for entry in read_plans(root / paths.PLANS.format(profile=subject.profile))]
    if subject.plan not in ledger:
        raise ConfigurationError(
            f"no run of {subject.profile} was asked with these settings: its ledger has no plan {subject.plan}",
            remedy="Archive it with the settings that it was run with (tasks, samples, approaches, models)",
        )
    collection = _RunFiles(subject, root)
    members = collection.members()
    facts = collection.facts()
    members += [
        Member(RUN, msgspec.json.format(msgspec.json.encode(facts), indent=1) + b"\n"),
        Member(README, readme(facts, output.name).encode()),
        Member(".zenodo.json", zenodo(facts, collection.citation)),
    ]
    with new_archive(output) as writer:
        for member in _sorted(members):
            writer.add(member)
        writer.add(Member(CRATE, crate_metadata(facts, writer.digests, collection.citation)))
        writer.add(Member(MANIFEST, _manifest(facts, writer.digests)))


def _sorted(members: Iterable[Member]) -> list[Member]:
    found: dict[str, Member] = {}
    for member in members:
        if found.get(member.name, member) != member:
            raise ConfigurationError(f"two files of the run would both be {member.name} in the archive")
        found[member.name] = member
    return [found[name] for name in sorted(found)]


def _manifest(facts: RunFacts, digests: Mapping[str, Digest]) -> bytes:
    files = {name: ManifestEntry(digest.sha256, digest.bytes) for name, digest in sorted(digests.items())}
    manifest = Manifest(
        format=FORMAT, profile=facts.profile, plan=facts.plan, chain=chain_of(files, facts.profile), files=files
    )
    return msgspec.json.format(msgspec.json.encode(manifest), indent=1) + b"\n"


def chain_of(files: dict[str, ManifestEntry], profile: str) -> StageDigests:
    """Each stage's digest, over its own files and over the stage that it was made from."""
    stages = stage_files(files, profile)
    made: dict[str, str] = {}
    origins = {"samples": ("prompts", "plans"), "tables": ("samples",), "report": ("tables",)}
    for stage in ("prompts", "plans", "samples", "tables", "report"):
        content = {name: entry.sha256 for name, entry in stages[stage].items()}
        parts = [sorted(content.items()), [made[origin] for origin in origins.get(stage, ())]]
        made[stage] = hashlib.sha256(json.dumps(parts).encode()).hexdigest()
    return StageDigests(**made)


class _RunFiles:
    """The files of a run and their names in its archive."""

    def __init__(self, subject: Subject, root: Path) -> None:
        self.subject, self.root = subject, root
        self.run = root / paths.RUN.format(profile=subject.profile)
        self.home = root / subject.home
        file = self.home / "CITATION.cff"
        self.citation = dict(table_in(read_yaml(file))) if file.exists() else {}
        self.corpora = [read_receipt(root / paths.CORPUS_RECEIPT.format(corpus=name)) for name in subject.corpora]
        self.included = set(subject.config.get("archive", {}).get("include", []))

    def facts(self) -> RunFacts:
        """What run.json says."""
        names = [name for name in self.subject.blocks if (self.root / name).exists()]
        contexts = [path for name in self.subject.contexts if (path := self.root / name).exists()]
        blocks = block_facts(self.root, names)
        about = {tool: tool_about(tool, read_yaml(self.root / file)) for tool, file in self.subject.tools.items()}
        return gather(self.root, self.subject.profile, self.subject.plan, self.subject.config, blocks,
                      tool_facts(contexts, about), self._not_included(), self.corpora)  # fmt: skip

    def members(self) -> list[Member]:
        """Everything except what is made only for the archive, unsorted."""
        return [*self._workflow(), *self._settings(), *self._results()]

    def _name(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix()

    def _workflow(self) -> Iterator[Member]:
        yield Member("Snakefile", self.home / "Snakefile")
        yield from _tree(self.home / "workflow", "workflow")
        yield from _tree(self.home / "profiles" / "default", "profiles/default")
        yield Member(paths.NOTEBOOK, self.home / paths.NOTEBOOK)
        package = Path(str(importlib.resources.files("ai_dev_tools")))
        yield from _tree(package, SOURCE)
        for name in ROOT_FILES:
            if (self.home / name).exists():
                yield Member(name, self.home / name)
        if (self.home / "pyproject.toml").exists():
            text = (self.home / "pyproject.toml").read_text(encoding="utf-8")
            yield Member("pyproject.toml", without_section(text).encode())

    def _settings(self) -> Iterator[Member]:
        settings = json.loads(json.dumps(self.subject.config))
        plugins = list(dict.fromkeys([*settings.get("plugins", []), *filter(None, [settings.get("endpoint_file")])]))
        members = {name: plugin_member(place, name) for place, name in enumerate(plugins) if is_file_name(name)}
        settings |= {"source": "samples", "task_folders": [], "tool_folders": [], "endpoint_file": None,
                     "plugins": [members.get(name, name) for name in plugins]}  # fmt: skip
        server = settings.get("server", {})
        server["environment"] = without_secrets(server.get("environment", {}))
        report = settings.get("report", {})
        own = [Path(file) for file in (report.get("notebook", paths.NOTEBOOK), *report.get("templates", []))]
        if own[0] == Path(paths.NOTEBOOK):
            own.pop(0)
        else:
            report["notebook"] = f"{REPORT_FILES}/{own[0].name}"
        report["templates"] = [f"{REPORT_FILES}/{Path(file).name}" for file in report.get("templates", [])]
        yield Member(CONFIG, without_passwords(yaml.safe_dump(settings, sort_keys=True, allow_unicode=True)).encode())
        for file in own:
            yield Member(f"{REPORT_FILES}/{file.name}", self.root / file)
        for name, member in members.items():
            yield Member(member, self.root / name)
        for task, folder in self.subject.tasks.items():
            yield from _tree(self.root / folder, f"{paths.TASKS}/{task}")
            for extra in map(Path, self.subject.task_files.get(task, [])):
                if not (self.root / extra).resolve().is_relative_to((self.root / folder).resolve()):
                    yield Member(extra.as_posix(), self.root / extra)
        for file in map(Path, self.subject.tools.values()):
            for path in (self.root / file, *filter(_is_seen, companions(self.root / file))):
                yield Member(f"{paths.TOOLS}/{path.relative_to((self.root / file).parent).as_posix()}", path)

    def _results(self) -> Iterator[Member]:
        profile, run = self.subject.profile, self.run
        for name in self.subject.contexts:
            if (self.root / name).exists():
                yield Member(name, self.root / name)
        for task in self.subject.tasks:
            name = paths.PROMPTS.format(task=task)
            yield Member(name, self.root / name)
        yield Member(paths.PLANS.format(profile=profile), run / "plans.jsonl")
        about = json.dumps(self.subject.about.plain(), indent=1, ensure_ascii=False)
        yield Member(paths.ABOUT.format(profile=profile), without_passwords(f"{about}\n").encode())
        for block in map(Path, self.subject.blocks):
            identity = f"{paths.IDENTITY}/{block.parent.name}/{block.stem}.json".format(profile=profile)
            for name in (block.as_posix(), identity):
                if (self.root / name).exists():
                    yield Member(name, self.root / name)
        yield from _tree(run / "logs", f"results/{profile}/logs")
        for folder in ("tables", "figures", "report"):
            yield from _tree(run / folder, f"{RECORDED}/{folder}")
        yield from self._logs()
        for name, receipt in zip(self.subject.corpora, self.corpora, strict=True):
            if receipt:
                yield Member(paths.CORPUS_RECEIPT.format(corpus=name),
                             self.root / paths.CORPUS_RECEIPT.format(corpus=name))  # fmt: skip
            if self._may_include(receipt):
                yield from _tree(self.root / paths.CORPORA_FOLDER / name, f"{paths.CORPORA_FOLDER}/{name}")
                if (listing := listing_of(self.root / paths.CORPORA_FOLDER / name)).exists():
                    yield Member(f"{paths.CORPORA_FOLDER}/{listing.name}", listing)
        for model in self._embedded_models() if "weights" in self.included else ():
            if (self.root / model.path).exists():
                yield Member(model.path.as_posix(), self.root / model.path)

    def _logs(self) -> Iterator[Member]:
        """Logs of the jobs of this run.

        Those of archiving itself are left out, because they would make two archives differ.
        """
        tasks, tools, corpora = set(self.subject.tasks), set(self.subject.tools), set(self.subject.corpora)
        named = {
            "fetch_corpus": corpora, "collect_contexts": tasks, "prepare_workspaces": tasks, "render_prompts": tasks,
            "check_prepared": tools, "fetch_repository": set(self.subject.repositories),
            "fetch_weights": {model.path.stem for model in self._embedded_models()},
        }  # fmt: skip
        for path in sorted((self.root / paths.LOGS).glob("*.*.log")):
            rule, name = path.name.removesuffix(".log").split(".", 1)
            known = named.get(rule, {self.subject.profile})
            if rule != "archive_run" and (name in known or name.split(".")[0] in known):
                yield Member(self._name(path), path)

    def _may_include(self, receipt: Mapping[str, Json]) -> bool:
        free = any(name in FREE_LICENCES for name in str(receipt.get("license")).split(" OR "))
        return bool("corpora" in self.included and receipt.get("available") and free)

    def _not_included(self) -> list[NotIncluded]:
        found = [
            NotIncluded(
                kind="corpus",
                id=str(receipt.get("corpus")),
                sha256=receipt.get("sha256"),
                version=receipt.get("version"),
                license=receipt.get("license"),
                url=receipt.get("homepage"),
            )
            for receipt in self.corpora
            if receipt and not self._may_include(receipt)
        ]
        return found + [
            NotIncluded(
                kind="weights", id=model.path.stem, sha256=model.sha256, license=model.license, url=model.homepage
            )
            for model in self._embedded_models()
            if not ("weights" in self.included and (self.root / model.path).exists())
        ]

    def _embedded_models(self) -> list[CatalogueModel]:
        """Models of the run that the embedded endpoint served from the catalogue."""
        embedded = [instance for instance in self.subject.about.instances if instance.get("endpoint") == "embedded"]
        served = {str(instance.get("model")) for instance in embedded if not instance.get("file")}
        wanted = served.intersection(self.subject.about.models or served)
        catalogue = load_catalogue(find_catalogue(self.root)) if wanted else {}
        return [model for tag in sorted(wanted) if (model := lookup(tag, catalogue))]


def _is_seen(path: Path) -> bool:
    return not path.name.startswith(".") and path.suffix != ".pyc"


def _tree(folder: Path, name: str) -> Iterator[Member]:
    """Every file below a folder; caches and hidden files are left out.

    Raises:
        ArchiveError: a link leads out of the folder.
    """
    for path in package_files(folder):
        if not path.resolve().is_relative_to(folder.resolve()):
            raise ArchiveError(f"{path} is a link to a file elsewhere", remedy="Put the file itself there")
        yield Member(f"{name}/{path.relative_to(folder).as_posix()}", path)
