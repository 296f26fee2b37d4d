"""Commands that find readers who are not people, and set it aside."""
