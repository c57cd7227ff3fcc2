from pathlib import Path

from ai_dev_tools.benchmark import paths
from ai_dev_tools.benchmark.batches import Batch
from ai_dev_tools.benchmark.comparing import write_batch_report
from ai_dev_tools.benchmark.jobs import job
from ai_dev_tools.benchmark.runs import read_run

with job(snakemake.log[0]):
    batch = Batch.model_validate(snakemake.params.batch)
    runs = [read_run(Path(paths.RUN.format(profile=profile))) for profile in batch.profiles]
    folder = Path(snakemake.output.json).parent
    write_batch_report(snakemake.wildcards.batch, batch, runs, folder, snakemake.params.reference)
