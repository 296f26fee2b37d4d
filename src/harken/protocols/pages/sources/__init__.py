"""The page of sources: subscribing, their state, and what the reader wants of each."""
