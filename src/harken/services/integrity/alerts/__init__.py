"""Alerts: detectors run over the log of a database, and what they find is kept for people.

In: the log and the slates of one database. Out: stored alerts, and decisions on them. Front door:
`detection`, with `Detection`.

    detection      one run: read, detect, store, and set aside what the settings allow
    stored_log     the log and the slates as detectors read them
    alert_store    the alerts of one database
    schedule       runs at intervals, in one process of a database at a time
"""
