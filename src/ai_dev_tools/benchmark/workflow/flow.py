"""What the Snakefile needs besides its rules: settings, limits on what runs at once, and recovery after a kill."""

from __future__ import annotations

import functools
import json
import logging
import os
import re
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import ai_dev_tools
from ai_dev_tools.benchmark.config.batches import apply_batch, find_batch
from ai_dev_tools.benchmark.config.models import ExecutionMode, load_config
from ai_dev_tools.benchmark.config.parsing import nearest, read_settings
from ai_dev_tools.benchmark.config.shipped_files import own_or_shipped, workflow_home
from ai_dev_tools.benchmark.config.sources import CONFIG_FILE, effective_settings, parse_overrides, update
from ai_dev_tools.benchmark.config.written import spell
from ai_dev_tools.benchmark.endpoints.embedded.catalogue import require_servable
from ai_dev_tools.benchmark.errors import BenchmarkError, ConfigurationError, error_lines
from ai_dev_tools.benchmark.execution.job import RUN_PID
from ai_dev_tools.benchmark.execution.start_block import WORKER
from ai_dev_tools.benchmark.planning.experiment import Experiment, open_experiment
from ai_dev_tools.benchmark.plugins import APPROACHES, PLOTS, LoadedPlugin
from ai_dev_tools.benchmark.prompts.containment import choose_sandbox
from ai_dev_tools.benchmark.prompts.tool_results import read_contexts
from ai_dev_tools.benchmark.prompts.tools import companions, installed_version, load_tool, tool_digest
from ai_dev_tools.benchmark.records import paths
from ai_dev_tools.benchmark.workflow import block_worker
from ai_dev_tools.benchmark.workflow.asked import asked_cases, note_call
from ai_dev_tools.benchmark.workflow.preflight import require_servers
from ai_dev_tools.benchmark.workflow.run_lock import clear_stale_lock
from ai_dev_tools.benchmark.workflow.snakemake import SUMMARY

_BLOCK = re.compile(r"--block '\{.*\}' ", re.DOTALL)
REPEATED = (
    "samples", "tasks", "approaches", "models", "tools", "endpoint", "execution_mode", "task_timeout", "tool_runs",
    "task_folders", "tool_folders", "endpoint_file", "plugins", "options", "think", "plan", "profiles",
)  # fmt: skip
"""Settings of a call that the report repeats in the command that it advises; none of them may hold a secret."""


F = TypeVar("F", bound=Callable[..., Any])


def _clear_errors(function: F) -> F:
    """End Snakemake with an error's own lines: an exception of Snakemake's would add the stack of this package."""

    @functools.wraps(function)
    def guarded(*arguments: Any) -> Any:
        try:
            return function(*arguments)
        except BenchmarkError as error:
            raise SystemExit("\n".join(error_lines(error))) from None

    return guarded  # type: ignore[return-value]


