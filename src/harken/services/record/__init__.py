"""The record: one transaction for the log and its exact statistics, and what reads them.

In: `Interaction`s. Out: the outcome of each, statistics, attention scores, analytics, and the
ledger of served pages. Front door: `persistence`, with `FeedFeedbackPersistence`.
`verification` recounts the log.
"""
