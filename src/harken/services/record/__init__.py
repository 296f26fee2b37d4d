"""The record: the log of interactions, its exact statistics, and queries over both.

In: `Interaction`s. Out: the outcome of each, statistics, attention scores, analytics, and the
ledger of served pages. Front door: `persistence`, with `FeedFeedbackPersistence`. One transaction
writes log and statistics, and `verification` compares them.
"""
