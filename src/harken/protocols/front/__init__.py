"""What stands before all routes: the gate, and the fast ways of events and pages.

In: requests as a server takes them. Out: their answers; those of FastAPI's routes come from the
application behind. Front doors: `front` for the way of a request, `serving` for the application of
`harken serve`, which answers events and pages while FastAPI's routes are still made.

Nothing here imports FastAPI, which takes a third of the time of a start.
"""
