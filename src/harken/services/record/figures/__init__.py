"""Figures of periods and of served pages, for the dashboard.

In: a window of time, and a feed, ranking, K-Block or reader. Out: counts of the window and of the
one before; impressions, click-through and engagement from slates; what tells how much of
click-through is place. Front door: `impressions`, `periods` and `places`. The cost is bounded:
a window with too many pages or events begins later, and says so.
"""
