"""Commands that import, export, back up, verify and rebuild data."""
