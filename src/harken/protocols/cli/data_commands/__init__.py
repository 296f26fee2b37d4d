"""Verbs that bring data in and out, check it and mend it."""
