# In: tables of every profile of a batch. Out: results/batches/{name}/, one overview of all of them.


rule report_batch:
    """One overview of all members of a batch."""
    input:
        flow.run_sets.batch_tables,
    output:
        **overview(paths.BATCH, "batch", "Batches", batch="{batch}"),
    log:
        f"{paths.LOGS}/report_batch.{{batch}}.log",
    conda:
        "../../envs/environment.yaml"
    resources:
        measuring=flow.blocks_at_once,
    params:
        batch=flow.run_sets.batch,
        judging=flow.judging,
    script:
        "../scripts/report_batch.py"
