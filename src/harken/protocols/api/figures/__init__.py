"""REST routes of the figures of the dashboard.

In: a window of time, and a feed, ranking, K-Block or reader. Out: counts, ratios with enough behind
them, and how much of click-through is place. Front door: `routes`.
"""
