from pathlib import Path

from ai_dev_tools.benchmark.endpoints.embedded.catalogue import load_catalogue
from ai_dev_tools.benchmark.endpoints.embedded.weights import fetch_weights
from ai_dev_tools.benchmark.execution.job import job

with job(snakemake.log[0]) as say:
    model = load_catalogue(Path(snakemake.params.catalogue))[snakemake.params.pinned["tag"]]
    fetch_weights(model, Path(snakemake.output[0]), say)
