"""The experiment as rules see it: inputs, parameters and limits, by wildcards."""

from __future__ import annotations

import functools
import gc
import json
import logging
import os
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from ai_dev_tools.benchmark._util import start_cache
from ai_dev_tools.benchmark._util.json_values import JsonObject, JsonValue
from ai_dev_tools.benchmark.agents.sandbox import agent_sandbox
from ai_dev_tools.benchmark.config.as_written import spell
from ai_dev_tools.benchmark.config.models import ExecutionMode, load_config
from ai_dev_tools.benchmark.config.shipped_files import own_or_shipped
from ai_dev_tools.benchmark.endpoints.embedded.catalogue import require_servable
from ai_dev_tools.benchmark.execution.job import RUN_PID
from ai_dev_tools.benchmark.execution.start_block import WORKER
from ai_dev_tools.benchmark.planning.experiment import Experiment
from ai_dev_tools.benchmark.planning.opening import open_experiment
from ai_dev_tools.benchmark.planning.pricing import unused_prices
from ai_dev_tools.benchmark.planning.unused_settings import unused_settings
from ai_dev_tools.benchmark.plugins import APPROACHES, PLOTS, LoadedPlugin
from ai_dev_tools.benchmark.prompts.agent_program_file import installed_program
from ai_dev_tools.benchmark.prompts.agent_tools import agent_tool
from ai_dev_tools.benchmark.prompts.containment import choose_sandbox
from ai_dev_tools.benchmark.prompts.tools import installed_version
from ai_dev_tools.benchmark.records import paths
from ai_dev_tools.benchmark.records.about import RunAbout
from ai_dev_tools.benchmark.tasks.corpora import Corpus, load_corpora
from ai_dev_tools.benchmark.workflow import block_worker, final_message, process_setup
from ai_dev_tools.benchmark.workflow.call_settings import ends_in_lines, read_call
from ai_dev_tools.benchmark.workflow.downloads import Downloads
from ai_dev_tools.benchmark.workflow.known_names import KnownNames, Wildcards, for_job
from ai_dev_tools.benchmark.workflow.preflight import require_servers
from ai_dev_tools.benchmark.workflow.run_lock import clear_stale_lock
from ai_dev_tools.benchmark.workflow.run_sets import RunSets
from ai_dev_tools.benchmark.workflow.tool_runs import ToolRuns

if TYPE_CHECKING:
    from snakemake.workflow import Workflow

REPEATED = (
    "samples", "tasks", "approaches", "models", "tools", "endpoint", "execution_mode", "task_timeout", "tool_runs",
    "task_folders", "tool_folders", "endpoint_file", "plugins", "options", "think", "agent", "plan", "profiles", "prices",
    "budget",
)  # fmt: skip
"""Settings of a call that the report repeats in the command it suggests; none of them may hold a secret."""
TOOL_RULES = ("collect_contexts", "prepare_workspaces")
"""Rules that run tools, perhaps for minutes."""
LOOKING_RULES = ("list_tasks", "validate", "plan")
"""Rules that measure nothing and have said themselves what is wrong."""
T = TypeVar("T")


