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
from harken.protocols.http.route_rules import refusal, rules_of
from harken.protocols.http.security import caller_of, may_see_data, needs_key
from harken.protocols.pages.files import StaticFiles
from harken.protocols.pages.page import Page
from harken.protocols.pages.signing_in.words import told
from harken.protocols.pages.words import figure
from harken.services.access.rights import Caller, SignIn

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
    `is_locked`, whether this page must ask for a key; `signed_in`, how the browser is signed in;
    `sign_in_ways`, how readers can sign in; `sign_in_problem`, why a sign-in does not hold. The
    filter `figure` formats numbers:
    `{{ 0.5 | figure(2) }}`. A page whose values have an `answer_status` is answered with it.
    """

    def __init__(
        self,
        pages: Sequence[Page],
        files: StaticFiles,
        *,
        notice: str = "",
        sign_in_ways: frozenset[SignIn] = frozenset(),
    ) -> None:
        self._files = files
        self._named = [page for page in pages if page.label is not None]
        self._has_sign_in = bool(sign_in_ways)
        self._environment = jinja2.Environment(
            loader=jinja2.PackageLoader("harken.protocols.pages"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            bytecode_cache=_compiled(),
        )
        self._environment.filters["figure"] = figure
        self._environment.globals.update(
            notice=notice,
            sign_in_ways=sign_in_ways,
            version=harken.__version__,
        )

    async def page(self, request: Request, page: Page) -> HTMLResponse:
        """Return a page; without a valid key, it has a form for the key and no content."""
        is_locked = not page.is_open and not may_see_data(request.scope)
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
        caller = caller_of(request.scope)
        page = values.get("page")
        html = self._environment.get_template(template).render(
            values,
            root=root,
            has_keys=needs_key(request.scope),
            pages=[each for each in self._named if _is_offered(each, page, caller)],
            signed_in=caller.sign_in,
            sign_in_problem=told(caller.problem),
            may_sign_in=self._has_sign_in and page is not None and _is_for_readers(page),
            asset=lambda name: root + self._files.address(name),
        )
        return HTMLResponse(html, status, headers=headers)


def _is_for_readers(page: Page) -> bool:
    """Return whether readers may see the data of a page."""
    return all(rule.reader for rule in rules_of("GET", page.path))


def _is_offered(offered: Page, page: Page | None, caller: Caller) -> bool:
    """Return whether the navigation of a page has another page, which a reader may open."""
    if caller.sign_in is not None:
        return refusal(rules_of("GET", offered.path), caller) is None
    return page is None or not page.is_open
