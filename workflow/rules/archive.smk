# In: everything a run left. Out: one file, a Workflow Run RO-Crate, checked before the job succeeds.


rule archive_run:
    """Write a finished run as one file that can be checked, rendered again and repeated anywhere."""
    input:
        **TABULATED,
        report=rules.render_report.output,
    output:
        paths.ARCHIVE,
    log:
        f"{paths.LOGS}/archive_run.{{profile}}.{{archive}}.log",
    benchmark:
        f"{paths.BENCHMARKS}/archive_run.{{profile}}.{{archive}}.tsv"
    conda:
        "../../envs/environment.yaml"
    resources:
        measuring=flow.blocks_at_once,
    params:
        subject=flow.archived,
    script:
        "../scripts/archive_run.py"
