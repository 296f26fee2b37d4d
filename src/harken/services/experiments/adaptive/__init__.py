"""Adaptive allocation: more readers to the arms that are likely to be the best.

In: an experiment with `adaptive`, and what its readers did. Out: versions of its allocation, and
the arm that a unit has under them. Front door: `versions`, with `Allocations`.

    versions    the versions of one allocation, and the arm that all of them give; pure
    store       versions in the database, and the arm that a unit was exposed to
    schedule    one worker of a database computes the next version, at most daily
"""
