"""The experiment as rules see it: inputs, parameters and limits, by wildcards."""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

from snakemake.persistence import PersistenceBase

import ai_dev_tools
from ai_dev_tools.benchmark._util import remembered
from ai_dev_tools.benchmark._util.json_values import JsonFields, JsonObject, JsonValue
from ai_dev_tools.benchmark.agents.sandbox import require_sandbox
from ai_dev_tools.benchmark.config.models import ExecutionMode, load_config
from ai_dev_tools.benchmark.config.parsing import nearest
from ai_dev_tools.benchmark.config.shipped_files import own_or_shipped
from ai_dev_tools.benchmark.config.written import spell
from ai_dev_tools.benchmark.endpoints.embedded.catalogue import require_servable
from ai_dev_tools.benchmark.errors import ConfigurationError
from ai_dev_tools.benchmark.execution.job import RUN_PID
from ai_dev_tools.benchmark.execution.start_block import WORKER
from ai_dev_tools.benchmark.planning.experiment import Experiment
from ai_dev_tools.benchmark.planning.opening import open_experiment
from ai_dev_tools.benchmark.planning.pricing import unused_prices
from ai_dev_tools.benchmark.plugins import AGENT_PREFIX, APPROACHES, PLOTS, LoadedPlugin, agent_tool_of
from ai_dev_tools.benchmark.prompts.agent_tools import agent_tool
from ai_dev_tools.benchmark.prompts.containment import choose_sandbox
from ai_dev_tools.benchmark.prompts.program_file import installed_program
from ai_dev_tools.benchmark.prompts.tool_results import read_contexts
from ai_dev_tools.benchmark.prompts.tools import companions, installed_version, load_tool, tool_digest
from ai_dev_tools.benchmark.records import paths
from ai_dev_tools.benchmark.records.about import RunAbout
from ai_dev_tools.benchmark.records.block import Block
from ai_dev_tools.benchmark.records.prepared import read_prepared
from ai_dev_tools.benchmark.tasks.corpora import Corpus, find_corpus, load_corpora
from ai_dev_tools.benchmark.tasks.receipts import read_round
from ai_dev_tools.benchmark.workflow import block_worker
from ai_dev_tools.benchmark.workflow.asked import asked_cases, note_call
from ai_dev_tools.benchmark.workflow.call import ends_in_lines, read_call
from ai_dev_tools.benchmark.workflow.preflight import require_servers
from ai_dev_tools.benchmark.workflow.run_lock import clear_stale_lock
from ai_dev_tools.benchmark.workflow.several import Several

if TYPE_CHECKING:
    from snakemake.workflow import Workflow

_BLOCK = re.compile(r"--block '\{.*\}' ", re.DOTALL)
REPEATED = (
    "samples", "tasks", "approaches", "models", "tools", "endpoint", "execution_mode", "task_timeout", "tool_runs",
    "task_folders", "tool_folders", "endpoint_file", "plugins", "options", "think", "agent", "plan", "profiles", "prices",
    "budget",
)  # fmt: skip
"""Settings of a call that the report repeats in the command it suggests; none of them may hold a secret."""
T = TypeVar("T")


class Wildcards(Protocol):
    """The wildcards of all rules; a job has those of its own rule."""

    profile: str
    model: str
    task: str
    tool: str
    approach: str
    sample: str
    corpus: str
    repository: str
    weights: str


