from pathlib import Path

from ai_dev_tools.benchmark.execution.job import job
from ai_dev_tools.benchmark.plugins import load_plugins
from ai_dev_tools.benchmark.prompts import render_prompts, write_prompts
from ai_dev_tools.benchmark.prompts.approaches import find_approach
from ai_dev_tools.benchmark.prompts.tool_results import read_contexts
from ai_dev_tools.benchmark.records import paths
from ai_dev_tools.benchmark.tasks.loading import load_task

with job(snakemake.log[0]):
    load_plugins(snakemake.params.plugins)
    task = load_task(Path(snakemake.params.folder))
    contexts = dict(zip(snakemake.params.tools, map(read_contexts, map(Path, snakemake.input.contexts)), strict=True))
    arms = [find_approach(name, contexts) for name in snakemake.params.approaches]
    rows = render_prompts(task, contexts, arms, Path(paths.CORPORA_FOLDER), snakemake.params.shown)
    write_prompts(Path(snakemake.output[0]), rows)
