"""The former module of `Columns`; import it from `harken.services.index.view`."""

from harken.services.index.view import Columns

__all__ = ["Columns"]
