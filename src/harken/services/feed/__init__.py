"""Recording what people do with a feed, and the statistics of it."""
