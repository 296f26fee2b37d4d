"""Commands that find what is no person, and set it aside."""
