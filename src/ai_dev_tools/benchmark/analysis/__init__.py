"""Everything that is derived from sample files; no model is asked here.

Read from the bottom up: `flatten` and `samples_table` make and check the samples table, `cells` and `pairing` arrange it,
`statistics`, `power` and `effects` know the methods, `comparison`, `decomposition` and `quality` apply them, `validity`
says what may be used, `plan_in_force`, `candidate` and `verdicts` judge, `reasons` says why, `tables` writes it all.
"""
