"""Quarantine: events are set aside so that they count nothing, and released exactly.

In: ids of readers, sessions or events. Out: what the act changed, the rules in force, the audit.
Front door: `acts`, with `Quarantine`.

    acts     sets aside and releases, each in one transaction
    marks    which events a rule sets aside: the rows of `feed_quarantines` and `feed_set_aside`
    turn     one transaction, and its preparation without a lock
    audit    who did what and when, and what is set aside now
"""
