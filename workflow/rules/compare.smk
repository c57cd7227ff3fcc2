# In: tables of two profiles, or of one and its replay. Out: results/comparison/{a}__{b}/: figures over the cases that both
# asked, and whether the verdicts of the first hold in the second.


rule compare_runs:
    """Put two profiles next to each other: arms, effects within each, changes between them."""
    input:
        before=flow.compared_tables("before"),
        after=flow.compared_tables("after"),
    output:
        json=f"{paths.COMPARISON}/overview.json",
        markdown=f"{paths.COMPARISON}/overview.md",
        html=report(
            f"{paths.COMPARISON}/overview.html",
            caption="../report/comparison.rst",
            category="Comparisons",
            labels={"before": "{before}", "after": "{after}", "part": "whole page"},
        ),
        figures=report(
            directory(f"{paths.COMPARISON}/figures"),
            patterns=["{name}.svg"],
            caption="../report/figures.rst",
            category="Comparisons",
            labels={"before": "{before}", "after": "{after}", "part": "{name}"},
        ),
        arms=f"{paths.COMPARISON}/arms.csv",
        changes=f"{paths.COMPARISON}/changes_between_the_runs.csv",
        effects=f"{paths.COMPARISON}/effects_within_each_run.csv",
    log:
        f"{paths.LOGS}/compare_runs.{{before}}__{{after}}.log",
    wildcard_constraints:
        before=r"((?!__)[A-Za-z0-9_-])+(@replay)?",
        after=r"((?!__)[A-Za-z0-9_-])+(@replay)?",
    conda:
        "../../envs/environment.yaml"
    resources:
        measuring=flow.blocks_at_once,
    params:
        reference=flow.experiment.config.plan.reference,
    script:
        "../scripts/compare_runs.py"
