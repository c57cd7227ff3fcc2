from pathlib import Path

from ai_dev_tools.benchmark.analysis.tables import write_tables
from ai_dev_tools.benchmark.execution.job import job

with job(snakemake.log[0]):
    write_tables(
        blocks=[Path(path) for path in snakemake.input.blocks],
        prompts=[Path(path) for path in snakemake.input.prompts],
        plans=Path(snakemake.input.plans),
        outputs={name: Path(path) for name, path in snakemake.output.items()},
        plugins=list(snakemake.params.plugins),
        **snakemake.params.settings,
    )
