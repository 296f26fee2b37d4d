"""The page of the search: `frames`."""
