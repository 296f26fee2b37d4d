"""Bluesky's `app.bsky.feed.sendInteractions`: the route in `routes`, the mapping in `mapping`."""
