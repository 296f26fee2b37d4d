"""Signing in by a link. In: a token. Out: a page, a cookie. Front door: `frames.py`."""