class Flow:
    """The experiment as rules see it: functions of wildcards for inputs, params and resources.

    Args:
        settings: Snakemake's `config`; in a module, what the importing workflow says, laid over this one's config.yaml.
        workflow: Snakemake's workflow object.
    """

    @_clear_errors
    def __init__(self, settings: Mapping[str, Any], workflow: Any) -> None:
        self.is_module = not workflow.modifier.is_main_snakefile()
        beside = workflow.current_basedir.get_path_or_uri(secret_free=True)
        self.home = workflow_home(beside) if self.is_module else Path(beside)
        self.overrides = _as_typed(workflow)
        if self.is_module:
            _refuse_prefix(workflow)
            given = workflow.config_settings.overwrite_config
            self.overrides = {k: v for k, v in self.overrides.items() if k in given and settings.get(k) == given[k]}
            settings = _over_shipped(settings, self.home)
        elif Path(CONFIG_FILE).is_file() and not workflow.config_settings.replace_workflow_config:
            settings = read_settings(Path(CONFIG_FILE))
        self.settings = apply_batch(effective_settings(settings, self.overrides, Path.cwd()), self.overrides)
        config = load_config(self.settings)
        self.experiment: Experiment = open_experiment(config, Path.cwd(), self.home)
        self.profile = self.experiment.run
        self.source = self.experiment.source
        sequential = config.execution_mode is ExecutionMode.SEQUENTIAL
        self._started = time.time()
        logging.getLogger("snakemake.logging").addFilter(_shorten)
        _prepare_environment()
        self.blocks_at_once = 1 if sequential else config.max_concurrent_batches
        self._servers = sorted({server for p in config.profiles for server in self.experiment.servers(p).values()})
        self._limit(workflow, "measuring", self.blocks_at_once)
        for number in range(len(self._servers)):
            self._limit(workflow, f"server_{number}", 1)
        self._workflow = workflow
        self._programs: dict[str, str] = {}
        if workflow.is_main_process:
            for line in config.replaced:
                print(f"note: {line}", file=sys.stderr)
            if self.source == "cases":
                choose_sandbox(config.tool_sandbox)
            for tool in self.experiment.tools.values() if self.source == "cases" else ():
                installed_version(tool, config.tool_sandbox)
            self._require_servable()
            _require_writable(Path(paths.LOGS).parent)
            clear_stale_lock(Path(".snakemake"))
        if workflow.is_main_process or workflow.remote_exec:  # on a cluster's node the run is that node's Snakemake
            os.environ[RUN_PID] = str(os.getpid())
            os.environ.pop(WORKER, None)  # of a run that this one is part of

    def _require_servable(self) -> None:
        """What an embedded server could not serve ends the run before anything is fetched or asked."""
        if self.source != "samples":
            for tag, weights in self.experiment.weights(self.profile).items():
                require_servable(tag, weights, Path())

    @staticmethod
    def _limit(workflow: Any, resource: str, most: int) -> None:
        """A limit that holds on a plain `snakemake` too; one given on the command line wins."""
        if resource not in workflow.global_resources:
            workflow.register_resource(resource, most)

    def block_resources(self) -> dict[str, Any]:
        """Resources of a block: a share of the measuring machine, and its model's server for itself."""

        def uses(number: int) -> Callable[[Any], int]:
            def amount(wildcards: Any) -> int:
                servers = self.experiment.servers(wildcards.profile)
                return int(servers.get(wildcards.model) == self._servers[number])

            return amount

        return {"measuring": 1} | {f"server_{number}": uses(number) for number in range(len(self._servers))}

    before_blocks = 1000
    """Priority of all that comes first, so that a mistake shows before hours of measuring."""

    def block_priority(self, wildcards: Any) -> int:
        """Blocks of one model follow each other, so that a server that serves several does not load back and forth."""
        models = list(self.experiment.servers(wildcards.profile))
        return self.before_blocks - 1 - models.index(wildcards.model) if wildcards.model in models else 0

    @_clear_errors
    def targets(self, stage: str) -> list[str]:
        """Files that a target rule of the configured profile asks for: `blocks`, `tables`, `report` or `archive`."""
        profile = self.profile
        if stage == "blocks":
            return [paths.BLOCK.format(profile=profile, model=m, task=t) for m, t in self.experiment.blocks(profile)]
        if stage == "tables":
            return [f"{paths.TABLES}/samples.csv".format(profile=profile)]
        if stage == "archive":
            return [paths.ARCHIVE.format(profile=profile, archive=self.experiment.archive_name(profile))]
        return [f"{paths.REPORT}/report.html".format(profile=profile)]

    # inputs and params, by wildcards

    @_clear_errors
    def task_files(self, wildcards: Any) -> list[str]:
        """Files of a task that its prompts depend on."""
        return [str(path) for path in self._task(wildcards).input_files()]

    @property
    def corpora_file(self) -> str:
        return str(own_or_shipped(Path(paths.CORPORA), Path.cwd(), self.home))

    @property
    def report_notebook(self) -> str:
        return str(own_or_shipped(self.experiment.config.report.notebook, Path.cwd(), self.home))

    @property
    def report_templates(self) -> list[str]:
        """The user's own templates."""
        return [str(path) for path in self.experiment.config.report.templates]

    tables = paths.TABLE_FILES

    @_clear_errors
    def corpora(self, wildcards: Any) -> list[str]:
        """Corpora that a task's cases read."""
        return [paths.CORPUS_RECEIPT.format(corpus=corpus) for corpus in self._task(wildcards).corpora]

    @_clear_errors
    def tool_files(self, wildcards: Any) -> list[str]:
        """A tool's own file and what lies beside it under its name."""
        path = self.experiment.tool_files[wildcards.tool]
        return [str(path), *map(str, companions(path))]

    @_clear_errors
    def tool_program(self, wildcards: Any) -> str:
        """Digest of a tool as it is installed: another one runs it again."""
        name = wildcards.tool
        if name not in self._programs:
            spec = load_tool(self.experiment.tool_files[name])
            self._programs[name] = tool_digest(spec, installed_version(spec, self.experiment.config.tool_sandbox))
        return self._programs[name]

    @_clear_errors
    def context_cases(self, wildcards: Any) -> list[str]:
        """Cases that a tool runs on: those that are asked, and those that it is known to have run on as it is now."""
        if self._workflow.is_main_process:  # Snakemake knows its own command line only once the Snakefile is read
            note_call(self.experiment, self.settings, self._workflow.dag_settings)
        known = read_contexts(Path(paths.CONTEXTS.format(task=wildcards.task, tool=wildcards.tool)))
        program = self.tool_program(wildcards)
        wanted = {*asked_cases(self.experiment, wildcards.task)}
        wanted |= {case for case, row in known.items() if row.program == program}
        return [case.id for case in self._task(wildcards).cases if case.id in wanted and not case.contexts]

    @_clear_errors
    def look_for_servers(self) -> None:
        """Before tools run for minutes: whether the servers answer that are asked afterwards and that no run starts."""
        jobs = list(self._workflow.dag.needrun_jobs()) if self._workflow.is_main_process else []
        if any(job.rule.name == "collect_contexts" for job in jobs):
            blocks = [job.wildcards for job in jobs if job.rule.name in ("run_block", "run_sample")]
            for line in require_servers(self.experiment, {(block.profile, block.model) for block in blocks}):
                print(f"warning: {line}", file=sys.stderr, flush=True)

    start_block = block_worker.PROGRAM

    def offer_worker(self) -> None:
        """Have one process do the imports of all blocks that this run asks."""
        block_worker.offer_worker(self._workflow, Path(".snakemake"))

    @_clear_errors
    def task_tools(self, wildcards: Any) -> list[str]:
        """Ids of the tools whose results a task's prompts use, in the order of `contexts`."""
        return self.experiment.task_tools(wildcards.task)

    @_clear_errors
    def shown_tools(self, wildcards: Any) -> list[str]:
        """Ids of the tools behind the arm `tools` and the controls."""
        return self.experiment.shown_tools(wildcards.task)

    @_clear_errors
    def task_folder(self, wildcards: Any) -> str:
        return str(self._task(wildcards).folder)

    @_clear_errors
    def contexts(self, wildcards: Any) -> list[str]:
        """Tool results that a task's prompts need."""
        return [paths.CONTEXTS.format(task=wildcards.task, tool=tool) for tool in self.task_tools(wildcards)]

    @_clear_errors
    def prompts(self, wildcards: Any) -> list[str]:
        """Prompts of every task of the run."""
        return [paths.PROMPTS.format(task=task) for task in self.experiment.tasks]

    @_clear_errors
    def weights(self, wildcards: Any) -> list[str]:
        """Weights of a block's model, where the embedded endpoint serves it."""
        known = self.experiment.weights(wildcards.profile)
        return [str(known[tag].path) for tag in known if paths.safe_model(tag) == wildcards.model]

    @property
    def fetched_weights(self) -> str:
        """A pattern of the files that can be fetched: those of the catalogue."""
        files = [re.escape(model.file) for model in self.experiment.catalogue.values()]
        return "|".join(files) or "none"

    def pinned(self, wildcards: Any) -> dict[str, str]:
        """The catalogue's model behind a file of weights: its tag and checksum."""
        model = next(model for model in self.experiment.catalogue.values() if model.file == wildcards.weights)
        return {"tag": model.tag, "sha256": model.sha256}

    @property
    def models_file(self) -> str:
        return str(self.experiment.models_file)

    @_clear_errors
    def block(self, wildcards: Any) -> str:
        return self.experiment.block(wildcards.profile, wildcards.model, wildcards.task).to_json()

    @_clear_errors
    def block_of_sample(self, wildcards: Any) -> str:
        """The block that a single sample belongs to, as JSON."""
        block = self.experiment.block(wildcards.profile, wildcards.model, wildcards.task)
        approach, sample = wildcards.approach, wildcards.sample
        if approach not in block.approaches:
            raise ConfigurationError(f"'{approach}' is not an arm of this run, {nearest(approach, block.approaches)}")
        if sample not in map(str, range(block.samples)):
            raise ConfigurationError(
                f"an arm of this run has the samples 0 to {block.samples - 1}, not {sample}",
                remedy="Ask for more with samples=N",
            )
        return block.to_json()

    @_clear_errors
    def plan(self, wildcards: Any) -> dict[str, Any]:
        return self.experiment.plan(wildcards.profile)

    def plugin_names(self, wildcards: Any, input: Any) -> list[str]:
        """What a script loads. (A function of `input` is not among the parameters whose change runs a job again.)"""
        return list(self.experiment.config.every_plugin)

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

    @_clear_errors
    def analysis(self, wildcards: Any) -> dict[str, Any]:
        """Settings that the tables depend on."""
        config = self.experiment.config
        return {
            "reference": config.plan.reference,
            "thresholds": config.validity.model_dump(),
            "shown": self.experiment.shown_arm,
            "plan": self.about(wildcards).get("plan"),
        }

    @_clear_errors
    def about(self, wildcards: Any) -> dict[str, Any]:
        """What a report says of the run besides its tables; of a recorded run, what was recorded."""
        recorded = Path(paths.ABOUT.format(profile=wildcards.profile))
        if self.source == "samples" and recorded.exists():
            about: dict[str, Any] = json.loads(recorded.read_bytes())
            return about
        given = {name: value for name, value in self.overrides.items() if name in REPEATED}
        return self.experiment.about(wildcards.profile) | {"given": given}

    @_clear_errors
    def archived(self, wildcards: Any) -> dict[str, Any]:
        """What an archive of the run is made of, besides its results."""
        home = os.path.relpath(self.home)
        return self.experiment.archived(wildcards.profile) | {"about": self.about(wildcards), "home": home}

    @_clear_errors
    def comparisons(self, wildcards: Any) -> list[str]:
        """Comparisons that `compare=a,b,c` asks for: the first with each other one."""
        first, *others = self.experiment.compared
        for replay in (name for name in (first, *others) if name.endswith(paths.REPLAY)):
            recorded = replay.removesuffix(paths.REPLAY)
            if not self._has_blocks(recorded):
                raise ConfigurationError(
                    f"there is no finished run of '{recorded}' to replay",
                    remedy=f"Run it first, with the same settings: snakemake report --config profile={recorded}",
                )
            if self.source == "samples" and not self._has_blocks(replay):
                raise ConfigurationError(
                    f"'{recorded}' was not replayed yet",
                    remedy=f"Do that first: snakemake report --config profile={recorded} endpoint=replay",
                )
        return [f"{paths.COMPARISON.format(before=first, after=other)}/overview.html" for other in others]

    def _has_blocks(self, profile: str) -> bool:
        blocks = self.experiment.blocks(profile)
        return all(Path(paths.BLOCK.format(profile=profile, model=m, task=t)).exists() for m, t in blocks)

    @staticmethod
    def compared_tables(side: str) -> Callable[[Any], list[str]]:
        """The tables of samples and of verdicts of one side of a comparison."""
        return lambda wildcards: [
            f"{paths.TABLES.format(profile=wildcards[side])}/{name}" for name in ("samples.parquet", "verdicts.csv")
        ]

    @_clear_errors
    def batch_report(self, wildcards: Any) -> list[str]:
        """The overview and every member's report of the batch that `batch=NAME` names."""
        name = self.experiment.config.batch
        if not name:
            raise ConfigurationError("say which batch to run: snakemake batch --config batch=quick")
        batch = find_batch(self.settings, name)
        from ai_dev_tools.benchmark.planning.estimate import announcement, estimate

        guess = estimate(self.experiment, list(batch.profiles), Path())
        print(announcement(name, batch, guess), file=sys.stderr)
        reports = [f"{paths.REPORT}/report.html".format(profile=profile) for profile in batch.profiles]
        return [*reports, f"{paths.BATCH.format(batch=name)}/overview.html"]

    @_clear_errors
    def batch_tables(self, wildcards: Any) -> list[str]:
        """The tables of samples and of verdicts of a batch's members."""
        profiles = find_batch(self.settings, wildcards.batch).profiles
        folders = [paths.TABLES.format(profile=profile) for profile in profiles]
        return [f"{folder}/{name}" for folder in folders for name in ("samples.parquet", "verdicts.csv")]

    @_clear_errors
    def batch_members(self, wildcards: Any) -> dict[str, Any]:
        """What the batch is, as its report says it."""
        return find_batch(self.settings, wildcards.batch).model_dump(mode="json")

    @property
    def given_settings(self) -> list[str]:
        """The settings of the command line, as the benchmark's own commands take them."""
        pairs = [f"{key}={spell(value)}" for key, value in self.overrides.items()]
        return ["--config", *pairs] if pairs else []

    def say_goodbye(self) -> None:
        """The last words of a run: its result in short, and where the report is; none where nothing was measured or told."""
        from ai_dev_tools.benchmark.reporting import console_summary, usual_format
        from ai_dev_tools.benchmark.workflow.notify import announce

        rendered = self._made_now("results/*/report/report.json", 2)
        for profile in sorted(rendered | self._made_now("results/*/blocks/*/*.jsonl", 3)):
            announce(Path(paths.RUN.format(profile=profile)), profile, succeeded=True)
        if self.profile in rendered and os.environ.get(SUMMARY) != "off":
            report = Path(paths.REPORT.format(profile=self.profile))
            chosen = self.experiment.config.output_format or usual_format(sys.stderr)
            print(console_summary(report, chosen), file=sys.stderr)

    def say_what_failed(self) -> None:
        """The last words of a run that failed: each error once, below all that Snakemake says of its jobs."""
        from ai_dev_tools.benchmark.workflow.notify import announce

        logs = [path for path in Path(paths.LOGS).glob("*.log") if path.stat().st_mtime >= self._started]
        if not logs:
            return  # a check of settings that failed, and has said why
        announce(Path(paths.RUN.format(profile=self.profile)), self.profile, succeeded=False)
        texts = [log.read_text(encoding="utf-8", errors="replace") for log in sorted(logs)]
        lines = [line for text in texts for line in text.splitlines() if line.startswith("error: ")]
        said = ["The run is not complete; the same command goes on where it stopped.", *dict.fromkeys(lines)]
        print(*said, sep="\n", file=sys.stderr)

    def _made_now(self, pattern: str, levels: int) -> set[str]:
        """Profiles that have a file of this pattern, so many levels below their results, made since this run began."""
        found = [path for path in Path().glob(pattern) if path.stat().st_mtime >= self._started]
        return {path.parents[levels - 1].name for path in found}

    @_clear_errors
    def blocks(self, wildcards: Any) -> list[str]:
        """Block files of a profile; with `partial`, those that exist."""
        profile = wildcards.profile
        files = [paths.BLOCK.format(profile=profile, model=m, task=t) for m, t in self.experiment.blocks(profile)]
        return [file for file in files if Path(file).exists()] if self.experiment.config.partial else files

    def corpus_round(self, wildcards: Any) -> int:
        """Raised when fetching failed in a way that may pass, so that the next run tries again."""
        from ai_dev_tools.benchmark.tasks.receipts import read_round

        return read_round(Path(paths.CORPUS_RECEIPT.format(corpus=wildcards.corpus)))

    def _task(self, wildcards: Any) -> Any:
        return self.experiment.tasks[wildcards.task]


