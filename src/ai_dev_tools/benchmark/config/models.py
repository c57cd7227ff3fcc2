"""The settings of a run: strict models of `config/config.yaml`, parsed once."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    PositiveFloat,
    PositiveInt,
    field_validator,
    model_validator,
)

from ai_dev_tools.benchmark._util import credentials
from ai_dev_tools.benchmark._util.addresses import Address, parse_address
from ai_dev_tools.benchmark._util.json_values import JsonValue
from ai_dev_tools.benchmark.config.agent import AgentSettings
from ai_dev_tools.benchmark.config.as_written import as_list as as_list
from ai_dev_tools.benchmark.config.batches import Batch
from ai_dev_tools.benchmark.config.parsing import PathSafe, StrictModel, nearest, parse_settings
from ai_dev_tools.benchmark.config.prices import BudgetAmount, Prices, check_prices
from ai_dev_tools.benchmark.config.thresholds import Amount as Amount
from ai_dev_tools.benchmark.config.thresholds import Share as Share
from ai_dev_tools.benchmark.config.thresholds import ValidityThresholds as ValidityThresholds
from ai_dev_tools.benchmark.errors import ConfigurationError, ConfigurationErrors
from ai_dev_tools.benchmark.plugins import DEFAULT_APPROACHES, ENDPOINT_KINDS, SHIPPED_ENDPOINT_KINDS
from ai_dev_tools.benchmark.records.block import Think
from ai_dev_tools.benchmark.records.endpoint_spec import is_url
from ai_dev_tools.benchmark.records.names import safe_segment
from ai_dev_tools.benchmark.records.paths import NOTEBOOK
from ai_dev_tools.benchmark.records.plan import (
    ALPHA,
    MARGIN_RATIO,
    ClaimedOutcome,
    Level,
    QualityRule,
    Ratio,
)


class HardwareProfile(enum.StrEnum):
    """The shipped hardware profiles; a config can add more."""

    EMBEDDED = "embedded"
    CODER = "coder"
    LIGHT = "light"
    MEDIUM = "medium"
    HEAVY = "heavy"


class WorkflowType(enum.StrEnum):
    """What kind of work a task asks for."""

    SAFETY_CHECK = "safety_check"
    PATTERN_ANALYSIS = "pattern_analysis"
    CONTEXT_ANALYSIS = "context_analysis"
    SYSTEMATIC_FIX = "systematic_fix"
    REPO_ANALYSIS = "repo_analysis"
    CUSTOM = "custom"


class OutputFormat(enum.StrEnum):
    """What the console prints and the command line returns; every format is always written."""

    JSON = "json"
    MARKDOWN = "markdown"
    CSV = "csv"
    CONSOLE = "console"


class ExecutionMode(enum.StrEnum):
    """How many requests are in flight: one in total, one per instance, or `max_concurrent` per instance."""

    SEQUENTIAL = "sequential"
    PARALLEL = "parallel"
    ASYNC = "async"


Names = Annotated[tuple[str, ...], BeforeValidator(as_list), Field(min_length=1)]
Folders = Annotated[tuple[Path, ...], BeforeValidator(as_list)]


def _as_names(value: object) -> object:
    """A list of names, in which a path counts as its text."""
    listed = as_list(value)
    return (
        [str(item) if isinstance(item, PurePath) else item for item in listed]
        if isinstance(listed, list | tuple)
        else listed
    )


Plugins = Annotated[tuple[Annotated[str, Field(min_length=1)], ...], BeforeValidator(_as_names)]
ALL = "all"
TASK_TIMEOUT_S = 30.0


def _model(tag: str) -> str:
    """A model tag; refused if it cannot name the folder of its samples."""
    safe_segment(tag)
    return tag


class Options(StrictModel):
    """Request options, passed to the model's server unchanged."""

    temperature: Annotated[float, Field(ge=0)] = Field(0.0, description="sampling temperature; 0 = greedy")
    num_ctx: PositiveInt = Field(8192, description="context window in tokens")
    num_predict: PositiveInt = Field(512, description="maximum tokens of an answer")
    top_k: PositiveInt | None = Field(None, description="sample only from the k most likely tokens")
    top_p: Annotated[float, Field(gt=0, le=1)] | None = Field(None, description="sample from this probability mass")
    repeat_penalty: PositiveFloat | None = Field(None, description="penalty for repeated tokens")


