"""`validate`: check everything that a run needs before it starts, and say how to fix problems."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import psutil

from ai_dev_tools.benchmark._util.json_values import JsonValue
from ai_dev_tools.benchmark._util.text import plural
from ai_dev_tools.benchmark.agents.sandbox import agent_sandbox
from ai_dev_tools.benchmark.agents.workspace_preparation import offer_line, server_words
from ai_dev_tools.benchmark.config.batches import apply_batch
from ai_dev_tools.benchmark.config.models import load_config
from ai_dev_tools.benchmark.config.resolving import ResolvedInstance
from ai_dev_tools.benchmark.config.sources import Merged
from ai_dev_tools.benchmark.endpoints import EndpointSpec
from ai_dev_tools.benchmark.endpoints.auto import choose
from ai_dev_tools.benchmark.endpoints.dialects import declared, found_at
from ai_dev_tools.benchmark.endpoints.embedded.catalogue import Weights, require_servable
from ai_dev_tools.benchmark.endpoints.external import authorization, find_url
from ai_dev_tools.benchmark.endpoints.ollama_client import OllamaClient
from ai_dev_tools.benchmark.errors import BenchmarkError, ConfigurationError, ConfigurationErrors
from ai_dev_tools.benchmark.planning.disclosure import destinations
from ai_dev_tools.benchmark.planning.experiment import Experiment
from ai_dev_tools.benchmark.planning.opening import open_experiment
from ai_dev_tools.benchmark.planning.prompt_fit import fit_problems
from ai_dev_tools.benchmark.planning.unused_settings import unused_settings
from ai_dev_tools.benchmark.prompts.agent_program_file import installed_program
from ai_dev_tools.benchmark.prompts.agent_tools import agent_tool
from ai_dev_tools.benchmark.prompts.containment import bubblewrap_problem, choose_sandbox
from ai_dev_tools.benchmark.prompts.rendering import baseline_rows
from ai_dev_tools.benchmark.prompts.sizes import refuse_wrong_sizes, size_problem
from ai_dev_tools.benchmark.prompts.tool_spec import ToolSpec
from ai_dev_tools.benchmark.prompts.tools import installed_version
from ai_dev_tools.benchmark.records import paths
from ai_dev_tools.benchmark.records.endpoint_spec import is_url
from ai_dev_tools.benchmark.tasks.corpora import find_corpus, load_corpora
from ai_dev_tools.benchmark.tasks.loading import Task
from ai_dev_tools.benchmark.tasks.workspaces import Workspaces, workspace_problem
from ai_dev_tools.benchmark.workflow.same_model import changed_models
from ai_dev_tools.benchmark.workflow.setting_location import where_to_correct

MIN_FREE_GB = 1.0
"""Below this, a run may not be able to keep its samples."""


@dataclass(frozen=True)
class PreflightCheck:
    """One line of the table.

    Attributes:
        status: ok; warning: a run works, but not as one might think; failed: a run cannot work.
        fix: how to fix it, if something is wrong.
    """

    name: str
    status: Literal["ok", "warning", "failed"]
    found: str
    fix: str = ""


def validate(merged: Merged, overrides: Mapping[str, JsonValue], root: Path) -> list[PreflightCheck]:
    """All checks, in the order in which they matter.

    Those that need a sound config are left out without one.

    Args:
        merged: settings and where they came from.
        overrides: those of the command line.
        root: the workflow's folder.
    """
    try:
        config = load_config(apply_batch(merged.settings, overrides))
        experiment = open_experiment(config, root)
    except ConfigurationError as error:
        return [
            PreflightCheck("config", "failed", line, where_to_correct(line, merged)) for line in str(error).splitlines()
        ]
    profile = experiment.profile(config.profile)
    checks = [
        PreflightCheck(
            "config",
            "ok",
            f"profile {profile.name}, {plural(profile.samples, 'sample')}, {', '.join(experiment.approaches)}",
        ),
        *(PreflightCheck("config", "warning", line) for line in config.replaced),
        *(PreflightCheck("config", "ok", line) for line in experiment.notes),
        *(PreflightCheck("config", "warning", line) for line in unused_settings(experiment)),
        *_tasks(experiment, config.profile, root),
        *_tools(experiment),
        *_agent(experiment),
        *_endpoints(experiment, config.profile, root),
        *_sent(experiment, config.profile),
        *_contexts(experiment, root),
        *_same_models(experiment, config.profile, root),
        *_machine(profile.min_ram_gb, profile.min_cores, profile.name),
        _disk(root),
    ]
    return checks


def _tasks(experiment: Experiment, profile: str, root: Path) -> Iterator[PreflightCheck]:
    known = load_corpora(root / paths.CORPORA) if any(task.corpora for task in experiment.tasks.values()) else {}
    for task in experiment.tasks.values():
        try:
            for corpus in task.corpora:
                find_corpus(known, corpus, paths.CORPORA)
            cases = experiment.cases(profile, task.id)
            corpora_folder = root / paths.CORPORA_FOLDER
            rows = list(baseline_rows(task, cases, corpora_folder)) if experiment.source == "cases" else []
            refuse_wrong_sizes(task, rows)
            workspaces = list(_workspaces(task, cases, corpora_folder)) if task.agents_only else []
        except ConfigurationErrors as error:
            yield from (PreflightCheck(f"task {task.id}", "failed", line, "Correct its size") for line in error.lines)
            continue
        except ConfigurationError as error:
            yield PreflightCheck(f"task {task.id}", "failed", error.args[0], error.remedy or "")
            continue
        clusters = len({task.case(case).cluster for case in cases})
        corpora = f", corpora: {', '.join(task.corpora)}" if task.corpora else ""
        said = f"{plural(len(cases), 'case')} in {plural(clusters, 'cluster')}{corpora}"
        yield PreflightCheck(f"task {task.id}", "ok", said)
        yield from (PreflightCheck(f"task {task.id}", "warning", line) for row in rows if (line := size_problem(row)))
        yield from workspaces


def _workspaces(task: Task, cases: Sequence[str], corpora: Path) -> Iterator[PreflightCheck]:
    """What agents will read of what has been fetched already."""
    workspaces, sizes = Workspaces(task, corpora), []
    for case in map(task.case, cases):
        if (case.workspace and case.workspace.path is None) and not case.workspace.folder(
            corpora, task.folder
        ).is_dir():
            continue  # the run fetches it
        files = workspaces.of(case)
        sizes.append(files.tokens)
        if problem := workspace_problem(case.size, files, case.where):
            yield PreflightCheck(f"task {task.id}", "warning", problem)
    yield from (PreflightCheck(f"task {task.id}", "warning", line) for line in workspaces.left_out())
    if sizes:
        span = f"{min(sizes):,} to {max(sizes):,} tokens (estimated)"
        yield PreflightCheck(
            f"task {task.id}", "ok", f"agents read workspaces of {span}; only agent arms and no_context are asked"
        )


def _contexts(experiment: Experiment, root: Path) -> Iterator[PreflightCheck]:
    """Prompts that are too long for a model; a run works, and these requests fail."""
    try:
        yield from (PreflightCheck("context", "warning", str(misfit)) for misfit in fit_problems(experiment, root))
    except ConfigurationError:
        return  # said of its task already


def _tools(experiment: Experiment) -> Iterator[PreflightCheck]:
    setting = experiment.config.tool_sandbox

    def sandbox() -> str:
        found = choose_sandbox(setting)
        return f"none: {bubblewrap_problem()}" if found == "none" and setting != "none" else found

    def offered(spec: ToolSpec) -> str:
        tool, task = agent_tool(spec, setting), next(iter(experiment.tasks.values()))
        return offer_line(tool, server_words(tool, task, task.cases[:1]).get(task.cases[0].id))

    if experiment.tools:
        yield _try("sandbox of tools", sandbox)
    for tool in experiment.tools.values():
        yield _try(f"tool {tool.id}", lambda tool=tool: f"version {installed_version(tool, setting)}")  # type: ignore[misc]
    for name in experiment.agent_tools:
        yield _try(f"tool {name} for agents", lambda name=name: offered(experiment.tools[name]))  # type: ignore[misc]


def _agent(experiment: Experiment) -> Iterator[PreflightCheck]:
    """The third-party agent that drives the episodes, if one does."""
    program, settings = experiment.program, experiment.config.agent
    if program is None or not experiment.program_arms:
        return

    def sandbox() -> str:
        return agent_sandbox(program.id, settings.sandbox)

    yield _try("sandbox of the agent", sandbox)
    yield _try(f"agent {program.id}", lambda: f"version {installed_program(program, settings.program_folder)}")


def _endpoints(experiment: Experiment, profile: str, root: Path) -> Iterator[PreflightCheck]:
    for instance in experiment.instances(profile):
        name = f"instance {instance.name}"
        if instance.endpoint == "embedded":
            yield _embedded(name, instance, experiment.weights(profile)[instance.model], root)
        elif instance.endpoint == "replay":
            yield PreflightCheck(name, "ok", f"{instance.model} from recorded answers")
        else:
            yield from _served(name, instance, experiment.endpoint(profile, instance))


def _sent(experiment: Experiment, profile: str) -> Iterator[PreflightCheck]:
    """Where files of cases go, if not to this machine."""
    try:
        for one in destinations(experiment, profile):
            fix = "" if one.encrypted else "Use an https:// address, or a tunnel, where others can read the network"
            yield PreflightCheck("where your code goes", "ok" if one.encrypted else "warning", str(one), fix)
    except ConfigurationError:
        return  # said of its instance or task already


def _same_models(experiment: Experiment, profile: str, root: Path) -> Iterator[PreflightCheck]:
    fix = f"To ask the new one, move {paths.RUN.format(profile=profile)} away, or continue under a new samples= number"
    for name, found in changed_models(experiment, profile, root):
        yield PreflightCheck(f"model of {name}", "warning", found, fix)


def require_servers(experiment: Experiment, blocks: Iterable[tuple[str, str]]) -> list[str]:
    """Check that servers which someone else runs answer, for these blocks (profile, path-safe model).

    Returns one line per server that does not, where others do: what they can answer is asked all the same.

    Raises:
        ConfigurationErrors: none of them answers.
    """
    lines: list[str] = []
    some_answer = False
    for profile, model in sorted(blocks):
        for instance in experiment.instances(profile):
            served = instance.endpoint in ("auto", "external") or is_url(instance.endpoint)
            if served and paths.safe_model(instance.model) == model:
                spec = experiment.endpoint(profile, instance)
                found = list(_served(f"instance {instance.name}", instance, spec))
                some_answer |= any(check.status != "failed" for check in found)
                lines += [f"{check.name}: {check.found}. {check.fix}" for check in found if check.status == "failed"]
    if lines and not some_answer:
        lines.append(
            "Nothing was run. To run the tools alone, ask for their results: snakemake results/contexts/TASK.TOOL.jsonl"
        )
        raise ConfigurationErrors(list(dict.fromkeys(lines)))
    return list(dict.fromkeys(lines))


def _embedded(name: str, instance: ResolvedInstance, weights: Weights, root: Path) -> PreflightCheck:
    if weights.size_bytes and not (root / weights.path).exists():
        size = f"about {weights.size_bytes / 1e6:.0f} MB"
        return PreflightCheck(name, "warning", f"{instance.model}: its weights are fetched by the first run ({size})")

    def found() -> str:
        require_servable(instance.name, weights, root)
        return f"{instance.model}, weights available"

    return _try(name, found)


def _served(name: str, instance: ResolvedInstance, spec: EndpointSpec) -> Iterator[PreflightCheck]:
    """Reach the servers as a run does: with `OLLAMA_HOST`, the token and the replicas."""
    try:
        if spec.kind == "auto":
            spec = choose(spec)
        if spec.kind in ("process", "container"):
            yield _startable(name, spec.kind, instance)
            return
        if spec.kind != "external" and not is_url(spec.kind):
            yield PreflightCheck(name, "ok", f"{instance.model} will be served by the custom endpoint kind {spec.kind}")
            return
        headers, url = authorization(spec), find_url(spec)
    except BenchmarkError as error:
        yield PreflightCheck(name, "failed", error.args[0], error.remedy or "")
        return
    for server in (url, *(replica.rstrip("/") for replica in spec.replicas)):
        yield _reached(name, spec, server, headers)


def _reached(name: str, spec: EndpointSpec, url: str, headers: Mapping[str, str]) -> PreflightCheck:
    model, named = spec.model, declared(spec, url)
    client = named or found_at(url, headers) or OllamaClient
    try:
        known = client.listed(model, url, headers)
    except BenchmarkError as error:
        if client is not OllamaClient or error.error_class == "configuration" or client.answers_at(url, headers):
            return PreflightCheck(name, "failed", error.args[0], error.remedy or "")
        return PreflightCheck(
            name, "failed", f"no Ollama answers at {url}", "Start it there, or choose another endpoint="
        )
    if known is None:
        return PreflightCheck(
            name, "warning", f"{url} lacks {model}; the run pulls it first", f"Pull it now: ollama pull {model}"
        )
    unlisted = "" if known else "; it shows no list of models, so the first request will tell whether it has this one"
    return PreflightCheck(name, "ok", f"{model} at {url}{_dialect(spec, client.api, found=named is None)}{unlisted}")


def _dialect(spec: EndpointSpec, api: str, *, found: bool) -> str:
    """In what API a server is asked, where that is not Ollama's, and why."""
    if api == "ollama":
        return ""
    why = "" if spec.api else ", as its address ends in /v1" if not found else ", as it does not answer /api/version"
    return f", in OpenAI's API (api: {api}{why})"


