"""Archive: old events leave the log; what they count stays, and they go to files.

In: the begin that the log shall have. Out: Parquet files with the events from before it, and a log
without them. Front door: `archiving`, with `Archive`.

    archiving         the begin of the log, and the steps of one run
    dropping          the statements of a step
    whole_partitions  drops a partition of the log at once, on PostgreSQL
    event_files       the folder and its Parquet files
    file_register     the files that count
    merging           the files of a day become one, and remains are deleted
    erasing           takes a reader or a K-Block out of the baseline and the files
    schedule          runs it in a server
"""
