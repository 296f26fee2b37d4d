"""What Harken does, one subject a room; docs/architecture.md draws how they stand on each other."""
