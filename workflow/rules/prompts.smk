# In: cases and tool results. Out: every prompt of a task, one row per (case, approach).


rule render_prompts:
    """Put question, context and answer format together for each case and arm."""
    input:
        task=flow.task_files,
        contexts=flow.contexts,
        plugins=flow.prompt_plugins,
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
        folder=flow.task_folder,
        approaches=flow.experiment.prompted_approaches,
        tools=flow.task_tools,
        shown=flow.shown_tools,
        plugins=flow.plugin_names,
    script:
        "../scripts/render_prompts.py"
