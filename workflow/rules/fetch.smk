# In: pinned descriptions (config/corpora.yaml, config/models.yaml). Out: resources/, checked by sha256.


rule fetch_weights:
    """Weights of an embedded model, from the first source of the catalogue that has them."""
    input:
        flow.nothing,
    output:
        paths.WEIGHTS,
    log:
        f"{paths.LOGS}/fetch_weights.{{weights}}.log",
    wildcard_constraints:
        weights=flow.downloads.weights,
    priority: flow.before_blocks
    conda:
        "../../envs/environment.yaml"
    resources:
        measuring=flow.blocks_at_once,
    params:
        catalogue=str(flow.experiment.models_file),
        pinned=flow.downloads.pinned,
    script:
        "../scripts/fetch_weights.py"


rule fetch_corpus:
    """Source files of one published package; if it is unavailable, its cases are skipped."""
    input:
        flow.nothing,
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
        corpus=flow.downloads.corpus,
        round=flow.downloads.round,
    script:
        "../scripts/fetch_corpus.py"


rule fetch_repository:
    """The texts of one commit of a git repository, which agents read; never checked out."""
    input:
        flow.nothing,
    output:
        paths.REPOSITORY_RECEIPT,
    log:
        f"{paths.LOGS}/fetch_repository.{{repository}}.log",
    priority: flow.before_blocks
    conda:
        "../../envs/environment.yaml"
    resources:
        measuring=flow.blocks_at_once,
    params:
        place=flow.of(lambda experiment, job: experiment.repository(job.repository)),
    script:
        "../scripts/fetch_repository.py"
