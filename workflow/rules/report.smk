# In: tables, and for the sample browser blocks and prompts. Out: the report in every format, from an executed notebook.

DESIGN = dict(
    notebook=flow.shipped(flow.config.report.notebook),
    templates=[str(path) for path in flow.config.report.templates],
    plugins=flow.plot_plugins,
)
REPORT = dict(
    **paths.REPORT_FILES,
    html=page(paths.PAGE, "report", "Report", profile="{profile}"),
    badges=directory(f"{paths.REPORT}/badges"),
    page_tables=pages(f"{paths.REPORT}/tables", ".html", "tables", "Tables", profile="{profile}", table="{name}"),
    figures=pages(paths.FIGURES, ".svg", "figures", "Figures", profile="{profile}", figure="{name}"),
)


rule render_report:
    """Execute the report notebook and write the report in every format."""
    input:
        **TABULATED,
        **DESIGN,
    output:
        **REPORT,
    log:
        f"{paths.LOGS}/render_report.{{profile}}.log",
    benchmark:
        f"{paths.BENCHMARKS}/render_report.{{profile}}.tsv"
    conda:
        "../../envs/environment.yaml"
    resources:
        measuring=flow.blocks_at_once,
    params:
        about=flow.about,
        plugins=flow.plugin_names,
    script:
        "../scripts/render_report.py"
