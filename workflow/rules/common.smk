# In: nothing. Out: what several rules share: names for files and parameters that go together, pages of Snakemake's report.

LOADED = dict(  # what scripts load that work on a task
    folder=flow.of(lambda experiment, job: str(experiment.tasks[job.task].folder)),
    plugins=flow.plugin_names,
)
MEASURED = dict(blocks=flow.blocks, prompts=flow.prompts, plans=paths.PLANS)


def page(path, caption, category, **labels):
    """A separate page in Snakemake's report."""
    return report(path, caption=f"../report/{caption}.rst", category=category, labels=labels)


def pages(folder, ending, caption, category, **labels):
    """Each file of a folder in Snakemake's report."""
    return report(
        directory(folder),
        patterns=[f"{{name}}{ending}"],
        caption=f"../report/{caption}.rst",
        category=category,
        labels=labels,
    )


def overview(folder, caption, category, **labels):
    """Files of a report on several runs."""
    return dict(
        json=f"{folder}/overview.json",
        markdown=f"{folder}/overview.md",
        html=page(f"{folder}/overview.html", caption, category, **labels, part="whole page"),
        figures=pages(f"{folder}/figures", ".svg", "figures", category, **labels, part="{name}"),
        arms=f"{folder}/arms.csv",
        effects=f"{folder}/effects_within_each_run.csv",
    )
