"""Verbs of feeds and their readers."""
