"""What a reader is told whose sign-in does not hold, and what to do."""

from typing import NamedTuple

NEW_LINK = "Ask whoever gave it to you for a new one."


class Told(NamedTuple):
    """A heading, and what happened and can be done."""

    heading: str
    text: str


def told(problem: str | None) -> Told | None:
    """Say why the sign-in of a browser does not hold, by the problem with its token."""
    if problem is None:
        return None
    if problem.endswith("has expired"):
        return Told("Your sign-in has expired", "A sign-in lasts as long as its link is valid.")
    return Told(
        "You are not signed in any more",
        "This server does not accept the sign-in that this browser keeps: its secret was changed.",
    )


def refused(problem: str) -> str:
    """Say why a link does not sign a reader in, and what to do."""
    if problem.endswith("has expired"):
        return f"This link has expired. {NEW_LINK}"
    if problem.startswith("user tokens are not set up"):
        return "This server has no sign-in by links."
    return f"This link is not one of this server, or not complete. Copy all of it, or: {NEW_LINK}"
