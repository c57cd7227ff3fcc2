# In: tables of two profiles. Out: results/comparison/{a}__{b}/, over the cases that both asked.


rule compare_runs:
    """Put two profiles next to each other: arms, effects within each, changes between them."""
    input:
        before=flow.compared_table("before"),
        after=flow.compared_table("after"),
    output:
        json=f"{paths.COMPARISON}/overview.json",
        markdown=f"{paths.COMPARISON}/overview.md",
        html=f"{paths.COMPARISON}/overview.html",
        arms=f"{paths.COMPARISON}/arms.csv",
        changes=f"{paths.COMPARISON}/changes_between_the_runs.csv",
        effects=f"{paths.COMPARISON}/effects_within_each_run.csv",
    log:
        f"{paths.LOGS}/compare_runs.{{before}}__{{after}}.log",
    wildcard_constraints:
        before=r"((?!__)[A-Za-z0-9_-])+",
        after=r"((?!__)[A-Za-z0-9_-])+",
    conda:
        "../../envs/environment.yaml"
    resources:
        measuring=flow.blocks_at_once,
    params:
        reference=flow.experiment.config.plan.reference,
    script:
        "../scripts/compare_runs.py"
