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

# What is said here changes with every event, and is for who asked.
NOT_STORED = {"Cache-Control": "private, no-store"}

PROBLEM_SCHEMA: dict[str, Any] = {
    "title": "Problem",
    "description": "What went wrong, as RFC 9457 has it.",
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string", "description": "Always about:blank: the status says the kind."},
        "title": {"type": "string", "description": "The status in words."},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "What is wrong, and what would be right."},
        "errors": {
            "type": "array",
            "description": "Each field or parameter that is wrong.",
            "items": {
                "type": "object",
                "required": ["field", "message"],
                "properties": {"field": {"type": "string"}, "message": {"type": "string"}},
            },
        },
    },
}

_DESCRIPTIONS = {
    400: "The body is not JSON.",
    401: "This needs a key.",
    403: "A page of another origin asks, which HARKEN_CORS_ORIGINS does not name.",
    404: "There is nothing of this name.",
    409: "What is there already stands against it.",
    410: "The cursor is more than an hour old; start again without one.",
    413: "The body is too large.",
    415: "The body's coding is none that is read here.",
    422: "Something in the request is wrong: `errors` names each field.",
    503: "Nothing was acknowledged; try again after `Retry-After` seconds.",
}


def described(*statuses: int, **texts: str) -> dict[int | str, dict[str, Any]]:
    """Return what the OpenAPI document says of answers with these statuses.

    A text in place of the usual one is given as `status_404="There is no such model."`.
    """
    own = {int(name.removeprefix("status_")): text for name, text in texts.items()}
    return {
        status: {
            "description": own.get(status) or _DESCRIPTIONS[status],
            "content": {MEDIA_TYPE: {"schema": PROBLEM_SCHEMA}},
        }
        for status in sorted({*statuses, *own})
    }


RESPONSES = described(422, 503)
"""What every route of the API may answer."""

BODY_RESPONSES = described(400, 413, 415)
"""What those with a body may answer besides."""


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
    return JSONResponse(
        document, status, headers=NOT_STORED | (headers or {}), media_type=MEDIA_TYPE
    )


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
