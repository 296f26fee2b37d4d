"""Keys of services and pages, and tokens that say who a reader is.

In: keys and tokens as requests carry them; commands that make and revoke keys. Out: the stored key
of a request, and the reader that its token names. Front doors: `rights` for what a caller may do,
`key_ring` for the keys of requests, `key_store` for the management of keys, `user_tokens` for
tokens. `public_keys` reads the file of keys that tokens are verified with.
"""
