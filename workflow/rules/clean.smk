# In: settings. Out: nothing. Removes only what the next run makes or fetches again, never samples, plans or archives.


rule clean_report:
    """Remove tables, figures and report of the configured profile; samples and plans stay."""
    localrule: True
    params:
        made=[path.format(profile=flow.profile) for path in (paths.TABLES, paths.FIGURES, paths.REPORT)],
    shell:
        "rm -rf -- {params.made:q}"


rule clean_resources:
    """Remove downloads: weights of the embedded model, corpora, case lists."""
    localrule: True
    params:
        fetched=paths.FETCHED,
    shell:
        "rm -rf -- {params.fetched:q}"
