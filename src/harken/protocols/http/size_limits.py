"""The limits of the sizes of requests: of addresses, headers and bodies.

Compressed bodies are refused, so that none can grow while it is unpacked; JSON is at most 200
levels deep, a limit of its parser.
"""

URL_LIMIT = 32 * 1024
HEAD_LIMIT = 64 * 1024
BODY_LIMIT = 64 * 1024
BATCH_BODY_LIMIT = 8 * 1024 * 1024
# A parsed value may need much more memory than its JSON; this many need less than 200 MB.
MOST_VALUES = 2_500_000