class Flow:
    """What rules need besides paths.

    Args:
        config: Snakemake's `config`; in a module, what the importing workflow says, laid over this one's config.yaml.
        workflow: Snakemake's workflow object.
    """

    before_blocks = 1000
    """Priority of all that comes first, so that a mistake shows before hours of measuring."""

    @ends_in_lines
    def __init__(self, config: Mapping[str, JsonValue], workflow: Workflow) -> None:
        self._workflow, self._started = workflow, time.time()
        self.call = read_call(config, workflow)
        if workflow.is_main_process:
            remembered.keep_in(Path(".snakemake") / "remembered.json")
        self.experiment: Experiment = open_experiment(load_config(self.call.settings), Path.cwd(), self.call.home)
        self.config = self.experiment.config
        self.profile, self.source = self.experiment.run, self.experiment.source
        sequential = self.config.execution_mode is ExecutionMode.SEQUENTIAL
        self.blocks_at_once = 1 if sequential else self.config.max_concurrent_batches
        self._servers = sorted({s for name in self.config.profiles for s in self.experiment.servers(name).values()})
        self._programs: dict[str, str] = {}
        self.several = Several(self.experiment, self.call.settings)
        logging.getLogger("snakemake.logging").addFilter(_shorten)
        _prepare_environment()
        if not self.call.is_module:
            _keep_pandas_out()
        self._limit("measuring", self.blocks_at_once)
        for number in range(len(self._servers)):
            self._limit(f"server_{number}", 1)
        if workflow.is_main_process:
            several = self.config.compare or self.config.batch  # whose profiles ask other models
            unused = [] if several else unused_prices(self.config, self.experiment.instances(self.config.profile))
            for line in (*self.config.replaced, *self.experiment.notes, *unused):
                print(f"note: {line}", file=sys.stderr)
            self._check_machine()
        if workflow.is_main_process or workflow.remote_exec:  # on a cluster's node the run is that node's Snakemake
            os.environ[RUN_PID] = str(os.getpid())
            os.environ.pop(WORKER, None)  # of a run that this one is part of

    def _check_machine(self) -> None:
        """What this machine cannot do ends the run before anything is fetched or asked."""
        if self.source == "cases":
            choose_sandbox(self.config.tool_sandbox)
            if self.experiment.program_arms and self.experiment.program:
                require_sandbox(self.experiment.program.id, self.config.agent.sandbox)
                installed_program(self.experiment.program, self.config.agent.program_folder)
            for tool in self.experiment.tools.values():
                installed_version(tool, self.config.tool_sandbox)
            for name in self.experiment.agent_tools:
                agent_tool(self.experiment.tools[name], self.config.tool_sandbox)
        if self.source != "samples":
            for tag, weights in self.experiment.weights(self.profile).items():
                require_servable(tag, weights, Path())
        _require_writable(Path(paths.LOGS).parent)
        clear_stale_lock(Path(".snakemake"))

    def _limit(self, resource: str, most: int) -> None:
        """A limit that holds on a plain `snakemake` too; one given on the command line wins."""
        if resource not in self._workflow.global_resources:
            self._workflow.register_resource(resource, most)

    # limits and order

    def block_resources(self) -> dict[str, int | Callable[[Wildcards], int]]:
        """Resources of a block: a share of the measuring machine, and its model's server for itself."""

        def uses(number: int) -> Callable[[Wildcards], int]:
            def amount(wildcards: Wildcards) -> int:
                servers = self.experiment.servers(wildcards.profile)
                return int(servers.get(wildcards.model) == self._servers[number])

            return amount

        return {"measuring": 1} | {f"server_{number}": uses(number) for number in range(len(self._servers))}

    def block_priority(self, wildcards: Wildcards) -> int:
        """The order of blocks: those of one model follow each other.

        So a server that serves several models does not load back and forth.
        """
        models = list(self.experiment.servers(wildcards.profile))
        return self.before_blocks - 1 - models.index(wildcards.model) if wildcards.model in models else 0

    # inputs and parameters

    def of(self, said: Callable[[Experiment, Wildcards], T]) -> Callable[[Wildcards], T]:
        """What the experiment says for a job's wildcards: `flow.of(lambda experiment, job: …)`."""

        @ends_in_lines
        def answer(wildcards: Wildcards) -> T:
            return said(self.experiment, wildcards)

        return answer

    def shipped(self, path: str | Path) -> str:
        """A file of the working folder, else the workflow's own."""
        return str(own_or_shipped(Path(path), Path.cwd(), self.call.home))

    @property
    def fetched_weights(self) -> str:
        """A pattern of the files that can be fetched: those of the catalogue."""
        return "|".join(re.escape(model.file) for model in self.experiment.catalogue.values()) or "none"

    def pinned(self, wildcards: Wildcards) -> dict[str, str]:
        """The catalogue's model behind a file of weights: its tag and checksum."""
        model = next(model for model in self.experiment.catalogue.values() if model.file == wildcards.weights)
        return {"tag": model.tag, "sha256": model.sha256}

    @cached_property
    def _corpora(self) -> dict[str, Corpus]:
        return load_corpora(Path(self.shipped(paths.CORPORA)))

    @ends_in_lines
    def corpus(self, wildcards: Wildcards) -> JsonFields:
        """A corpus's own entry: nothing else in corpora.yaml fetches it again."""
        return find_corpus(self._corpora, wildcards.corpus, paths.CORPORA).model_dump(mode="json")

    def corpus_round(self, wildcards: Wildcards) -> int:
        """Raised when fetching failed in a way that may pass, so that the next run tries again."""
        return read_round(Path(paths.CORPUS_RECEIPT.format(corpus=wildcards.corpus)))

    @ends_in_lines
    def tool_files(self, wildcards: Wildcards) -> list[str]:
        """A tool's file and the files beside it that belong to it."""
        path = self.experiment.tool_files[wildcards.tool]
        return [str(path), *map(str, companions(path))]

    @ends_in_lines
    def tool_program(self, wildcards: Wildcards) -> str:
        """Digest of a tool as it is installed: another one runs it again."""
        return self._program(wildcards.tool)

    def _program(self, name: str) -> str:
        if name not in self._programs:
            spec = self.experiment.tools.get(name) or load_tool(self.experiment.tool_files[name])
            self._programs[name] = tool_digest(spec, installed_version(spec, self.config.tool_sandbox))
        return self._programs[name]

    @ends_in_lines
    def context_cases(self, wildcards: Wildcards) -> list[str]:
        """Cases that a tool runs on.

        Those that are asked, and those that its current version has already run on.
        """
        known = read_contexts(Path(paths.CONTEXTS.format(task=wildcards.task, tool=wildcards.tool)))
        program = self.tool_program(wildcards)
        return self._cases(wildcards.task, {case for case, row in known.items() if row.program == program})

    def _cases(self, task: str, known: set[str]) -> list[str]:
        """Cases of a task that are asked, and known ones."""
        if self._workflow.is_main_process:  # Snakemake knows its own command line only once the Snakefile is read
            note_call(self.experiment, self.call.settings, self._workflow.dag_settings)
        wanted = {*asked_cases(self.experiment, task), *known}
        return [case.id for case in self.experiment.tasks[task].cases if case.id in wanted and not case.contexts]

    @ends_in_lines
    def prompts(self, wildcards: Wildcards) -> list[str]:
        """Prompts of every task of the run."""
        return [paths.PROMPTS.format(task=task) for task in self.experiment.tasks]

    @ends_in_lines
    def weights(self, wildcards: Wildcards) -> list[str]:
        """Weights of a block's model, where the embedded endpoint serves it."""
        known = self.experiment.weights(wildcards.profile)
        return [str(known[tag].path) for tag in known if paths.safe_model(tag) == wildcards.model]

    @ends_in_lines
    def block_of_sample(self, wildcards: Wildcards) -> str:
        """The block that a single sample belongs to, as JSON."""
        block: Block = self.experiment.block(wildcards.profile, wildcards.model, wildcards.task)
        approach, sample = wildcards.approach, wildcards.sample
        if approach not in block.approaches:
            raise ConfigurationError(f"'{approach}' is not an arm of this run, {nearest(approach, block.approaches)}")
        if sample not in map(str, range(block.samples)):
            raise ConfigurationError(
                f"an arm of this run has the samples 0 to {block.samples - 1}, not {sample}",
                remedy="Ask for more with samples=N",
            )
        return block.to_json()

    @ends_in_lines
    def blocks(self, wildcards: Wildcards) -> list[str]:
        """Block files of a profile; with `partial`, those that exist."""
        files = self.experiment.block_files(wildcards.profile)
        return [file for file in files if Path(file).exists()] if self.config.partial else files

    def plugin_names(self, wildcards: Wildcards, input: object) -> list[str]:
        """What a script loads.

        A function of `input` is not among the parameters whose change runs a job again.
        """
        return list(self.config.every_plugin)

    @ends_in_lines
    def agents(self, wildcards: Wildcards) -> dict[str, object]:
        """How agent arms are asked, and what the tool of each does; empty where there are none."""
        arms = self.experiment.agent_arms
        if not arms:
            return {}
        driven = self.experiment.program_arms
        tools = {arm: None if arm in driven else agent_tool_of(arm) for arm in arms}
        programs = {tool: self._agent_program(tool) for tool in self.experiment.agent_tools}
        folders = self.experiment.folder_digests(wildcards.task)
        settings = self.config.agent.model_dump(mode="json")
        said = {"arms": tools, "programs": programs, "settings": settings, "program": self._program_of_others()}
        return said | ({"folders": folders} if folders else {})

    @ends_in_lines
    def agent_program(self, wildcards: Wildcards) -> str:
        """Digest of what a tool does for agents, as it is installed: another one prepares workspaces again."""
        return self._agent_program(wildcards.tool)

    def _agent_program(self, name: str) -> str:
        key = f"{AGENT_PREFIX}{name}"
        if key not in self._programs:
            spec = load_tool(self.experiment.tool_files[name])
            self._programs[key] = agent_tool(spec, self.config.tool_sandbox).digest
        return self._programs[key]

    @ends_in_lines
    def prepared_cases(self, wildcards: Wildcards) -> list[str]:
        """Cases whose workspaces a tool prepares: as those that it runs on."""
        known = read_prepared(Path(paths.PREPARED.format(task=wildcards.task, tool=wildcards.tool)))
        program = self._agent_program(wildcards.tool)
        return self._cases(wildcards.task, {case for case, row in known.items() if row.program == program})

    def _program_of_others(self) -> dict[str, str] | None:
        """The agent of others that drives the episodes, as it is installed."""
        spec = self.experiment.program
        if spec is None:
            return None
        return {"file": str(spec.file), "version": installed_program(spec, self.config.agent.program_folder)}

    @property
    def plugins(self) -> list[str]:
        """Files of all plugins."""
        return _plugin_files(self.experiment.plugins)

    @property
    def prompt_plugins(self) -> list[str]:
        """Files of the plugins whose approaches the run uses."""
        return _plugin_files(self.experiment.plugins_with(APPROACHES, self.experiment.plugin_approaches))

    @property
    def plot_plugins(self) -> list[str]:
        """Files of the plugins that draw."""
        return _plugin_files(self.experiment.plugins_with(PLOTS, PLOTS))

    @property
    def judging(self) -> JsonObject:
        """The arm that others are compared with, and the thresholds of the checks."""
        return {"reference": self.config.plan.reference, "thresholds": self.config.validity.model_dump()}

    @ends_in_lines
    def analysis(self, wildcards: Wildcards) -> dict[str, object]:
        """Settings that the tables depend on."""
        return {
            **self.judging,
            "shown": self.experiment.shown_arm,
            "plan": self.about(wildcards).get("plan"),
        }

    @ends_in_lines
    def about(self, wildcards: Wildcards) -> dict[str, object]:
        """What a report says of the run besides its tables; of a recorded run, what was recorded."""
        recorded = Path(paths.ABOUT.format(profile=wildcards.profile))
        if self.source == "samples" and recorded.exists():
            about: dict[str, object] = json.loads(recorded.read_bytes())
            return about
        # Sorted: the same settings in another order are no reason to render the report again.
        given: dict[str, object] = {
            name: value for name, value in sorted(self.call.overrides.items()) if name in REPEATED
        }
        return replace(self.experiment.about(wildcards.profile), given=given).plain()

    @ends_in_lines
    def archived(self, wildcards: Wildcards) -> dict[str, object]:
        """What an archive of the run is made of, besides its results."""
        home = os.path.relpath(self.call.home)
        about = RunAbout.read(self.about(wildcards))
        return self.experiment.archived(wildcards.profile, about, home).plain()

    @property
    def given_settings(self) -> list[str]:
        """The settings of the command line, as the benchmark's own commands take them."""
        pairs = [f"{key}={spell(value)}" for key, value in self.call.overrides.items()]
        return ["--config", *pairs] if pairs else []

    @ends_in_lines
    def targets(self, stage: str) -> list[str]:
        """Files that a target rule asks for: `blocks`, `tables`, `report` or `archive`."""
        profile = self.profile
        if stage == "blocks":
            return self.experiment.block_files(profile)
        if stage == "tables":
            return [f"{paths.TABLES}/samples.csv".format(profile=profile)]
        if stage == "archive":
            return [paths.ARCHIVE.format(profile=profile, archive=self.experiment.archive_name(profile))]
        return [paths.PAGE.format(profile=profile)]

    # before and after

    @ends_in_lines
    def look_for_servers(self) -> None:
        """Check, before tools run for minutes, that servers answer which no run starts itself."""
        jobs = list(self._workflow.dag.needrun_jobs()) if self._workflow.is_main_process else []
        if any(job.rule.name == "collect_contexts" for job in jobs):
            blocks = [job.wildcards for job in jobs if job.rule.name in ("run_block", "run_sample")]
            for line in require_servers(self.experiment, {(block.profile, block.model) for block in blocks}):
                print(f"warning: {line}", file=sys.stderr, flush=True)

    start_block = block_worker.PROGRAM

    def offer_worker(self) -> None:
        """Have one process do the imports of all blocks that this run asks."""
        block_worker.offer_worker(self._workflow, Path(".snakemake"))

    def say_goodbye(self) -> None:
        """What is said when all went well."""
        from ai_dev_tools.benchmark.workflow.endings import say_result  # 0.1 s that no other start of Snakemake pays

        say_result(self.profile, self.config.output_format, self._started)

    def say_what_failed(self) -> None:
        """What is said when something failed."""
        from ai_dev_tools.benchmark.workflow.endings import say_what_failed  # as above

        say_what_failed(self.profile, self._started)


