# In: tables, and for the sample browser blocks and prompts. Out: the report in every format, from an executed notebook.


rule render_report:
    """Execute the report notebook and write what it says in every format."""
    input:
        notebook=flow.report_notebook,
        templates=flow.report_templates,
        tables=rules.make_tables.output,
        plans=paths.PLANS,
        blocks=flow.blocks,
        prompts=flow.prompts,
        plugins=flow.plot_plugins,
    output:
        multiext(
            f"{paths.REPORT}/report",
            markdown=".md",
            json=".json",
            csv=".csv",
            text=".txt",
            junit=".xml",
            notebook=".ipynb",
        ),
        html=report(
            f"{paths.REPORT}/report.html",
            caption="../report/report.rst",
            category="Report",
            labels={"profile": "{profile}"},
        ),
        badges=directory(f"{paths.REPORT}/badges"),
        page_tables=report(
            directory(f"{paths.REPORT}/tables"),
            patterns=["{name}.html"],
            caption="../report/tables.rst",
            category="Tables",
            labels={"profile": "{profile}", "table": "{name}"},
        ),
        figures=report(
            directory(paths.FIGURES),
            patterns=["{name}.svg"],
            caption="../report/figures.rst",
            category="Figures",
            labels={"profile": "{profile}", "figure": "{name}"},
        ),
    log:
        f"{paths.LOGS}/render_report.{{profile}}.log",
    conda:
        "../../envs/environment.yaml"
    resources:
        measuring=flow.blocks_at_once,
    params:
        about=flow.about,
        plugins=flow.plugin_names,
    script:
        "../scripts/render_report.py"
