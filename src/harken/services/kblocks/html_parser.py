"""A parser of HTML that takes any text, as browsers do."""

from html.parser import HTMLParser


class TolerantHTMLParser(HTMLParser):
    """Python's parser, but a marked section with an unknown name is a comment, and no error.

    Python before 3.14 raises AssertionError for `<![if x]>`, which word processors write.
    """

    def parse_marked_section(self, i: int, report: int = 1) -> int:  # noqa: ARG002 — the parser's
        """Read past `<![…]>` as past a comment (HTML standard, "markup declaration open state")."""
        return self.parse_bogus_comment(i)
