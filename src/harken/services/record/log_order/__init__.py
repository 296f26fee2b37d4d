"""The order of the log by commits: numbers of events, and who follows them.

In: a cursor. Out: the events that were committed after it, each once, however late a transaction
was committed. Front door: `following`.
"""
