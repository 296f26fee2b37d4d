"""Images of other hosts, which this server fetches, so that the browser of a reader does not.

In: the address of an image in a note. Out: its bytes and its type, told from the bytes, or why it
cannot be shown. Front door: `proxy.ImageProxy`; `addresses` signs what may be fetched.
"""
