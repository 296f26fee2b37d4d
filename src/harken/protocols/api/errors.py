"""Errors as RFC 9457 problem documents; the one place that knows their status codes."""

import logging
from collections.abc import Callable, Iterable, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException as StarletteHTTPException

from harken.domain.fields import explain
from harken.errors import (
    CursorExpired,
    HarkenError,
    IdConflict,
    InvalidInput,
    InvalidModel,
    MissingExtra,
    NotFound,
    Problem,
    SchemaMismatch,
    Unavailable,
    UnknownFeed,
    quoted,
    shortened,
)

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
# Characters of all the errors in the answer to a batch: 200 each, where all of 1,000 are wrong.
MOST_TOLD = 200_000

STATUS: dict[type[HarkenError], HTTPStatus] = {
    InvalidInput: HTTPStatus.UNPROCESSABLE_ENTITY,
    UnknownFeed: HTTPStatus.NOT_FOUND,
    IdConflict: HTTPStatus.CONFLICT,
    InvalidModel: HTTPStatus.CONFLICT,
    NotFound: HTTPStatus.NOT_FOUND,
    MissingExtra: HTTPStatus.SERVICE_UNAVAILABLE,
    CursorExpired: HTTPStatus.GONE,
    Unavailable: HTTPStatus.SERVICE_UNAVAILABLE,
    SchemaMismatch: HTTPStatus.SERVICE_UNAVAILABLE,
    HarkenError: HTTPStatus.INTERNAL_SERVER_ERROR,
}

# What every route may answer, for the OpenAPI document.
RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {"description": text, "content": {MEDIA_TYPE: {"schema": {"type": "object"}}}}
    for status, text in {
        413: "The body is too large.",
        422: "Something in the request is wrong: `errors` names each field.",
        503: "Nothing was acknowledged; try again after `Retry-After` seconds.",
    }.items()
}


def status_of(error: HarkenError) -> HTTPStatus:
    """Return the status that an error is answered with."""
    return next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)


def problem(
    status: int,
    detail: str,
    errors: Iterable[Problem] = (),
    headers: dict[str, str] | None = None,
) -> Response:
    """Write a problem document."""
    document: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
    }
    if found := [each._asdict() for each in errors]:
        document["errors"] = found
    return JSONResponse(document, status, headers=headers, media_type=MEDIA_TYPE)


def answer(error: Exception) -> Response:
    """Write the problem document of an error."""
    if isinstance(error, RequestValidationError):
        return _invalid_request(error)
    if isinstance(error, StarletteHTTPException):
        return problem(error.status_code, error.detail, headers=dict(error.headers or {}))
    if isinstance(error, HarkenError):
        status = status_of(error)
        problems = error.problems if isinstance(error, InvalidInput) else ()
        headers = {}
        if isinstance(error, Unavailable):
            headers["Retry-After"] = str(error.retry_after)
        return problem(status, str(error), problems, headers)
    return problem(500, "Something is wrong on this side; the server's log says more.")


def _invalid_request(error: RequestValidationError) -> Response:
    problems = []
    for found in error.errors():
        # The value itself is not repeated: it may hold what JSON cannot.
        field = ".".join(map(str, found["loc"][1:])) or str(found["loc"][0])
        problems.append(Problem(field, explain(found["type"], found["msg"])))
    return answer(InvalidInput(*problems))


def rejections(found: Sequence[tuple[int, str]]) -> list[dict[str, Any]]:
    """Say why members of a batch were rejected: each by its index, and all in a bounded answer.

    Of a few the whole error is told, of many as much as there is room for.
    """
    most = MOST_TOLD // max(len(found), 1)
    return [{"index": index, "error": shortened(error, most)} for index, error in found]


async def _handle(_request: Request, error: Exception) -> Response:
    return answer(error)


async def _handle_unknown(request: Request, error: Exception) -> Response:
    log.error("%s %s failed", request.method, quoted(request.url.path), exc_info=error)
    return answer(error)


def install(app: FastAPI) -> None:
    """Make an application answer every error with a problem document."""
    handlers: dict[type[Exception], Callable[..., Any]] = {
        HTTPException: _handle,
        StarletteHTTPException: _handle,
        RequestValidationError: _handle,
        HarkenError: _handle,
        Exception: _handle_unknown,
    }
    for kind, handler in handlers.items():
        app.add_exception_handler(kind, handler)
