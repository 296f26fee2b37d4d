"""Pages of feeds over HTTP: what their parameters are, and how one is answered.

In: a request for a page of a feed. Out: its JSON, after its slate was committed. Front door:
`answering`, which shows the way of a page from its address to its answer.
"""
