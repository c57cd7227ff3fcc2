# In: cases, corpora, a tool's file. Out: what the tool says about each case, or made of its workspace, and what that cost.

READ = dict(
    task=flow.of(lambda experiment, job: experiment.task_files(job.task)),
    tool=flow.tools.files,
    corpora=flow.of(lambda experiment, job: experiment.receipts(job.task)),
)
EXECUTED = dict(
    program=flow.tools.program,
    cases=flow.tools.cases,
    runs=flow.config.tool_runs,
    sandbox=flow.config.tool_sandbox,
)
PREPARED_BY = dict(
    **LOADED,
    program=flow.tools.agent_program,
    cases=flow.tools.prepared_cases,
    sandbox=flow.config.tool_sandbox,
    folders=flow.of(lambda experiment, job: experiment.folder_digests(job.task)),
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


rule prepare_workspaces:
    """Let one tool prepare the workspaces of a task for agents, and look at what it offers them."""
    input:
        **READ,
        workspaces=flow.of(lambda experiment, job: experiment.workspace_receipts(job.task)),
    output:
        update(paths.PREPARED),
    log:
        f"{paths.LOGS}/prepare_workspaces.{{task}}.{{tool}}.log",
    benchmark:
        f"{paths.BENCHMARKS}/prepare_workspaces.{{task}}.{{tool}}.tsv"
    priority: flow.before_blocks
    conda:
        "../../envs/environment.yaml"
    resources:
        measuring=flow.blocks_at_once,
    params:
        **PREPARED_BY,
    script:
        "../scripts/prepare_workspaces.py"


rule check_prepared:
    """Stop before the first request where a tool could prepare no workspace of any task."""
    input:
        tool=flow.tools.files,
        prepared=flow.of(lambda experiment, job: experiment.prepared_by(job.tool)),
    output:
        paths.PREPARED_CHECK,
    log:
        f"{paths.LOGS}/check_prepared.{{tool}}.log",
    priority: flow.before_blocks
    conda:
        "../../envs/environment.yaml"
    resources:
        measuring=flow.blocks_at_once,
    script:
        "../scripts/check_prepared.py"
