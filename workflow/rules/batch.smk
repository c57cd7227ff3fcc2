# In: tables of every profile of a batch. Out: results/batches/{name}/, one overview of them all.


rule report_batch:
    """One overview over all members of a batch."""
    input:
        flow.batch_tables,
    output:
        json=f"{paths.BATCH}/overview.json",
        markdown=f"{paths.BATCH}/overview.md",
        html=report(
            f"{paths.BATCH}/overview.html",
            caption="../report/batch.rst",
            category="Batches",
            labels={"batch": "{batch}", "part": "whole page"},
        ),
        figures=report(
            directory(f"{paths.BATCH}/figures"),
            patterns=["{name}.svg"],
            caption="../report/figures.rst",
            category="Batches",
            labels={"batch": "{batch}", "part": "{name}"},
        ),
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
