from pathlib import Path

from ai_dev_tools.benchmark.endpoints.weights import fetch_weights
from ai_dev_tools.benchmark.jobs import job

with job(snakemake.log[0]) as say:
    say("fetching the embedded model's weights (about 90 MB)")
    fetch_weights(Path(snakemake.output[0]))
