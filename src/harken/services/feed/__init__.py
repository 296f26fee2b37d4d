"""From a feed request to the page that is served.

In: a `FeedRequest`, or candidates that the caller brings. Out: a `FeedPage`, whose slate is
committed. Front door: `service`, with `FeedService`. `persistence`, `feedback` and `ranking`
re-export names from `record` and `index` under the module names of the specification.
"""
