from pathlib import Path

from ai_dev_tools.benchmark.agents.workspace_preparation import require_prepared
from ai_dev_tools.benchmark.execution.job import job
from ai_dev_tools.benchmark.prompts.tools import load_tool

with job(snakemake.log[0]):
    said = require_prepared(load_tool(Path(snakemake.input.tool[0])), map(Path, snakemake.input.prepared))
    Path(snakemake.output[0]).write_text(f"{said}\n")
