"""The API documentation at `/docs`: Swagger UI from an installed package, without a CDN."""

from harken.protocols.pages.files import VendorFile
from harken.protocols.pages.page import Page

_STATIC = "fastapi_offline/static"

PAGE = Page(
    path="/docs",
    title="API",
    label="API",
    template="api_docs.html",
    vendor=(
        VendorFile("swagger-ui.js", "fastapi-offline", f"{_STATIC}/swagger-ui-bundle.js"),
        VendorFile("swagger-ui.css", "fastapi-offline", f"{_STATIC}/swagger-ui.css"),
    ),
    # The styles of Swagger UI contain their icons as data URLs.
    policy="img-src 'self' data:",
)
