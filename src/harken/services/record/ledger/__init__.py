"""The ledger's writes: slates, orders and exposures in one transaction.

In: the values of rows. Out: whether they were committed. Front door: `entries`, with `write_parts`.
`harken.services.record.slates` has the ledger itself.
"""
