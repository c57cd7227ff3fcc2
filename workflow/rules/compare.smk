# In: tables of two profiles, or of one and its replay. Out: results/comparison/{a}__{b}/: figures over the cases that both
# asked, and whether the verdicts of the first hold in the second.

SIDES = {"before": "{before}", "after": "{after}"}


rule compare_runs:
    """Compare two profiles: arms, effects within each, changes between them."""
    input:
        before=flow.several.compared_tables("before"),
        after=flow.several.compared_tables("after"),
    output:
        json=f"{paths.COMPARISON}/overview.json",
        markdown=f"{paths.COMPARISON}/overview.md",
        html=page(f"{paths.COMPARISON}/overview.html", "comparison", "Comparisons", **SIDES, part="whole page"),
        figures=pages(f"{paths.COMPARISON}/figures", ".svg", "figures", "Comparisons", **SIDES, part="{name}"),
        arms=f"{paths.COMPARISON}/arms.csv",
        changes=f"{paths.COMPARISON}/changes_between_the_runs.csv",
        effects=f"{paths.COMPARISON}/effects_within_each_run.csv",
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
