"""A finished run in a folder of its own, made without Snakemake and without asking a model: for tests of archives."""

from __future__ import annotations

import importlib.resources
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from ai_dev_tools.benchmark.analysis.tables import write_tables
from ai_dev_tools.benchmark.archive import Subject, build_archive
from ai_dev_tools.benchmark.archive.build import chain_of
from ai_dev_tools.benchmark.archive.container import Archive, Digest, Member, new_archive, open_archive
from ai_dev_tools.benchmark.archive.crate import crate_metadata
from ai_dev_tools.benchmark.archive.layout import CRATE, MANIFEST, Manifest, ManifestEntry, RunFacts
from ai_dev_tools.benchmark.config.models import load_config
from ai_dev_tools.benchmark.config.shipped_files import CHECKOUT
from ai_dev_tools.benchmark.execution.request import digest_of
from ai_dev_tools.benchmark.planning.experiment import Experiment
from ai_dev_tools.benchmark.planning.opening import open_experiment
from ai_dev_tools.benchmark.plugins import is_agent
from ai_dev_tools.benchmark.prompts import Prompt, write_prompts
from ai_dev_tools.benchmark.records import paths
from ai_dev_tools.benchmark.records.block import PROTOCOL, Block, cells, request_options
from ai_dev_tools.benchmark.records.episode import Turn
from ai_dev_tools.benchmark.records.plan import declare_plan
from ai_dev_tools.benchmark.records.sample import Attempt, EndpointIdentity, Request, Sample, write_block
from ai_dev_tools.benchmark.reporting.machine import ReportOrigin, software
from ai_dev_tools.benchmark.reporting.render import Inputs, render_without_kernel
from ai_dev_tools.benchmark.tasks.scoring import score_answer
from support import making
from support.episodes import episode_prompt

PROFILE = "light"
BLOCK = f"results/{PROFILE}/blocks/fake-1b/colours.jsonl"
PROMPTS = "results/prompts/colours.jsonl"
MODEL = "fake:1b"
HARDWARE = {"cpu": "Test CPU", "cores": 2, "ram_bytes": 8 << 30, "gpus": []}
Change = Callable[[Sample], Sample]


@dataclass
class Recorded:
    """A workflow folder with one finished run in it."""

    root: Path
    experiment: Experiment

    @property
    def run(self) -> Path:
        return self.root / "results" / PROFILE

    @property
    def subject(self) -> Subject:
        return self.experiment.archived(PROFILE)

    def archive(self, name: str = "run.crate.zip") -> Path:
        """The run's archive, beside its folder."""
        build_archive(self.subject, self.root, self.root.parent / name)
        return self.root.parent / name


def record_run(
    root: Path,
    monkeypatch: pytest.MonkeyPatch | None = None,
    *,
    cases: int = 7,
    samples: int = 7,
    change: Change = lambda sample: sample,
    question: str = "Which colour is it?",
    hardware: dict[str, Any] = HARDWARE,
    stream: bool = False,
    **settings: Any,
) -> Recorded:
    """Make a run of the task `colours`, whose samples say what requests of this project would say.

    Args:
        monkeypatch: to have a stand-in of three lines for the package's source in archives, which keeps them small.
        change: alters each sample.
        stream: write blocks sample by sample, for large runs.
    """
    names = [f"case{number}" for number in range(cases)]
    making.write_task(root / "config" / "tasks", *(making.case(name) for name in names), tools=[], question=question)
    _write_workflow(root)
    config = load_config(
        {
            "profile": PROFILE,
            "tasks": "all",
            "samples": samples,
            "profiles": {PROFILE: {"instances": {"small": {"model": MODEL}}, "endpoint": "external"}},
            **settings,
        }
    )
    recorded = Recorded(root, open_experiment(config, root))
    if monkeypatch:
        small_package(root.parent / "package", monkeypatch)
    block = recorded.experiment.block(PROFILE, paths.safe_model(MODEL), "colours")
    prompts = {
        (name, arm): episode_prompt(name, arm)
        if is_agent(arm)
        else making.prompt(name, arm, f"{question} {name} {arm} " * 20)
        for name in names
        for arm in block.approaches
    }
    write_prompts(root / paths.PROMPTS.format(task="colours"), prompts.values())
    declare_plan(recorded.run / "plans.jsonl", recorded.experiment.plan(PROFILE))
    _write_samples(recorded, block, prompts, change, stream)
    identity = {"sessions": [{"session": "s", "hardware": hardware}]}
    _write(paths.identity_file(recorded.run, MODEL, "colours"), json.dumps(identity))
    _write_derived(recorded)
    return recorded


