"""The learned ranking and collaborative filtering: from a log to a model that scores candidates.

In: events, slates and descriptions of K-Blocks, in the order of time. Out: a `Model`, and its
scores. Front doors: `ranker` trains and ranks, `collaborative` fits user-item models. Nothing
here knows a database.
"""