def _shorten(record: logging.LogRecord) -> bool:
    """Leave a block's whole design out of what Snakemake says of a failed job, so that the job's own line can be seen."""
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


def _prepare_environment() -> None:
    """Let jobs find this interpreter as `python3` (in a conda environment its own), and a new one this package."""
    beside = str(Path(sys.executable).parent)
    if shutil.which("python3") != f"{beside}/python3":
        os.environ["PATH"] = os.pathsep.join([beside, os.environ.get("PATH", os.defpath)])
    os.environ["AI_DEV_BENCH_PACKAGE"] = str(Path(ai_dev_tools.__file__).parent)  # for envs/environment.post-deploy.sh


def _as_typed(workflow: Any) -> dict[str, Any]:
    """Settings of `--configfile` and `--config` as they were written, before Snakemake read `007` as 7."""
    given = workflow.config_settings
    pairs = given.config_args or []
    if not isinstance(pairs, list | tuple) or any(str(pair).startswith("base64//") for pair in pairs):
        return dict(given.overwrite_config)  # not from a command line
    found: dict[str, Any] = {}
    for path in given.configfiles:
        update(found, read_settings(Path(path)))
    update(found, parse_overrides([str(pair) for pair in pairs]))
    return found


def _over_shipped(settings: Mapping[str, Any], home: Path) -> dict[str, Any]:
    """What an importing workflow says, over the config.yaml that this workflow brings."""
    merged = read_settings(home / CONFIG_FILE)
    update(merged, settings)
    return merged


def _refuse_prefix(workflow: Any) -> None:
    """Samples are files that Snakemake does not know of, so it could not put a prefix before them."""
    modifier = workflow.modifier.path_modifier
    if modifier.prefix or getattr(modifier, "_prefix_replacements", None):
        raise ConfigurationError(
            "this workflow cannot be used as a module with `prefix` or `replace_prefix`",
            remedy="Leave it out, and run the workflow in a folder of its own (snakemake --directory)",
        )
