"""Settings of the documentation site; `make docs` builds it into build/docs."""

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

html_theme = "furo"
html_title = f"Harken {release}"
html_theme_options = {"source_view_link": ""}
html_copy_source = False
html_show_sourcelink = False
