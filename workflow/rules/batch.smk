# In: tables of every profile of a batch. Out: results/batches/{name}/, one overview of them all.


rule report_batch:
    """One overview over all members of a batch."""
    input:
        flow.batch_tables,
    output:
        json=f"{paths.BATCH}/overview.json",
        markdown=f"{paths.BATCH}/overview.md",
        html=f"{paths.BATCH}/overview.html",
        arms=f"{paths.BATCH}/arms.csv",
        effects=f"{paths.BATCH}/effects_within_each_run.csv",
    log:
        f"{paths.LOGS}/report_batch.{{batch}}.log",
    wildcard_constraints:
        batch=r"[A-Za-z0-9_-]+",
    conda:
        "../../envs/environment.yaml"
    resources:
        measuring=flow.blocks_at_once,
    params:
        batch=flow.batch_members,
        reference=flow.experiment.config.plan.reference,
    script:
        "../scripts/report_batch.py"