class Instance(StrictModel):
    """One model behind one endpoint."""

    model: Annotated[str, AfterValidator(_model)] = Field(min_length=1, description="model tag as Ollama knows it")
    file: Path | None = Field(None, description="GGUF file for the embedded endpoint, to serve a custom model")
    host: str = Field("localhost", min_length=1, description="host of its Ollama; also `host:port` and `[::1]`")
    port: Annotated[int, Field(ge=1, le=65535)] | None = Field(None, description="port of its Ollama")
    api: Literal["ollama", "openai"] | None = Field(
        None, description="API that its server speaks; default: openai where the address ends in /v1, else found out"
    )
    base_url: str | None = Field(
        None, description="address of its server, like https://models.example/v1, instead of the profile's endpoint"
    )
    key_env: str | None = Field(
        None, description="environment variable that holds the server's key; default: server.token_env"
    )
    max_concurrent: PositiveInt | None = Field(None, description="requests in flight at once")
    replicas: tuple[str, ...] = Field((), description="base URLs of more servers with the same model")
    memory_gb: PositiveFloat | None = Field(
        None, description="memory a server needs, in GB; its start waits until this much is free"
    )

    @model_validator(mode="before")
    @classmethod
    def _split_host(cls, data: object) -> object:
        """Split a host that includes a port, and remove brackets."""
        if not isinstance(data, dict) or not isinstance(host := data.get("host"), str):
            return data
        address = _address(host, "host")
        if address is None or host == address.host:
            return data
        if address.scheme == "https" or address.path:
            raise ValueError(f"host {host!r} is more than a host name: write endpoint={address.url}")
        if address.port and data.get("port") not in (None, address.port):
            raise ValueError(f"host {host!r} has another port than 'port' ({data['port']})")
        plain = host if host.lower() == address.host else address.host
        return data | {"host": plain} | ({"port": address.port} if address.port else {})

    @field_validator("replicas")
    @classmethod
    def _usable(cls, urls: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(_base_url(url, "replicas") for url in urls)

    @field_validator("base_url")
    @classmethod
    def _usable_base(cls, url: str | None) -> str | None:
        return None if url is None else _base_url(url, "base_url")


class ServerSettings(StrictModel):
    """Settings of the servers that a run starts or uses."""

    image: str | None = Field(None, description="image of the container kind, its tag pinned")
    gpus: str | None = Field(None, description="GPUs for a container, as `docker run --gpus` takes them")
    models_dir: str | None = Field(None, description="folder (process) or volume (container) that keeps pulled models")
    token_env: str | None = Field(None, description="environment variable that holds a bearer token")
    environment: dict[str, str] = Field({}, description="more environment variables for a server started by the run")
    cache_prompt: bool = Field(
        False, description="let the server cache prompt prefixes: a declared warm-cache condition"
    )


class Profile(StrictModel):
    """A hardware profile: which instances, how many samples."""

    extends: str | None = Field(None, description="profile to start from: its settings and instances are inherited")
    description: str | None = Field(None, description="for people")
    best_for: str | None = Field(None, description="for people")
    min_ram_gb: PositiveFloat | None = Field(None, description="memory that `validate` requires, in GB")
    min_cores: PositiveInt | None = Field(None, description="cores that `validate` requires")
    samples: PositiveInt | None = Field(None, description="samples per approach")
    sizes: tuple[Literal["S", "L"], ...] | None = Field(None, description="size classes of the cases asked")
    endpoint: str | None = Field(None, description="how models are served; see the setting with this name")
    max_concurrent: PositiveInt | None = Field(
        None, description="requests in flight at once per instance, but no more than its server serves"
    )
    task_timeout: PositiveFloat | None = Field(None, description="seconds for one request")
    models: Names | None = Field(None, description="models that are asked unless `models` says otherwise")
    instances: dict[PathSafe, Instance | None] = Field(
        {}, description="models by instance name; null leaves out an inherited one"
    )


class QualityGate(QualityRule):
    """When an arm's answers count as not worse."""

    model_config = ConfigDict(extra="forbid", strict=False, allow_inf_nan=False)


class PlanSettings(StrictModel):
    """What a run sets out to show; written down before its first request."""

    alpha: Level = Field(ALPHA, description="family-wise error rate")
    margin_ratio: Ratio = Field(MARGIN_RATIO, description="'saves' requires a ratio certainly below this")
    reference: str = Field("baseline", description="arm that the others are compared with")
    outcomes: tuple[ClaimedOutcome, ...] | None = Field(
        None, description="what is claimed; default: tokens and time, and money where the run has prices"
    )
    quality: QualityGate = Field(QualityGate(), description="when answers count as not worse")
    effect: Ratio = Field(0.80, description="true ratio that `plan` sizes a run for; claims do not depend on it")
    power: Ratio = Field(0.80, description="probability of finding it, for one model and outcome")

    @model_validator(mode="before")
    @classmethod
    def _old_name(cls, data: object) -> object:
        """`outcomes` was called `endpoints` once; where both are written, the new name counts."""
        if not isinstance(data, dict) or "endpoints" not in data:
            return data
        return {"outcomes": data["endpoints"]} | {key: value for key, value in data.items() if key != "endpoints"}


class ArchiveSettings(StrictModel):
    """What an archive of the run adds to what was recorded."""

    author: str | None = Field(None, description="who made the run; written into archives")
    orcid: Annotated[str, Field(pattern=r"^\d{4}-\d{4}-\d{4}-\d{3}[\dX]$")] | None = Field(
        None, description="the author's ORCID iD, like 0000-0002-1825-0097"
    )
    affiliation: str | None = Field(None, description="the author's organisation")
    affiliation_url: str | None = Field(None, description="the organisation's page")
    license: str = Field("CC-BY-4.0", description="licence of the run's data, an SPDX identifier")
    include: tuple[Literal["corpora", "weights"], ...] = Field(
        (), description="also include these, as far as their licences allow it; otherwise they are referenced"
    )


class ReportSettings(StrictModel):
    """How the report is made; by default with this project's notebook and formats."""

    notebook: Path = Field(Path(NOTEBOOK), description="notebook that is executed and becomes report.html")
    templates: Folders = Field((), description="custom Jinja2 templates: x.md.j2 becomes x.md next to the report")


def _think(value: object) -> object:
    if value is None or isinstance(value, bool) or value in ("low", "medium", "high"):
        return value
    raise ValueError(f"{value!r} is not one of true, false, null, low, medium, high")


class Config(StrictModel):
    """All settings of a run."""

    profile: str = Field("embedded", description="hardware profile")
    batch: str | None = Field(None, description="batch to run: target `batch`")
    batches: dict[PathSafe, Batch] = Field({}, description="custom batches")
    compare: Names | None = Field(
        None, description="profiles to compare, the first with each of the others: target `compare`"
    )
    samples: PositiveInt | None = Field(None, description="samples per approach; default: the profile's")
    tasks: Names = Field((ALL,), description="task ids, or all")
    approaches: Names = Field(DEFAULT_APPROACHES, description="arms, or all")
    models: Names | None = Field(
        None, description="model tags or instance names of the profile, or all; default: the profile's"
    )
    tools: Names | None = Field(None, description="tools to judge, each in an arm tools-NAME instead of `tools`")
    endpoint: str | None = Field(None, description=f"{', '.join(SHIPPED_ENDPOINT_KINDS)}, a plugin's kind, or a URL")
    source: Literal["cases", "prompts", "samples"] = Field(
        "cases", description="what a run starts from: cases (everything), or existing prompts or samples"
    )
    retry: Literal["default", "all", "none", "pairs", "plan"] = Field(
        "default",
        description="failed samples that a rerun asks again; pairs: also arms of a case that were not asked together; "
        "plan: also all samples that were asked under an earlier plan",
    )
    partial: bool = Field(False, description="make tables and report from what exists")
    execution_mode: ExecutionMode = Field(ExecutionMode.ASYNC, description="how many requests are in flight at once")
    output_format: OutputFormat | None = Field(
        None, description="what is printed at the end of a run; default: console in a terminal, json elsewhere"
    )
    max_concurrent_batches: PositiveInt = Field(2, description="blocks (model x task) measured at once")
    container_startup_timeout: PositiveFloat = Field(180.0, description="seconds until an endpoint must be ready")
    task_timeout: PositiveFloat | None = Field(
        None, description="seconds for one request; default: the profile's, or 30"
    )
    retry_attempts: Annotated[int, Field(ge=1, le=20)] = Field(
        3, description="attempts per request, including the first"
    )
    tool_runs: PositiveInt = Field(1, description="cold runs of a tool per case; the median time counts")
    tool_sandbox: Literal["auto", "none", "bubblewrap"] = Field(
        "auto", description="sandbox for tools: bubblewrap if it works (auto), required, or none"
    )
    options: Options = Field(Options(), description="request options")
    think: Annotated[Think, BeforeValidator(_think)] = Field(
        False, description="whether a thinking model may think: true, false, low, medium, high; null leaves it out"
    )
    agent: AgentSettings = Field(AgentSettings(), description="how agent arms are asked, and their limits")
    task_folders: Folders = Field((), description="further folders of tasks")
    tool_folders: Folders = Field((), description="further folders of tools")
    server: ServerSettings = Field(ServerSettings(), description="settings of the servers that a run starts or uses")
    endpoint_file: Path | None = Field(None, description="replaced by `plugins`, which takes the same file")
    plan: PlanSettings = Field(PlanSettings(), description="what a run sets out to show")
    prices: Prices | None = Field(
        None, description="what requests cost, by model or instance; `list`: from the price list"
    )
    budget: BudgetAmount | None = Field(
        None, description="what a run may cost: it stops asking before that is exceeded"
    )
    validity: ValidityThresholds = Field(ValidityThresholds(), description="thresholds of the checks")
    plugins: Plugins = Field(
        (), description="what adds approaches, scorers, metrics …: Python files, installed plugins, modules"
    )
    archive: ArchiveSettings = Field(ArchiveSettings(), description="what an archive says about its author")
    report: ReportSettings = Field(ReportSettings(), description="how the report is made")
    profiles: dict[PathSafe, Profile] = Field(description="hardware profiles by name")

    @model_validator(mode="after")
    def _known_names(self) -> Config:
        if self.endpoint is not None and not self.every_plugin:
            check_endpoint(self.endpoint)
        if self.profile not in self.profiles:
            raise ValueError(f"unknown profile '{self.profile}', {nearest(self.profile, self.profiles)}")
        instances = [(key, one) for profile in self.profiles.values() for key, one in profile.instances.items() if one]
        known = [name for key, one in instances for name in (key, one.model)]
        check_prices(self.prices, self.budget, self.plan.outcomes or (), known)
        return self

    @property
    def every_plugin(self) -> tuple[str, ...]:
        """What `plugins` names, and the file of the setting that it replaced."""
        old = [str(self.endpoint_file)] if self.endpoint_file else []
        return tuple(dict.fromkeys([*self.plugins, *old]))

    @property
    def replaced(self) -> list[str]:
        """One line for each setting in use that another one replaced."""
        if self.endpoint_file is None:
            return []
        return [
            f"'endpoint_file' still works, and is replaced by 'plugins': write plugins={','.join(self.every_plugin)}"
        ]


def check_endpoint(value: str) -> str:
    """A known endpoint kind or a base URL, as given; raises ValueError with the nearest kind."""
    if is_url(value):
        _address(value, "endpoint")
        return value
    known = {*SHIPPED_ENDPOINT_KINDS, *ENDPOINT_KINDS}
    if value in known:
        return value
    hint = f"did you mean 'http://{value}'?" if ":" in value else nearest(value, known)
    raise ValueError(f"'{value}' is not a kind of endpoint, {hint} (or a URL)")


def _base_url(url: str, setting: str) -> str:
    """A base URL as a value in a setting, as given."""
    if not url.startswith(("http://", "https://")):
        raise ValueError(f"{url!r} is not a base URL: write http://host:port")
    if (path := "/chat/completions") in url:
        raise ValueError(f"{url!r} is more than a base URL: leave out {path}, as in {url.partition(path)[0]}")
    _address(url, setting)
    return url


def _address(text: str, setting: str) -> Address | None:
    """An address as a value of a setting; raises ValueError, so that the message names the setting."""
    try:
        return parse_address(text, setting)
    except ConfigurationError as error:
        raise ValueError(str(error)) from None


def load_config(data: Mapping[str, JsonValue], where: str = "config") -> Config:
    """The settings in `data`, as Snakemake or YAML provide them.

    Raises:
        ConfigurationErrors: one line per mistake.
    """
    if problems := credentials.secrets_in_settings(data):
        raise ConfigurationErrors([f"{where}: {problem}" for problem in problems])
    return parse_settings(Config, data, where)
