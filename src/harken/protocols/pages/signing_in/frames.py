"""Signing in at `/sign-in`: a script sends the token of a link, and a cookie keeps it.

The cookie is HttpOnly, so no script can read it, and SameSite=Lax: a page of another site sends it
only when a person follows a link. The gate refuses what a page of another origin causes anyway.
"""

import logging

from fastapi import APIRouter, HTTPException, Request, Response

from harken.domain.fields import Part, Text
from harken.errors import Unauthorized
from harken.protocols.http.routing import HarkenRoute
from harken.protocols.http.security import caller_of
from harken.protocols.http.sign_in import END_PATH, PATH, cookie_name
from harken.protocols.pages.page import FragmentRenderer, Page, Values
from harken.protocols.pages.signing_in.words import refused
from harken.services.access.user_tokens import UserTokens

log = logging.getLogger(__name__)

KEPT_SECONDS = 400 * 86_400
"""As long as browsers keep a cookie. The token ends earlier; then the page can say that it did."""
MOST_CHARACTERS = 3_500
"""Of a token: browsers keep cookies of up to 4,096 bytes, with their name and attributes."""


class SignInBody(Part):
    """The token of a sign-in link."""

    token: Text


async def _values(request: Request) -> Values:
    caller = caller_of(request.scope)
    return {"reader": caller.user_id, "has_ended": "out" in request.query_params}


def _routes(_renderer: FragmentRenderer) -> APIRouter:
    router = APIRouter(route_class=HarkenRoute)

    @router.post(PATH, status_code=204)
    async def begin(request: Request, body: SignInBody) -> Response:
        """Keep a token as a cookie, if it holds."""
        tokens: UserTokens = request.app.state.user_tokens
        try:
            tokens.reader(body.token)
        except Unauthorized as error:
            log.info("refused a sign-in: %s", error)
            raise HTTPException(401, refused(str(error))) from None
        if len(body.token) > MOST_CHARACTERS:
            raise HTTPException(
                422, f"The token has more than {MOST_CHARACTERS:,} characters; no browser keeps it."
            )
        return _with_cookie(request, body.token, KEPT_SECONDS)

    @router.post(END_PATH, status_code=204)
    async def end(request: Request) -> Response:
        """Delete the cookie; the events of the reader stay."""
        return _with_cookie(request, "", 0)

    return router


def _with_cookie(request: Request, value: str, seconds: int) -> Response:
    """Return an answer that sets the cookie of a sign-in for some seconds."""
    response = Response(status_code=204)
    response.set_cookie(
        cookie_name(request.headers.get("host", "")),
        value,
        max_age=seconds,
        path=request.scope.get("root_path", "").rstrip("/") or "/",
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="lax",
    )
    return response


PAGE = Page(
    path=PATH,
    title="Sign in",
    template="signing_in/page.html",
    values=_values,
    routes=_routes,
    is_open=True,
)
