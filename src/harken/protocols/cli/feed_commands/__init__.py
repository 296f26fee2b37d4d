"""Commands of feeds and readers."""
