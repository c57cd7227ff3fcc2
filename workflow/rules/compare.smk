# In: tables of two profiles, or of one and its replay. Out: results/comparison/{a}__{b}/: figures over the cases that both
# asked, and whether the verdicts of the first hold in the second.


rule compare_runs:
    """Compare two profiles: arms, effects within each, changes between them."""
    input:
        before=flow.run_sets.tables_before,
        after=flow.run_sets.tables_after,
    output:
        **overview(paths.COMPARISON, "comparison", "Comparisons", before="{before}", after="{after}"),
        changes=f"{paths.COMPARISON}/changes_between_the_runs.csv",
    log:
        f"{paths.LOGS}/compare_runs.{{before}}__{{after}}.log",
    conda:
        "../../envs/environment.yaml"
    resources:
        measuring=flow.blocks_at_once,
    params:
        judging=flow.judging,
    script:
        "../scripts/compare_runs.py"
