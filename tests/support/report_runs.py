"""Runs for tests of the report: real sample records, prompts, plans and tables, made without asking a model."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ai_dev_tools.benchmark.analysis.tables import write_tables
from ai_dev_tools.benchmark.comparison.run import StoredRun, open_run
from ai_dev_tools.benchmark.plugins import AGENT_FLOOR, agent_tool_of, is_agent, reference_for
from ai_dev_tools.benchmark.prompts import Prompt, write_prompts
from ai_dev_tools.benchmark.records.about import RunAbout
from ai_dev_tools.benchmark.records.episode import EpisodeLimits, Turn
from ai_dev_tools.benchmark.records.paths import TABLE_FILES
from ai_dev_tools.benchmark.records.plan import Plan
from ai_dev_tools.benchmark.records.sample import (
    Attempt,
    EndpointIdentity,
    Request,
    Resources,
    Sample,
    SampleError,
    write_block,
)
from ai_dev_tools.benchmark.reporting.build import SCHEMA_VERSION, build_report
from ai_dev_tools.benchmark.reporting.data import is_claimed, read_run
from ai_dev_tools.benchmark.reporting.document import InShort, Notice, Report
from ai_dev_tools.benchmark.reporting.formats import console, junit, markdown, structured
from ai_dev_tools.benchmark.reporting.notebook import open_report
from ai_dev_tools.benchmark.reporting.render import Inputs
from support.repository import ROOT

NOTEBOOK = ROOT / "notebooks" / "report.ipynb"
SCORING = [{"field": "risk", "scorer": "choice", "weight": 1}, {"field": "names", "scorer": "set_f1", "weight": 2}]
TRUTH = {"risk": "HIGH", "names": ["load", "save"]}
Change = Callable[[Sample], Sample | None]


@dataclass(frozen=True)
class Run:
    """A results folder of one profile."""

    folder: Path
    about: RunAbout

    @property
    def inputs(self) -> Inputs:
        return Inputs(
            tables=self.folder / "tables",
            notebook=NOTEBOOK,
            plans=self.folder / "plans.jsonl",
            blocks=sorted((self.folder / "blocks").glob("*/*.jsonl")),
            prompts=sorted((self.folder / "prompts").glob("*.jsonl")),
            about=self.about,
        )


def make_run(
    folder: Path,
    *,
    models: tuple[str, ...] = ("llama3.2:1b",),
    tasks: tuple[str, ...] = ("safety_assessment", "repo_analysis"),
    approaches: tuple[str, ...] = ("baseline", "tools", "no_context"),
    samples: int = 8,
    ratio: float = 0.6,
    profile: str = "light",
    response: str | None = None,
    change: Change = lambda sample: sample,
    seed: int = 0,
    reference: str = "baseline",
    ratios: dict[str, float] | None = None,
    tables: bool = True,
    outcomes: tuple[str, ...] = ("tokens", "time"),
) -> Run:
    """Write blocks, prompts, plan and all tables.

    Args:
        ratio: true token ratio of the tools arm; `ratios` those of the arms of named tools.
        response: what the model answers every time; by default something near the truth.
        change: alters each sample, or drops it by returning None.
        reference: the arm that the claims of the plan compare with.
        tables: whether they are made; that is most of the work.
        outcomes: what the plan claims.
    """
    rng = np.random.default_rng(seed)
    plan = Plan.from_content(_plan(profile, models, tasks, approaches, samples, reference, outcomes))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "plans.jsonl").write_text(
        json.dumps({"plan": plan.digest, "declared_at": "2026-01-01T00:00:00Z", "previous": None, **plan.content()})
        + "\n"
    )
    for task in tasks:
        (folder / "prompts").mkdir(exist_ok=True)
        write_prompts(
            folder / "prompts" / f"{task}.jsonl",
            (_prompt(task, f"case{c}", a) for c in range(samples) for a in approaches),
        )
    clock = pd.Timestamp("2026-01-02T08:00:00Z").timestamp()
    shares = {"tools": ratio, "no_context": 0.15, **(ratios or {})}
    for model in models:
        for task in tasks:
            made = []
            for sample in _samples(
                profile, model, task, approaches, samples, shares, response, plan.digest, rng, clock
            ):
                clock += sample.duration_s or 0
                if (kept := change(sample)) is not None:
                    made.append(kept)
            path = folder / "blocks" / model.replace(":", "-") / f"{task}.jsonl"
            path.parent.mkdir(parents=True, exist_ok=True)
            write_block(path, made)
    run = Run(folder, _about(profile, models, tasks, approaches, samples))
    if tables:
        make_tables(run, reference)
    return run


def make_stored(folder: Path, name: str, **settings: Any) -> StoredRun:
    """A small run of this name, as comparisons read it."""
    make_run(folder / name, profile=name, **{"tasks": ("repo_analysis",), "samples": 3, **settings})
    return open_run(folder / name)


def with_identity(run: Run, cpu: str, sizes: dict[str, str], **model: Any) -> None:
    """Write what block jobs would have recorded of the machine and of each model; `sizes` as a server states them."""
    hardware = {"cpu": cpu, "cores": 8, "ram_bytes": 2**35, "gpus": [], "os": "Linux 6"}
    for tag, size in sizes.items():
        file = run.folder / "identity" / tag.replace(":", "-") / f"{next(iter(run.about.tasks))}.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        asked = {"options": {"temperature": 0.0, "num_ctx": 8192}, "think": False}
        about = {"tag": tag, "parameter_size": size, "quantization": "Q4_K_M", "offload_share": 0.0, **model}
        session = {
            "session": "s1",
            "hardware": hardware,
            "model": about,
            "asked": asked,
            "server_on_this_machine": True,
        }
        file.write_text(json.dumps({"sessions": [session]}))


def make_tables(run: Run, reference: str = "baseline", **thresholds: float) -> None:
    """All tables of a run, as the workflow makes them."""
    (run.folder / "tables").mkdir(exist_ok=True)
    outputs = {name: run.folder / "tables" / Path(file).name for name, file in TABLE_FILES.items()}
    write_tables(run.inputs.blocks, run.inputs.prompts, run.folder / "plans.jsonl", outputs, reference, thresholds)


def _plan(
    profile: str,
    models: tuple[str, ...],
    tasks: tuple[str, ...],
    approaches: tuple[str, ...],
    samples: int,
    reference: str,
    outcomes: tuple[str, ...],
) -> dict[str, Any]:
    return {
        "protocol": 1,
        "profile": profile,
        "models": list(models),
        "tasks": {task: [f"case{number}" for number in range(samples)] for task in tasks},
        "approaches": list(approaches),
        "samples": samples,
        "alpha": 0.05,
        "claims": [
            {"id": f"{end}:{arm}", "endpoint": end, "approach": arm, "reference": against, "margin_ratio": 0.95}
            for arm in approaches
            if is_claimed(arm) and arm != (against := reference_for(arm, reference)) and against in approaches
            for end in outcomes
        ],
        "quality": {"margin": 0.1, "task_veto": 0.2, "alpha": 0.05, "floor": "no_context"},
        "options": {"temperature": 0.0, "num_ctx": 8192, "num_predict": 512},
    }


def _about(
    profile: str, models: tuple[str, ...], tasks: tuple[str, ...], approaches: tuple[str, ...], samples: int
) -> RunAbout:
    return RunAbout(
        profile={"name": profile, "description": "a laptop"},
        models=list(models),
        tasks={task: task.replace("_", " ").title() for task in tasks},
        approaches={name: f"what {name} shows" for name in approaches},
        samples=samples,
        expected={task: samples * len(approaches) for task in tasks},
        execution_mode="async",
    )


def _prompt(task: str, case: str, approach: str) -> Prompt:
    text = f"## Context\n\n{approach} of {task}/{case}\n" + "x = 1\n" * 200
    return Prompt(
        task=task,
        case=case,
        cluster=case,
        size="S",
        approach=approach,
        prompt=text,
        prompt_sha256=hashlib.sha256(text.encode()).hexdigest(),
        answer_schema={"type": "object"},
        scoring=SCORING,
        truth=TRUTH,
        stratum="",
        tool_s=0.2 if approach.startswith("tools") else 0.0,
    )


def _samples(
    profile: str,
    model: str,
    task: str,
    approaches: tuple[str, ...],
    count: int,
    ratios: dict[str, float],
    response: str | None,
    plan: str,
    rng: np.random.Generator,
    clock: float,
) -> Iterator[Sample]:
    order = 0
    for number in range(count):
        size = float(np.exp(6.5 + rng.normal(0, 0.3)))
        for approach in approaches:
            share = ratios.get(approach, 1.0) * float(np.exp(rng.normal(0, 0.05)))
            tokens, written = int(size * share), int(rng.integers(30, 60))
            read_s, write_s = tokens / 300, written / 100
            good = approach not in ("no_context", AGENT_FLOOR)
            answer = {
                "risk": "HIGH" if good or number % 3 == 0 else "LOW",
                "names": ["load", "save"] if good and number % 4 else ["x"],
            }
            text = json.dumps(answer) if response is None else response
            score = (
                None
                if response is not None
                else (answer["risk"] == "HIGH") / 3 + 2 * (answer["names"] == ["load", "save"]) / 3
            )
            started = pd.Timestamp(clock, unit="s", tz="UTC").strftime("%Y-%m-%dT%H:%M:%S.%fZ")
            clock += read_s + write_s + 0.01
            yield Sample(
                profile=profile,
                instance="small",
                model=model,
                model_digest="d" * 64,
                task=task,
                case=f"case{number}",
                cluster=f"case{number}",
                size="S",
                approach=approach,
                sample=number,
                repeat=0,
                seed=number,
                status="completed",
                error=None,
                response=text,
                answer=answer if response is None else None,
                score=score if response is None else 0.0,
                input_tokens=tokens,
                output_tokens=written,
                total_tokens=tokens + written,
                duration_s=read_s + write_s + 0.01,
                time_to_first_token_s=read_s + 0.005,
                load_s=0.0,
                prompt_eval_s=read_s,
                eval_s=write_s,
                rest_s=0.01,
                tool_s=0.2 if approach.startswith("tools") else 0.0,
                prompt_cached_tokens=0,
                resources=Resources(
                    server_cpu_s=1.9 * (read_s + write_s), server_peak_rss_bytes=400_000_000, other_cpu_s=0.0
                ),
                plan=plan,
                done_reason="stop",
                attempts=[Attempt(started_at=started, duration_s=read_s + write_s + 0.01)],
                order=order,
                in_flight=1,
                session="s1",
                started_at=started,
                flags=[],
                request=Request(
                    digest=f"{model}{task}{number}{approach}",
                    prompt_sha256=_prompt(task, f"case{number}", approach).prompt_sha256,
                    options={"num_ctx": 8192, "num_predict": 512},
                    protocol=1,
                ),
                endpoint=EndpointIdentity(kind="external", version="0.9.0"),
                **(_episode(approach, tokens, written, text) if is_agent(approach) else {}),
            )
            order += 1


def _episode(approach: str, tokens: int, written: int, text: str) -> dict[str, Any]:
    """Two turns: a look, by the tool where there is one, and the answer."""
    by_tool, first = agent_tool_of(approach) is not None, tokens // 3
    look = Turn(
        input_tokens=first, output_tokens=5, action="lookup" if by_tool else "list_files", tool=by_tool, result="a.py"
    )
    last = Turn(input_tokens=tokens - first, output_tokens=written - 5, action="answer", text=text)
    return {"turns": [look, last], "limits": EpisodeLimits(), "tool_calls": 1 if by_tool else None}


def fail(sample: Sample, status: str = "failed", name: str = "connection", message: str = "refused") -> Sample:
    """The sample as it would be had the request failed."""
    sample.status = status  # type: ignore[assignment]
    sample.error = SampleError(name, message)
    sample.response = sample.answer = sample.score = None
    sample.input_tokens = sample.output_tokens = sample.total_tokens = None
    sample.time_to_first_token_s = sample.prompt_eval_s = sample.eval_s = sample.done_reason = None
    return sample


def report_of(run: Run) -> Report:
    """What the report of a run says."""
    return build_report(read_run(run.inputs.tables, run.about, run.inputs.plans))


def notices(report: Report) -> str:
    """All notices in one text."""
    return " ".join(block.text for _, block in report.blocks() if isinstance(block, Notice))


def in_short(report: Report) -> InShort:
    """The paragraph that the report begins with."""
    return next(block for _, block in report.blocks() if isinstance(block, InShort))


def shown(run: Run) -> str:
    """All sections as HTML, figures drawn, without a kernel."""
    return str(open_report(str(run.inputs.tables), run.about.plain(), str(run.inputs.plans)).show().data)


def everything(report: Report) -> dict[str, str]:
    """The report in every format that needs no notebook."""
    content = structured.render(report, SCHEMA_VERSION)
    return {
        "json": json.dumps(content, allow_nan=False),
        "md": markdown.render(report),
        "csv": structured.render_csv(report),
        "txt": console.render(report, content),
        "xml": junit.render(report),
    }
