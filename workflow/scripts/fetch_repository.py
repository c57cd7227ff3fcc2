from pathlib import Path

from ai_dev_tools.benchmark.execution.job import job
from ai_dev_tools.benchmark.tasks.receipts import fetch_repository_with_receipt

with job(snakemake.log[0]):
    fetch_repository_with_receipt(Path(snakemake.output[0]), **snakemake.params.place)
