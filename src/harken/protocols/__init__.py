"""How the outside speaks to Harken."""
