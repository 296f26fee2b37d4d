"""Learning from the log, and measuring what was learned."""
