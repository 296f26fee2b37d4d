"""The partitions of the log on PostgreSQL, by ranges of ids.

In: how much of the log is kept. Out: partitions for the events to come, and whole partitions that
leave the log at once. Front door: `making`, with `Partitions`.

    feed_interactions                the log
      feed_interactions_default      ids without a time, and all from before the first archive
      feed_interactions_timed        ids that begin as UUIDs of version 7 do, from then on
        feed_interactions_019b1234   those of some days; the name is the lower bound
        feed_interactions_untimed    those for which there is no partition

    bounds     ids and the times that they begin with; pure
    layout     which partitions there are
    making     makes partitions for the time to come
    removing   takes a partition out of the log

Ids are texts in collation C, and a UUID of version 7 begins with its time. A bound is the first
eight hexadecimal digits, which count 65.536 s, with or without dashes behind them. Ids of another
kind fall into a range by chance. So a partition says nothing certain about the time of its events:
each event is dropped by its own time, and those that stay move to another partition.

PostgreSQL compares each row of a default partition when a partition beside it is made. The second
level is for that: there the default is small.
"""
