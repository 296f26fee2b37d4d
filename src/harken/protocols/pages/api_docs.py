"""What can be called, at `/docs`: Swagger UI out of an installed package, and no CDN."""

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
    # Swagger UI's styles have their icons in themselves.
    policy="img-src 'self' data:",
)
