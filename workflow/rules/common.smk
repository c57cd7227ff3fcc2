# In: nothing. Out: what several rules put into Snakemake's own report.


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
