from pathlib import Path

from ai_dev_tools.benchmark.execution.job import job
from ai_dev_tools.benchmark.tasks.corpora import Corpus
from ai_dev_tools.benchmark.tasks.receipts import fetch_with_receipt

with job(snakemake.log[0]) as say:
    receipt = Path(snakemake.output[0])
    corpus = Corpus(**snakemake.params.corpus)
    if reason := fetch_with_receipt(corpus, receipt.with_suffix(""), receipt, snakemake.params.round):
        say(f"warning: {reason}")
