"""The domain: types and rules without I/O. Nothing here uses a clock, a database or HTTP."""