def _write_workflow(root: Path) -> None:
    (root / "config" / "tools").mkdir(parents=True)
    for name in ("Snakefile", "notebooks/report.ipynb", "LICENSE", "profiles/default/config.yaml"):
        _write(root / name, (CHECKOUT / name).read_text())
    shutil.copytree(CHECKOUT / "workflow", root / "workflow", ignore=shutil.ignore_patterns("__pycache__"))
    _write(root / "CITATION.cff", yaml.safe_dump({"title": "AI Development Tools Benchmark"}))


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def small_package(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have archives hold a package of one line instead of this one."""
    _write(folder / "__init__.py", "# stands for the package\n")
    real = importlib.resources.files
    monkeypatch.setattr(importlib.resources, "files", lambda name: folder if name == "ai_dev_tools" else real(name))


def _write_samples(
    recorded: Recorded, block: Block, prompts: dict[tuple[str, str], Prompt], change: Change, stream: bool
) -> None:
    path = recorded.root / paths.BLOCK.format(profile=PROFILE, model=paths.safe_model(MODEL), task="colours")
    made = (change(_sample(block, cell, prompts[cell.case, cell.approach])) for cell in cells(block))
    path.parent.mkdir(parents=True)
    if not stream:
        write_block(path, made)
        return
    from ai_dev_tools.benchmark.records.sample import encode

    with open(path, "wb") as file:
        file.writelines(encode(sample) + b"\n" for sample in made)


def _sample(block: Block, cell: Any, prompt: Prompt) -> Sample:
    right = (cell.sample + len(cell.approach)) % 3 != 0 and cell.approach != "no_context"
    answer = {"colour": "red" if right else "green"}
    tokens = {"baseline": 1000, "tools": 500}.get(cell.approach, 200) + cell.seed % 100
    started = f"2026-01-02T{8 + cell.order // 3600 % 12:02d}:{cell.order // 60 % 60:02d}:{cell.order % 60:02d}Z"
    seconds = tokens / 1000 + cell.order % 7 / 10
    return making.sample(
        task=block.task, case=cell.case, cluster=cell.case, approach=cell.approach, sample=cell.sample,
        repeat=cell.repeat, seed=cell.seed, order=cell.order, answer=answer, response=json.dumps(answer),
        score=score_answer(answer, prompt.truth, prompt.scoring), input_tokens=tokens, total_tokens=tokens + 10,
        duration_s=seconds, started_at=started, attempts=[Attempt(started, seconds)], plan=block.plan,
        request=Request(digest_of(block, cell, prompt), prompt.prompt_sha256, request_options(block, cell), PROTOCOL),
        turns=_turns(tokens, answer) if prompt.episode else [], limits=prompt.episode.limits if prompt.episode else None,
        endpoint=EndpointIdentity("external", "0.0.0-fake"),
    )  # fmt: skip


def _turns(tokens: int, answer: object) -> list[Turn]:
    first = Turn(input_tokens=tokens // 3, output_tokens=5, action="list_files", arguments='{"path":""}', result="a.py")
    last = Turn(input_tokens=tokens - tokens // 3, output_tokens=5, action="answer", text=json.dumps(answer))
    return [first, last]


def _write_derived(recorded: Recorded) -> None:
    """Tables, report and figures as the workflow makes them."""
    run, config = recorded.run, recorded.experiment.config
    (run / "tables").mkdir()
    outputs = {name: run / "tables" / Path(file).name for name, file in paths.TABLE_FILES.items()}
    write_tables(
        blocks=sorted((run / "blocks").glob("*/*.jsonl")),
        prompts=[recorded.root / paths.PROMPTS.format(task="colours")],
        plans=run / "plans.jsonl",
        outputs=outputs,
        reference=config.plan.reference,
        thresholds=config.validity.model_dump(),
    )
    blocks, prompts = sorted((run / "blocks").glob("*/*.jsonl")), [recorded.root / paths.PROMPTS.format(task="colours")]
    about = recorded.experiment.about(PROFILE)
    inputs = Inputs(run / "tables", recorded.root / paths.NOTEBOOK, run / "plans.jsonl", blocks, prompts, about)
    made = ReportOrigin("2026-01-03 09:00:00 UTC", software(), "Test CPU")
    render_without_kernel(inputs, run / "report", run / "figures", made)


def forge(archive: Path, output: Path, change: dict[str, Callable[[bytes], bytes]]) -> Path:
    """A copy with changed members whose checksums, chain, crate and seal were all redone, as a careful forger would.

    Args:
        change: by member name, what becomes of its content; names that are new become members.
    """
    with open_archive(archive) as source, new_archive(output) as writer:
        old = msgspec.json.decode(source.read(MANIFEST), type=Manifest)
        changed = {name: change.get(name, bytes)(_content(source, name)) for name in source.members}
        changed |= {name: make(b"") for name, make in change.items() if name not in changed}
        for name in sorted(changed.keys() - {CRATE, MANIFEST}):
            writer.add(Member(name, changed[name]))
        crate = changed[CRATE] if CRATE in change else _crate(changed, writer.digests)
        writer.add(Member(CRATE, crate))
        files = {name: ManifestEntry(digest.sha256, digest.bytes) for name, digest in writer.digests.items()}
        new = msgspec.structs.replace(old, files=files, chain=chain_of(files, old.profile))
        writer.add(Member(MANIFEST, change.get(MANIFEST, bytes)(msgspec.json.encode(new))))
    return output


def flipped(data: bytes) -> bytes:
    """The bytes of an archive with one bit changed near their end."""
    return data[:-200] + bytes([data[-200] ^ 4]) + data[-199:]


def _crate(changed: dict[str, bytes], digests: dict[str, Digest]) -> bytes:
    """The metadata of what was changed; the old one where nothing can be made of that."""
    try:
        facts = msgspec.json.decode(changed["run.json"], type=RunFacts)
        return crate_metadata(facts, digests, yaml.safe_load(changed["CITATION.cff"]))
    except (msgspec.MsgspecError, ValueError, KeyError, AttributeError, RecursionError):
        return changed[CRATE]


def _content(archive: Archive, name: str) -> bytes:
    return b"".join(archive.pieces(name))
