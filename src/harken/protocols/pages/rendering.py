"""Rendering of templates as HTML responses, with security headers."""

from collections.abc import Mapping, Sequence
from functools import cache
from http import HTTPStatus
from types import CodeType
from typing import Any

import jinja2
from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2.bccache import Bucket

import harken
from harken.errors import HarkenError
from harken.protocols.http.errors import status_of
from harken.protocols.http.security import may_see_data, needs_key
from harken.protocols.pages.files import StaticFiles
from harken.protocols.pages.page import Page
from harken.protocols.pages.words import figure

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
        "object-src 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    # Pages depend on the user and the time; only the back button may show them again.
    "Cache-Control": "private, no-cache",
    "Vary": "Cookie, X-API-Key, Authorization",
}


class CompiledTemplates(jinja2.BytecodeCache):
    """The compiled templates of this process: another application need not compile them again."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[str, CodeType]] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        """Give the code of a template, if it was compiled from the same source."""
        checksum, code = self._kept.get(bucket.key, ("", None))
        if checksum == bucket.checksum:
            bucket.code = code

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keep the code of a template."""
        if bucket.code is not None:
            self._kept[bucket.key] = bucket.checksum, bucket.code


@cache
def _compiled() -> CompiledTemplates:
    return CompiledTemplates()


class Renderer:
    """Renders the pages of one application.

    Every template can use: `asset(name)`, the address of a static file; `root`, the path that the
    application is mounted at; `pages`, the pages of the navigation; `page`, the current page;
    `notice`, a text at the top of all pages; `has_keys`, whether the server needs API keys;
    `is_locked`, whether this page must ask for a key. The filter `figure` formats numbers:
    `{{ 0.5 | figure(2) }}`. A page whose values have an `answer_status` is answered with it.
    """

    def __init__(self, pages: Sequence[Page], files: StaticFiles, *, notice: str = "") -> None:
        self._files = files
        self._environment = jinja2.Environment(
            loader=jinja2.PackageLoader("harken.protocols.pages"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            bytecode_cache=_compiled(),
        )
        self._environment.filters["figure"] = figure
        for name in self._environment.list_templates():
            self._environment.get_template(name)  # compiles the template before the first request
        self._environment.globals.update(
            pages=[page for page in pages if page.label is not None],
            notice=notice,
            version=harken.__version__,
        )

    async def page(self, request: Request, page: Page) -> HTMLResponse:
        """Return a page; without a valid key, it has a form for the key and no content."""
        is_locked = not may_see_data(request.scope)
        try:
            values = {} if is_locked else await page.values(request)
            return self._answer(
                request,
                page.template,
                {**values, "page": page, "is_locked": is_locked},
                values.get("answer_status", HTTPStatus.OK),
            )
        except HarkenError as error:
            return self.error(request, page, status_of(error), str(error))

    def error(self, request: Request, page: Page, status: HTTPStatus, problem: str) -> HTMLResponse:
        """Return a page with an error message and a link back to `page`."""
        values = {"page": page, "is_locked": False, "status": status, "problem": problem}
        return self._answer(request, "error.html", values, status.value)

    def fragment(
        self, request: Request, template: str, values: Mapping[str, Any], status: int = 200
    ) -> HTMLResponse:
        """Return a part of a page as HTML, for a script."""
        return self._answer(request, template, values, status)

    def _answer(
        self, request: Request, template: str, values: Mapping[str, Any], status: int = 200
    ) -> HTMLResponse:
        root = request.scope.get("root_path", "").rstrip("/")
        headers = dict(HEADERS)
        if policy := getattr(values.get("page"), "policy", ""):
            headers["Content-Security-Policy"] += f"; {policy}"
        html = self._environment.get_template(template).render(
            values,
            root=root,
            has_keys=needs_key(request.scope),
            asset=lambda name: root + self._files.address(name),
        )
        return HTMLResponse(html, status, headers=headers)