def _shorten(record: logging.LogRecord) -> bool:
    """Leave a block's design out of what Snakemake prints about a failed job.

    Otherwise the job's own line could not be found.
    """
    if isinstance(record.msg, str):
        record.msg = _BLOCK.sub("--block … ", record.msg)
    return True


def _plugin_files(plugins: Iterable[LoadedPlugin]) -> list[str]:
    """Their files, those of the working folder as seen from it."""
    files = [path for plugin in plugins for path in plugin.files]
    return [str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path) for path in files]


def _require_writable(results: Path) -> None:
    """Refuse to begin where nothing could be kept."""
    if results.exists() and not (results.is_dir() and os.access(results, os.W_OK | os.X_OK)):
        raise ConfigurationError(f"cannot write to {results}", remedy="Make it a folder that you may write to")


def _keep_pandas_out() -> None:
    """Do without a part of Snakemake that imports pandas.

    It looks for data frames in `params`, and takes half a second at every start.

    No rule here has one there; those of a workflow that imports this one may.
    """
    if hasattr(PersistenceBase, "_serialize_param_builtin"):
        PersistenceBase._serialize_param = property(lambda store: store._serialize_param_builtin)


def _prepare_environment() -> None:
    """Let jobs find this interpreter as `python3`, and other interpreters this package.

    In a conda environment, `python3` is that of the environment.
    """
    beside = str(Path(sys.executable).parent)
    if shutil.which("python3") != f"{beside}/python3":
        os.environ["PATH"] = os.pathsep.join([beside, os.environ.get("PATH", os.defpath)])
    os.environ["AI_DEV_BENCH_PACKAGE"] = str(Path(ai_dev_tools.__file__).parent)  # for envs/environment.post-deploy.sh
