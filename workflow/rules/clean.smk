# In: settings. Out: less on the disk. Only what the next run makes or fetches again is removed; samples, plans and archives never are.


rule clean_report:
    """Remove tables, figures and report of the configured profile; samples and plans stay."""
    localrule: True
    params:
        made=[path.format(profile=flow.profile) for path in (paths.TABLES, paths.FIGURES, paths.REPORT)],
    shell:
        "rm -rf -- {params.made:q}"


rule clean_resources:
    """Remove what was fetched: weights of the embedded model, corpora, case lists."""
    localrule: True
    params:
        fetched=paths.FETCHED,
    shell:
        "rm -rf -- {params.fetched:q}"
