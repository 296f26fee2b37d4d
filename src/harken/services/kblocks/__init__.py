"""K-Blocks: keeping them, and bringing them in."""
