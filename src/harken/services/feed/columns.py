"""Where `Columns` was before; import it from `harken.services.index.view`."""

from harken.services.index.view import Columns

__all__ = ["Columns"]
