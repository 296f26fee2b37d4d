"""The page `/integrity`: alerts, what is set aside, and the audit."""

from harken.protocols.pages.page import Page

PAGE = Page(
    path="/integrity",
    title="Integrity",
    label="Integrity",
    template="integrity.html",
)
