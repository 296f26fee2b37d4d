"""Sentences of the reader page. In: feeds and interests. Out: words. Front door: `feeds.py`."""
