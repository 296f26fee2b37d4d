"""REST routes of the report, which says whether the feed is getting better.

In: requests for the latest report, as JSON or as one HTML file, and for a new one. Out: reports.
Front door: `routes`. `making` runs `harken report` in a process of its own.
"""
