"""Settings of the documentation site; `make docs` builds it into build/docs."""

import re
from collections.abc import Iterable, Iterator
from typing import Any

import harken

project = "Harken"
author = "The Harken maintainers"
version = release = harken.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc"]
root_doc = "index"
exclude_patterns = ["images"]

# Links as GitHub makes them: a heading's address is its text.
myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence"]

# Multi-line arguments of a command are no prompt to Pygments; they are shown without colours.
suppress_warnings = ["misc.highlighting_failure"]

# Signatures without module paths, members in the order of the source.
add_module_names = False
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
autoclass_content = "both"

html_theme = "furo"
html_title = f"Harken {release}"
html_theme_options = {"source_view_link": ""}
html_copy_source = False
html_show_sourcelink = False


def _as_rst(lines: Iterable[str]) -> Iterator[str]:
    """Yield a docstring as reStructuredText: `names` are code, indented lines are literal."""
    before, is_literal = "", False
    for line in lines:
        is_indented = line.startswith(" ")
        if is_indented and not is_literal and not before.strip():
            yield from ("::", "")
            is_literal = True
        elif line.strip() and not is_indented:
            is_literal = False
        before = line
        if is_literal:
            yield line
            continue
        parts = re.split(r"(`[^`]+`)", line)
        yield "".join(
            f"`{part}`" if part.startswith("`") else re.sub(r"([*|_\\])", r"\\\1", part)
            for part in parts
        )


def _process(_app: Any, _what: str, _name: str, _object: Any, _options: Any, lines: Any) -> None:
    lines[:] = list(_as_rst(list(lines)))


def setup(app: Any) -> None:
    """Have docstrings converted."""
    app.connect("autodoc-process-docstring", _process)
