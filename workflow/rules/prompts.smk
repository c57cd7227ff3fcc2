# In: cases and tool results. Out: every prompt of a task, one row per (case, approach).

PARTS = dict(
    task=flow.of(lambda experiment, job: experiment.task_files(job.task)),
    contexts=flow.of(lambda experiment, job: experiment.context_files(job.task)),
    workspaces=flow.of(lambda experiment, job: experiment.workspace_receipts(job.task)),
    prepared=flow.of(lambda experiment, job: experiment.prepared_files(job.task)),
    checked=flow.of(lambda experiment, job: experiment.prepared_checks),
    plugins=flow.prompt_plugins,
)
COMPOSED = dict(
    approaches=flow.of(lambda experiment, job: experiment.prompted(job.task)),
    tools=flow.of(lambda experiment, job: experiment.task_tools(job.task)),
    shown=flow.of(lambda experiment, job: experiment.shown_tools(job.task)),
    agents=flow.tools.agents,
)


rule render_prompts:
    """Combine question, context and answer format for each case and arm."""
    input:
        **PARTS,
    output:
        paths.PROMPTS,
    log:
        f"{paths.LOGS}/render_prompts.{{task}}.log",
    priority: flow.before_blocks
    conda:
        "../../envs/environment.yaml"
    resources:
        measuring=flow.blocks_at_once,
    params:
        **LOADED,
        **COMPOSED,
    script:
        "../scripts/render_prompts.py"
