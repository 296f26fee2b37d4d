"""Commands that import, export, verify and rebuild data."""
