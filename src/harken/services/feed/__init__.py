"""The way of a page, from a request to what is served.

In: a `FeedRequest`, or candidates that the caller brings. Out: a `FeedPage`, whose slate is
committed. Front door: `service`, with `FeedService`. `persistence`, `feedback` and `ranking`
are thin doors under the names of the specification; what they lead to lives in `record` and
`index`.
"""
