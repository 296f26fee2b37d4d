"""The ledger's writes: slates, orders and exposures in one transaction.

In: the values of rows. Out: whether they were committed. Front door: `groups`, with `LedgerGroups`;
`entries` has the statements. `harken.services.record.slates` has the ledger itself.
"""
