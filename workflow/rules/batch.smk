# In: tables of every profile of a batch. Out: results/batches/{name}/, one overview of all of them.


rule report_batch:
    """One overview of all members of a batch."""
    input:
        flow.several.batch_tables,
    output:
        json=f"{paths.BATCH}/overview.json",
        markdown=f"{paths.BATCH}/overview.md",
        html=page(f"{paths.BATCH}/overview.html", "batch", "Batches", batch="{batch}", part="whole page"),
        figures=pages(f"{paths.BATCH}/figures", ".svg", "figures", "Batches", batch="{batch}", part="{name}"),
        arms=f"{paths.BATCH}/arms.csv",
        effects=f"{paths.BATCH}/effects_within_each_run.csv",
    log:
        f"{paths.LOGS}/report_batch.{{batch}}.log",
    conda:
        "../../envs/environment.yaml"
    resources:
        measuring=flow.blocks_at_once,
    params:
        batch=flow.several.batch,
        judging=flow.judging,
    script:
        "../scripts/report_batch.py"