class Flow:
    """What rules need in addition to paths.

    Rules that run tools ask `tools`, those that fetch `downloads`, and those that put several runs side by side `run_sets`.

    Args:
        config: Snakemake's `config`; in a module, what the importing workflow says, laid over this one's config.yaml.
        workflow: Snakemake's workflow object.
    """

    before_blocks = 1000
    """Priority of all that comes first, so that a mistake shows before hours of measuring."""

    @ends_in_lines
    def __init__(self, config: Mapping[str, JsonValue], workflow: Workflow) -> None:
        gc.freeze()  # imports stay: looking through them again and again would take a sixth of a start
        self._workflow, self._started = workflow, time.time()
        self.call = read_call(config, workflow)
        if workflow.is_main_process:
            start_cache.keep_in(Path(".snakemake") / "remembered.json")
        self.experiment: Experiment = open_experiment(load_config(self.call.settings), Path.cwd(), self.call.home)
        self.config = self.experiment.config
        self.profile, self.source = self.experiment.run, self.experiment.source
        sequential = self.config.execution_mode is ExecutionMode.SEQUENTIAL
        self.blocks_at_once = 1 if sequential else self.config.max_concurrent_batches
        self._servers = self.experiment.all_servers
        self._answer_by_name()
        logging.getLogger("snakemake.logging").addFilter(process_setup.shorten_record)
        process_setup.prepare_environment()
        if not self.call.is_module:
            process_setup.keep_pandas_out()
        self._limit("measuring", self.blocks_at_once)
        for number in range(len(self._servers)):
            self._limit(f"server_{number}", 1)
        if workflow.is_main_process:
            several = self.config.compare or self.config.batch  # whose profiles ask other models
            unused = [] if several else unused_prices(self.config, self.experiment.instances(self.config.profile))
            unused += unused_settings(self.experiment)
            for line in (*self.config.replaced, *self.experiment.notes, *unused):
                print(f"note: {line}", file=sys.stderr)
            self._check_machine()
        if workflow.is_main_process or workflow.remote_exec:  # on a cluster's node the run is that node's Snakemake
            os.environ[RUN_PID] = str(os.getpid())
            os.environ.pop(WORKER, None)  # of a run that this one is part of

    def _answer_by_name(self) -> None:
        """What answers the rules, and what knows which names they may ask for."""

        @functools.cache
        def corpora() -> dict[str, Corpus]:
            return load_corpora(Path(self.shipped(paths.CORPORA)))

        settings = self.call.settings
        self.names = KnownNames(self.experiment, settings, corpora)
        self.run_sets = RunSets(self.experiment, self.names, settings)
        self.tools = ToolRuns(self.experiment, self.names, self._workflow, settings)
        self.downloads = Downloads(self.experiment, self.names, corpora)

    def _check_machine(self) -> None:
        """What this machine cannot do ends the run before anything is fetched or asked."""
        if self.source == "cases":
            choose_sandbox(self.config.tool_sandbox)
            if self.experiment.program_arms and self.experiment.program:
                agent_sandbox(self.experiment.program.id, self.config.agent.sandbox)
                installed_program(self.experiment.program, self.config.agent.program_folder)
            for tool in self.experiment.tools.values():
                installed_version(tool, self.config.tool_sandbox)
            for name in self.experiment.agent_tools:
                agent_tool(self.experiment.tools[name], self.config.tool_sandbox)
        if self.source != "samples":
            for tag, weights in self.experiment.weights(self.profile).items():
                require_servable(tag, weights, Path())
        process_setup.require_writable(Path(paths.LOGS).parent)
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
            self.names.require(wildcards)
            return said(self.experiment, wildcards)

        return answer

    def shipped(self, path: str | Path) -> str:
        """A file of the working folder, else the workflow's own."""
        return str(own_or_shipped(Path(path), Path.cwd(), self.call.home))

    @for_job
    def nothing(self, wildcards: Wildcards) -> list[str]:
        """No input files: the names of the job are checked, and nothing else comes before it."""
        return []

    @for_job
    def prompts(self, wildcards: Wildcards) -> list[str]:
        """Prompts of every task of the run."""
        return [paths.PROMPTS.format(task=task) for task in self.experiment.tasks]

    @for_job
    def weights(self, wildcards: Wildcards) -> list[str]:
        """Weights of a block's model, where the embedded endpoint serves it."""
        known = self.experiment.weights(wildcards.profile)
        return [str(known[tag].path) for tag in known if paths.safe_model(tag) == wildcards.model]

    @for_job
    def block(self, wildcards: Wildcards) -> str:
        """A block, or the block that a single sample belongs to, as JSON."""
        return self.experiment.block(wildcards.profile, wildcards.model, wildcards.task).to_json()

    @for_job
    def blocks(self, wildcards: Wildcards) -> list[str]:
        """Block files of a profile; with `partial`, those that exist."""
        files = self.experiment.block_files(wildcards.profile)
        return [file for file in files if Path(file).exists()] if self.config.partial else files

    def plugin_names(self, wildcards: Wildcards, input: object) -> list[str]:
        """What a script loads.

        A function of `input` is not among the parameters whose change runs a job again.
        """
        return list(self.config.every_plugin)

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

    @for_job
    def analysis(self, wildcards: Wildcards) -> dict[str, object]:
        """Settings that the tables depend on."""
        return {
            **self.judging,
            "shown": self.experiment.shown_arm,
            "plan": self.about(wildcards).get("plan"),
        }

    @for_job
    def about(self, wildcards: Wildcards) -> dict[str, object]:
        """What a report says about the run in addition to its tables; of a recorded run, what was recorded."""
        recorded = Path(paths.ABOUT.format(profile=wildcards.profile))
        if self.source == "samples" and recorded.exists():
            about: dict[str, object] = json.loads(recorded.read_bytes())
            return about
        # Sorted: the same settings in another order must not render the report again.
        given: dict[str, object] = {
            name: value for name, value in sorted(self.call.overrides.items()) if name in REPEATED
        }
        return replace(self.experiment.about(wildcards.profile), given=given).plain()

    @for_job
    def archived(self, wildcards: Wildcards) -> dict[str, object]:
        """What an archive of the run is made of, in addition to its results."""
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
        if any(job.rule.name in TOOL_RULES for job in jobs):
            blocks = [job.wildcards for job in jobs if job.rule.name in block_worker.BLOCK_RULES]
            for line in require_servers(self.experiment, {(block.profile, block.model) for block in blocks}):
                print(f"warning: {line}", file=sys.stderr, flush=True)

    start_block = block_worker.PROGRAM

    def offer_worker(self) -> None:
        """Have one process do the imports of all blocks, and let Snakemake rest while they measure."""
        process_setup.rest_between_jobs(self._workflow)
        block_worker.offer_worker(self._workflow, Path(".snakemake"))

    def report_success(self) -> None:
        """What is said when all went well."""
        final_message.report_result(self.profile, self.config.output_format, self._started)
        final_message.cancel_timers()

    def report_failure(self) -> None:
        """What is said when something failed."""
        failed = {job.rule.name for job in self._workflow.dag.needrun_jobs()}
        if not failed or failed - {*LOOKING_RULES}:
            final_message.report_failure(self.profile, self._started)
        final_message.cancel_timers()


def _plugin_files(plugins: Iterable[LoadedPlugin]) -> list[str]:
    """Their files, those of the working folder as seen from it."""
    files = [path for plugin in plugins for path in plugin.files]
    return [str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path) for path in files]
