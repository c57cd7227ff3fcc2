# In: prompts and the plan. Out: one JSON file per sample (kept across runs, so not declared), collected per block.


rule declare_plan:
    """Write down what the run sets out to show, before its first request."""
    input:
        flow.nothing,
    output:
        update(paths.PLANS),
    log:
        f"{paths.LOGS}/declare_plan.{{profile}}.log",
    priority: flow.before_blocks
    conda:
        "../../envs/environment.yaml"
    resources:
        measuring=flow.blocks_at_once,
    params:
        plan=flow.of(lambda experiment, job: experiment.plan(job.profile).content()),
    script:
        "../scripts/declare_plan.py"


ASKED = dict(weights=ancient(flow.weights), plans=paths.PLANS, prompts=paths.PROMPTS)
ASK = "exec python3 -I -S {params.start:q} --block {params.block:q} --prompts {input.prompts:q} --log {log:q}"


rule run_block:
    """All samples of all arms for one model and task; asks only what is missing."""
    input:
        **ASKED,
    output:
        paths.BLOCK,
    log:
        f"{paths.LOGS}/run_block.{{profile}}.{{model}}.{{task}}.log",
    benchmark:
        f"{paths.BENCHMARKS}/run_block.{{profile}}.{{model}}.{{task}}.tsv"
    priority: flow.block_priority
    conda:
        "../../envs/environment.yaml"
    resources:
        **flow.block_resources(),
    params:
        start=flow.start_block,
        block=flow.block,
    shell:
        f"{ASK} --output {{output:q}}"


rule run_sample:
    """A single sample, by the same code; its block reuses it."""
    input:
        **ASKED,
    output:
        update(paths.SAMPLE),
    log:
        f"{paths.LOGS}/run_sample.{{profile}}.{{model}}.{{task}}.{{approach}}.{{sample}}.log",
    priority: flow.block_priority
    conda:
        "../../envs/environment.yaml"
    resources:
        **flow.block_resources(),
    params:
        start=flow.start_block,
        block=flow.block,
    shell:
        f"{ASK} --only {{wildcards.approach}} {{wildcards.sample}}"
