"""Every path of a run, declared once. Patterns are Snakemake's; constructors never make a directory."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from ai_dev_tools.benchmark.errors import ConfigurationError
from ai_dev_tools.benchmark.records.names import safe_segment

CONFIG = "config/config.yaml"
TASKS = "config/tasks"
OWN_TASKS = "config/tasks_local"
TOOLS = "config/tools"
AGENTS = "config/agents"
CORPORA = "config/corpora.yaml"
MODELS = "config/models.yaml"
NOTEBOOK = "notebooks/report.ipynb"

CORPORA_FOLDER = "resources/corpora"
CORPUS_RECEIPT = f"{CORPORA_FOLDER}/{{corpus}}.json"
REPOSITORIES_FOLDER = "resources/repositories"
REPOSITORY_RECEIPT = f"{REPOSITORIES_FOLDER}/{{repository}}.json"
WEIGHTS = "resources/models/{weights}"
PROGRAMS = "resources/agents"

CASE_LIST = "resources/cases/{sha256}.{format}"
FETCHED = tuple(str(Path(path).parent) for path in (WEIGHTS, CORPUS_RECEIPT, REPOSITORY_RECEIPT, CASE_LIST))
"""Folders of downloads that are fetched again when needed; known digests of container images are not among them."""

CONTEXTS = "results/contexts/{task}.{tool}.jsonl"
PREPARED = "results/prepared/{task}.{tool}.jsonl"
PREPARED_FILES = "results/prepared/files"
PREPARED_CHECK = "results/prepared/{tool}.checked"
PROMPTS = "results/prompts/{task}.jsonl"

RUN = "results/{profile}"
SAMPLES = f"{RUN}/samples"
SAMPLE = f"{SAMPLES}/{{model}}/{{task}}/{{approach}}/{{sample}}.json"
BLOCK = f"{RUN}/blocks/{{model}}/{{task}}.jsonl"
PLANS = f"{RUN}/plans.jsonl"
TABLES = f"{RUN}/tables"
TABLE_NAMES = (
    "samples", "metrics", "comparisons", "costs", "break_even", "validity", "verdicts", "checks", "controls",
    "skipped", "efficiency", "definitions", "sensitivity", "reasons",
)  # fmt: skip
"""CSV tables of a run; the samples and the whole validity ledger are also Parquet files, the verdicts also JSON."""
LATER_TABLES = ("sensitivity", "reasons")
"""Tables that archives of earlier versions lack."""
TABLE_FILES = {name: f"{TABLES}/{name}.csv" for name in TABLE_NAMES} | {
    f"{name}_parquet": f"{TABLES}/{name}.parquet" for name in ("samples", "validity")
}
TABLE_FILES["verdicts_json"] = f"{TABLES}/verdicts.json"
FIGURES = f"{RUN}/figures"
IDENTITY = f"{RUN}/identity"
ARCHIVE = f"{RUN}/archive/{{archive}}.crate.zip"
ABOUT = f"{RUN}/about.json"
REPLAY = "@replay"
"""Suffix of a profile's name for the results of replaying its recorded answers."""
REPORT = f"{RUN}/report"
PAGE = f"{REPORT}/report.html"
REPORT_FILES = {
    kind: f"{REPORT}/report.{ending}"
    for kind, ending in {
        "markdown": "md", "json": "json", "csv": "csv", "text": "txt", "junit": "xml", "notebook": "ipynb",
    }.items()
}  # fmt: skip
COMPARISON = "results/comparison/{before}__{after}"
BATCH = "results/batches/{batch}"
LOGS = "results/logs"
BENCHMARKS = f"{LOGS}/benchmarks"
"""What Snakemake measured of the jobs whose time matters: seconds, memory, CPU."""
SERVER_LOGS = f"{RUN}/logs"


@cache
def safe_model(model: str) -> str:
    """A model tag as one path segment: `llama3.2:1b` -> `llama3.2-1b`.

    Raises:
        ConfigurationError: nothing is left, as with `..`; such names are refused for all inputs.
    """
    try:
        return safe_segment(model)
    except ValueError as error:
        raise ConfigurationError(f"model {error}") from None


def sample_file(results: Path, model: str, task: str, approach: str, sample: int) -> Path:
    """The file of one sample below a profile's results folder."""
    return results / "samples" / safe_model(model) / task / approach / f"{sample}.json"


def identity_file(results: Path, model: str, task: str) -> Path:
    """Where a block records who answered it."""
    return results / "identity" / safe_model(model) / f"{task}.json"


def round_file(block: Path) -> Path:
    """Where a block notes how often it wants to run again, next to its file."""
    return block.with_suffix(".round")


def superseded_file(results: Path, sample_path: Path, stamp: str) -> Path:
    """Where a sample file moves if it no longer matches its request."""
    relative = sample_path.relative_to(results / "samples")
    return results / "superseded" / relative.with_name(f"{relative.stem}.{stamp}.json")
