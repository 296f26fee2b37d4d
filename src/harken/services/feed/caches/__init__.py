"""The data that feeds are made from, in memory, and kept up to date with the database.

In: one database. Out: the index of K-Blocks (`catalogue`), the affinities and features of readers
(`profiles`), the texts as vectors (`texts`), and a wait for events that other processes recorded
(`known_events`). Front door: `catalogue` and `profiles`.
"""
