"""Integrity: what is held on a person can be shown and erased, and the record stays exact.

In: the id of a reader or of a K-Block. Out: everything held on it as JSON, or the receipt of its
erasure. Front door: `erasure`, with `Erasure`; `export`, with `PersonalData`.

    receipts             tombstones and receipts: when an erasure begins and ends
    writers              waits for the transactions that began before a tombstone or a rule
    event_removal        removes events
    recounting           recounts the statistics in which removed events counted
    prepared_recount     recounts the statistics of events that cease to count, or count again,
                         with short locks
    prepared_statements  the statements of a prepared recount
    retrying             runs a transaction again after a conflict
    activity             corrects the counts per minute and in total
    key_lists            lists of keys as parameters
    reader_tables        every table with rows of readers, declared once
    holdings             counts and removes the rows of a person outside the log
    compaction           removes what deleted rows leave in files
    count_files          reads series of counts from files, for the detector of volumes
    backup/              copies of a database that is being written to
    detectors/           which readers are not people, from a log alone
    alerts/              runs the detectors over the database, and keeps what they find
    archive/             old events leave the log, to files
    partitions/          the log on PostgreSQL, by ranges of ids
    quarantine/          sets readers, sessions and events aside, and releases them
"""
