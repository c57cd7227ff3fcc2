# In: blocks. Out: tables; everything is derived here, no model is asked.


rule make_tables:
    """One row per sample, then metrics and comparisons."""
    input:
        blocks=flow.blocks,
        prompts=flow.prompts,
    output:
        samples=f"{paths.TABLES}/samples.csv",
        parquet=f"{paths.TABLES}/samples.parquet",
        metrics=f"{paths.TABLES}/metrics.csv",
        comparisons=f"{paths.TABLES}/comparisons.csv",
        skipped=f"{paths.TABLES}/skipped.csv",
    log:
        f"{paths.LOGS}/make_tables.{{profile}}.log",
    params:
        reference=flow.experiment.config.plan.reference,
    resources:
        measuring=flow.blocks_at_once,
    script:
        "../scripts/make_tables.py"
