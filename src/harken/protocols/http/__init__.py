"""What every way over HTTP shares: connections, access rules, bodies, errors, the OpenAPI document.

In: requests as they arrive. Out: requests that may be answered, and problem documents for those
that may not. Front doors: `security` for who may ask, `routing` for routes, `errors` for
status codes.
"""
