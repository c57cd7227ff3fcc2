# In: cases, corpora, a tool's file. Out: what the tool says about each case, and what running it cost.


rule collect_contexts:
    """Run one tool over every case of a task, alone on the machine: its time is part of the claim."""
    input:
        task=flow.task_files,
        tool=flow.tool_files,
        corpora=flow.corpora,
    output:
        update(paths.CONTEXTS),
    log:
        f"{paths.LOGS}/collect_contexts.{{task}}.{{tool}}.log",
    priority: flow.before_blocks
    conda:
        "../../envs/environment.yaml"
    resources:
        measuring=flow.blocks_at_once,
    params:
        folder=flow.task_folder,
        program=flow.tool_program,
        cases=flow.context_cases,
        runs=flow.experiment.config.tool_runs,
        sandbox=flow.experiment.config.tool_sandbox,
        plugins=flow.plugin_names,
    script:
        "../scripts/collect_contexts.py"
