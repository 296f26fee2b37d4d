"""Objectives beside the order: what is likely to follow when a reader opens a K-Block.

In: features of K-Blocks that readers touched, and the log of what followed. Out: heads, which
predict each outcome. Front door: `heads`; `outcomes` reads the labels from the log.
"""
