"""Browser pages: rendered on the server, with small scripts and no build step."""
