from pathlib import Path

from ai_dev_tools.benchmark.execution.job import job
from ai_dev_tools.benchmark.records.plan import declare_plan, plan_hash

with job(snakemake.log[0]) as say:
    if declare_plan(Path(snakemake.output[0]), snakemake.params.plan):
        say(f"plan {plan_hash(snakemake.params.plan)} is declared in {snakemake.output[0]}")
