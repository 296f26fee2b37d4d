"""Feeds of the web: fetching them, and reading what is in them."""
