"""Admission: which readers and K-Blocks may be recorded, and which events count.

In: ids of readers and K-Blocks. Out: which of them are refused, which events count nothing, and a
condition for statements that write, so that none of them writes by outdated knowledge. Front door:
`tombstones`; `quarantines` for the condition that an event counts; `rules_token` for the condition
of statements.
"""
