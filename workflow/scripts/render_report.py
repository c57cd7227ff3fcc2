from pathlib import Path

from ai_dev_tools.benchmark.execution.job import job
from ai_dev_tools.benchmark.records.about import RunAbout
from ai_dev_tools.benchmark.reporting import Inputs, render_report

with job(snakemake.log[0]):
    inputs = Inputs(
        tables=Path(snakemake.input.tables[0]).parent,
        notebook=Path(snakemake.input.notebook),
        plans=Path(snakemake.input.plans),
        blocks=[Path(path) for path in snakemake.input.blocks],
        prompts=[Path(path) for path in snakemake.input.prompts],
        about=RunAbout.read(snakemake.params.about),
        templates=[Path(path) for path in snakemake.input.get("templates", [])],
        plugins=list(snakemake.params.plugins),
    )
    render_report(inputs, Path(snakemake.output.html).parent, Path(snakemake.output.figures))
