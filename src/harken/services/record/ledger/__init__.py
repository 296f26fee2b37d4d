"""The ledger's writes: slates, orders and exposures in one transaction; and what pages show.

In: the values of rows, or the numbers of K-Blocks. Out: whether rows were committed, or the shown
fields. Front door: `groups`, with `LedgerGroups`; `entries` has the statements. `shown_kblocks`
reads and keeps what pages show of K-Blocks. `harken.services.record.slates` has the ledger itself.
"""
