"""Errors as RFC 9457 problem documents; no other module maps errors to status codes."""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from harken.domain.fields import explain
from harken.errors import (
    CursorExpired,
    Erased,
    Forbidden,
    HarkenError,
    IdConflict,
    InvalidInput,
    InvalidModel,
    MissingExtra,
    NotFound,
    Problem,
    SchemaMismatch,
    Unauthorized,
    Unavailable,
    UnknownFeed,
    Unreachable,
    quoted,
    shortened,
)

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
# Characters of all errors in the answer to a batch: 200 each if all 1,000 members are invalid.
MOST_ERROR_CHARACTERS = 200_000

STATUS: dict[type[HarkenError], HTTPStatus] = {
    InvalidInput: HTTPStatus.UNPROCESSABLE_ENTITY,
    UnknownFeed: HTTPStatus.NOT_FOUND,
    IdConflict: HTTPStatus.CONFLICT,
    InvalidModel: HTTPStatus.CONFLICT,
    NotFound: HTTPStatus.NOT_FOUND,
    Unauthorized: HTTPStatus.UNAUTHORIZED,
    Forbidden: HTTPStatus.FORBIDDEN,
    MissingExtra: HTTPStatus.SERVICE_UNAVAILABLE,
    CursorExpired: HTTPStatus.GONE,
    Erased: HTTPStatus.GONE,
    Unavailable: HTTPStatus.SERVICE_UNAVAILABLE,
    Unreachable: HTTPStatus.BAD_GATEWAY,
    SchemaMismatch: HTTPStatus.SERVICE_UNAVAILABLE,
    HarkenError: HTTPStatus.INTERNAL_SERVER_ERROR,
}

# Answers change with every event and may be personal, so caches must not store them.
NOT_STORED = {"Cache-Control": "private, no-store"}

PROBLEM_SCHEMA: dict[str, Any] = {
    "title": "Problem",
    "description": "A problem document (RFC 9457).",
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string", "description": "Always about:blank; the status is the kind."},
        "title": {"type": "string", "description": "The name of the status."},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "What is wrong, and what would be valid."},
        "errors": {
            "type": "array",
            "description": "The invalid fields or parameters.",
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
    401: "An API key is needed, or the key or user token is not valid.",
    403: "The key or user token does not allow this, or the page is of an origin that may not.",
    404: "There is no object with this name.",
    409: "The request conflicts with stored data.",
    410: "The cursor has expired: request the first page again. Or the reader was erased.",
    413: "The body is too large.",
    415: "The encoding of the body is not supported.",
    422: "The request is invalid: `errors` lists the fields.",
    429: "There are too many requests; try again after `Retry-After` seconds.",
    503: "The service is not available; try again after `Retry-After` seconds.",
}


def described(*statuses: int, **texts: str) -> dict[int | str, dict[str, Any]]:
    """Return the descriptions of these statuses for the OpenAPI document of a route.

    An argument such as `status_404="There is no such model."` replaces the usual description.
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
"""Errors that every route of the API may answer."""

BODY_RESPONSES = described(400, 413, 415)
"""Further errors of the routes with a body."""


def status_of(error: HarkenError) -> HTTPStatus:
    """Return the status code of an error."""
    return next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)


def problem(
    status: int,
    detail: str,
    errors: Iterable[Problem] = (),
    headers: dict[str, str] | None = None,
) -> Response:
    """Return a response with a problem document."""
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
    """Return the response for an error; an unknown error is a 500 without details."""
    if isinstance(error, HTTPException):
        return problem(error.status_code, error.detail, headers=dict(error.headers or {}))
    if isinstance(error, HarkenError):
        status = status_of(error)
        problems = error.problems if isinstance(error, InvalidInput) else ()
        headers = {}
        if isinstance(error, Unavailable):
            headers["Retry-After"] = str(error.retry_after)
        return problem(status, str(error), problems, headers)
    return problem(500, "The server failed; its log has the details.")


def invalid_input(found: Iterable[Mapping[str, Any]]) -> InvalidInput:
    """Return the error for parameters that pydantic refused, by its descriptions of errors."""
    problems = []
    for each in found:
        # The value is not quoted: it may contain what JSON cannot represent.
        field = ".".join(map(str, each["loc"][1:])) or str(each["loc"][0])
        problems.append(Problem(field, explain(each["type"], each["msg"])))
    return InvalidInput(*problems)


def rejections(found: Sequence[tuple[int, str]]) -> list[dict[str, Any]]:
    """Return the rejected members of a batch: pairs of index and error, as JSON objects.

    The errors are shortened if together they exceed `MOST_ERROR_CHARACTERS`.
    """
    most = MOST_ERROR_CHARACTERS // max(len(found), 1)
    return [{"index": index, "error": shortened(error, most)} for index, error in found]


async def _handle(_request: Request, error: Exception) -> Response:
    return answer(error)


async def _handle_unknown(request: Request, error: Exception) -> Response:
    log.error("%s %s failed", request.method, quoted(request.url.path), exc_info=error)
    return answer(error)


async def _handle_invalid(_request: Request, error: Any) -> Response:
    return answer(invalid_input(error.errors()))


def install(app: Starlette) -> None:
    """Install the exception handlers that answer every error with a problem document."""
    # Imported here: what is answered before FastAPI's routes does not wait for FastAPI.
    from fastapi.exceptions import RequestValidationError  # noqa: PLC0415

    handlers: dict[type[Exception], Callable[..., Any]] = {
        HTTPException: _handle,
        RequestValidationError: _handle_invalid,
        HarkenError: _handle,
        Exception: _handle_unknown,
    }
    for kind, handler in handlers.items():
        app.add_exception_handler(kind, handler)
