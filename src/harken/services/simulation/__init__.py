"""Simulated readers, whose interests are known, and what they do with their pages.

In: a seed. Out: K-Blocks, events, and how good feeds were by the truth. Front door: `demo`.
"""
