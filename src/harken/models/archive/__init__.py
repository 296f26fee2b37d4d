"""The tables of the archive: what is left of events that were dropped from the log."""
