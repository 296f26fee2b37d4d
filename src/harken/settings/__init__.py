"""The settings by topic: one module for each, whose class is a base of `harken.config.Settings`."""
