"""What a reader and candidates look like to a model, as of a time."""
