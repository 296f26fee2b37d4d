"""Training rows as relations, for an archive that one process does not hold: from files to a model.

    engines           Polars, DuckDB and Spark behind one protocol
    log_relations     the log with what was known before each event
    choices           what readers chose, and the candidates that they had
    item_features     features by what all readers did with a candidate
    history_features  features by the reader's own history
    training_rows     all of them: a row for each candidate
    training          from rows to a model of the learned ranking

In: Parquet files of events. Out: a `Model` that serves as any other. Front door: `training`.
Relations are Narwhals expressions, the same for each engine.
"""

LOCAL_CLUSTER = "local-cluster[2,1,1024]"
"""Spark's master URL for two executors of one core and 1 GiB on this machine, each a process."""

__all__ = ["LOCAL_CLUSTER"]
