# In: settings. Out: only text: what exists, what a run would do, and whether it can.


rule list_tasks:
    """List all tasks."""
    localrule: True
    shell:
        "python3 -m ai_dev_tools.cli.benchmark_cli list-tasks"


rule validate:
    """Check settings, tasks, tools, endpoints, models, memory and disk, and say how to fix problems."""
    localrule: True
    params:
        given=flow.given_settings,
    shell:
        "python3 -m ai_dev_tools.cli.benchmark_cli validate {params.given:q}"


rule plan:
    """Show what a run would claim, ask and take; asks nothing."""
    localrule: True
    params:
        given=flow.given_settings,
    shell:
        "python3 -m ai_dev_tools.cli.benchmark_cli plan {params.given:q}"
