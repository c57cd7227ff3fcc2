# In: blocks, prompts and plans. Out: tables; everything is computed here; no model is asked.


rule make_tables:
    """Samples, metrics, comparisons, cost decomposition, validity and verdicts."""
    input:
        **MEASURED,
        plugins=flow.plugins,
    output:
        **paths.TABLE_FILES,
    log:
        f"{paths.LOGS}/make_tables.{{profile}}.log",
    benchmark:
        f"{paths.BENCHMARKS}/make_tables.{{profile}}.tsv"
    conda:
        "../../envs/environment.yaml"
    resources:
        measuring=flow.blocks_at_once,
    params:
        settings=flow.analysis,
        plugins=flow.plugin_names,
    script:
        "../scripts/make_tables.py"


TABULATED = dict(tables=rules.make_tables.output, **MEASURED)
