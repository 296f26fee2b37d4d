"""Routes of sources: feeds on the web that are subscribed to."""
