"""The earlier name of this module; import from `harken.services.learning.interaction_matrix`."""

from harken.services.learning.interaction_matrix import Interactions, Interest

__all__ = ["Interactions", "Interest"]
