"""Admission: which readers and K-Blocks may be recorded.

In: ids of readers and K-Blocks. Out: which of them are refused, and a condition for statements that
write, so that none of them writes by outdated knowledge. Front door: `tombstones`.
"""
