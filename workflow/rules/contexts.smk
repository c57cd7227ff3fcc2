# In: cases, corpora, a tool's file. Out: what the tool says about each case, and what running it cost.

READ = dict(
    task=flow.of(lambda experiment, job: experiment.task_files(job.task)),
    tool=flow.tool_files,
    corpora=flow.of(lambda experiment, job: experiment.receipts(job.task)),
)
EXECUTED = dict(
    program=flow.tool_program,
    cases=flow.context_cases,
    runs=flow.config.tool_runs,
    sandbox=flow.config.tool_sandbox,
)


rule collect_contexts:
    """Run one tool over every case of a task, alone on the machine: its time is part of the claim."""
    input:
        **READ,
    output:
        update(paths.CONTEXTS),
    log:
        f"{paths.LOGS}/collect_contexts.{{task}}.{{tool}}.log",
    benchmark:
        f"{paths.BENCHMARKS}/collect_contexts.{{task}}.{{tool}}.tsv"
    priority: flow.before_blocks
    conda:
        "../../envs/environment.yaml"
    resources:
        measuring=flow.blocks_at_once,
    params:
        **LOADED,
        **EXECUTED,
    script:
        "../scripts/collect_contexts.py"
