from pathlib import Path

from ai_dev_tools.benchmark.comparison import write_comparison
from ai_dev_tools.benchmark.comparison.run import open_run
from ai_dev_tools.benchmark.config.thresholds import ValidityThresholds
from ai_dev_tools.benchmark.execution.job import job

with job(snakemake.log[0]):
    judging = snakemake.params.judging
    thresholds = ValidityThresholds.model_validate(judging["thresholds"])
    before, after = (open_run(Path(snakemake.input[side][0]).parents[1]) for side in ("before", "after"))
    write_comparison(before, after, Path(snakemake.output.json).parent, judging["reference"], thresholds)
