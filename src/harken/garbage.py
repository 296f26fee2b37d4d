"""The garbage collector while a program starts."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def collector_paused() -> Iterator[None]:
    """Let the garbage collector wait, for code that makes many objects which live until the end.

    It would scan all of them again and again: a sixth of the time in which a server is imported.
    Afterwards it leaves them alone.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_enabled:
            gc.enable()
