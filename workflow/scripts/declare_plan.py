from pathlib import Path

from ai_dev_tools.benchmark.execution.job import job
from ai_dev_tools.benchmark.records.plan import Plan, declare_plan

with job(snakemake.log[0]) as say:
    plan = Plan.from_content(snakemake.params.plan)
    if declare_plan(Path(snakemake.output[0]), plan):
        say(f"plan {plan.digest} is declared in {snakemake.output[0]}")