def _startable(name: str, kind: str, instance: ResolvedInstance) -> PreflightCheck:
    taken = _port_taken(instance.host, instance.port)
    if taken:
        return PreflightCheck(
            name, "failed", f"port {instance.port} is taken by another program", "Stop it or choose another port"
        )
    if kind == "process" and not shutil.which("ollama"):
        return PreflightCheck(name, "failed", "`ollama` is not on PATH", "Install Ollama, or choose endpoint=container")
    return PreflightCheck(name, "ok", f"{instance.model} will be served by a {kind} on port {instance.port}")


def _port_taken(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=1.0):
            return True
    except OSError:
        return False


def _machine(min_ram_gb: float, min_cores: int, profile: str) -> Iterator[PreflightCheck]:
    ram_gb, cores = psutil.virtual_memory().total / 2**30, os.cpu_count() or 1
    enough = ram_gb >= 0.9 * min_ram_gb and cores >= min_cores
    meant = f"profile {profile} is meant for {min_ram_gb:g} GB and {min_cores}"
    found = f"{ram_gb:.0f} GB of memory and {plural(cores, 'core')}; {meant}"
    yield PreflightCheck(
        "machine",
        "ok" if enough else "warning",
        found,
        "" if enough else "Choose a smaller profile, or expect a slow run",
    )


def _disk(root: Path) -> PreflightCheck:
    results = root / "results"
    place = results if results.exists() else root
    free_gb = shutil.disk_usage(place).free / 2**30
    if not os.access(place, os.W_OK):
        return PreflightCheck("disk", "failed", f"{place} cannot be written", "Make it writable")
    if free_gb < MIN_FREE_GB:
        return PreflightCheck(
            "disk", "failed", f"{free_gb:.1f} GB free in {place}", f"Free at least {MIN_FREE_GB:g} GB"
        )
    return PreflightCheck("disk", "ok", f"{free_gb:.0f} GB free in {place}")


def _try(name: str, function: Callable[[], str]) -> PreflightCheck:
    try:
        return PreflightCheck(name, "ok", function())
    except BenchmarkError as error:
        return PreflightCheck(name, "failed", error.args[0], error.remedy or "")
