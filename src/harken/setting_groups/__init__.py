"""Groups of settings: parts of `harken.config.Settings`."""
