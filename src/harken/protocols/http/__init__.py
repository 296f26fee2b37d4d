"""Shared by REST and pages: connections, access rules, bodies, errors, the OpenAPI document.

In: requests as they arrive. Out: requests that may be answered, with their caller, and problem
documents for those that may not. Front doors: `gate` for who may ask, with `route_rules` for the
scope of each route; `routing` for routes; `errors` for status codes.
"""
