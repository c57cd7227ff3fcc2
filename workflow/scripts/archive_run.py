from pathlib import Path

from ai_dev_tools.benchmark.archive import Subject, build_archive, verify
from ai_dev_tools.benchmark.execution.job import job

with job(snakemake.log[0]) as say:
    output = Path(snakemake.output[0])
    build_archive(Subject.from_dict(snakemake.params.subject), Path(), output)
    say(verify(output).require().line)
