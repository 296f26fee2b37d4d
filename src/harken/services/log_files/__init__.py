"""Files of events from anywhere: what they hold, row by row, and what of it cannot be read."""
