from pathlib import Path

from ai_dev_tools.benchmark.comparison import write_batch_report
from ai_dev_tools.benchmark.comparison.run import open_run
from ai_dev_tools.benchmark.config.batches import Batch
from ai_dev_tools.benchmark.config.thresholds import ValidityThresholds
from ai_dev_tools.benchmark.execution.job import job
from ai_dev_tools.benchmark.records import paths

with job(snakemake.log[0]):
    judging = snakemake.params.judging
    thresholds = ValidityThresholds.model_validate(judging["thresholds"])
    batch = Batch.model_validate(snakemake.params.batch)
    runs = [open_run(Path(paths.RUN.format(profile=profile))) for profile in batch.profiles]
    folder = Path(snakemake.output.json).parent
    write_batch_report(snakemake.wildcards.batch, batch, runs, folder, judging["reference"], thresholds)
