# In: tables, and for the sample browser blocks and prompts. Out: the report in every format, from an executed notebook.


rule render_report:
    """Execute the report notebook and write what it says in every format."""
    input:
        notebook=flow.report_notebook,
        tables=rules.make_tables.output,
        plans=paths.PLANS,
        blocks=flow.blocks,
        prompts=flow.prompts,
    output:
        multiext(f"{paths.REPORT}/report", html=".html", markdown=".md", json=".json", csv=".csv", text=".txt", junit=".xml", notebook=".ipynb"),
        badges=directory(f"{paths.REPORT}/badges"),
        figures=directory(paths.FIGURES),
    log:
        f"{paths.LOGS}/render_report.{{profile}}.log",
    params:
        about=flow.about,
    resources:
        measuring=flow.blocks_at_once,
    script:
        "../scripts/render_report.py"
