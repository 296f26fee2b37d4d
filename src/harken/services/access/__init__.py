"""Keys of services and pages, and tokens that say who a reader is.

In: keys and tokens as requests carry them, and what makes and revokes keys. Out: the stored key
that one belongs to, and the reader that a token names. Front doors: `rights` for what a caller
may do, `key_ring` for requests, `key_store` for the management of keys, `user_tokens` for tokens,
whose keys are in a file that `public_keys` reads.
"""
