from pathlib import Path

from ai_dev_tools.benchmark.comparing import write_comparison
from ai_dev_tools.benchmark.jobs import job
from ai_dev_tools.benchmark.runs import read_run

with job(snakemake.log[0]):
    before, after = (read_run(Path(snakemake.input[side][0]).parents[1]) for side in ("before", "after"))
    write_comparison(before, after, Path(snakemake.output.json).parent, snakemake.params.reference)
