"""What both limits share: a bare ASGI application as a program, and how it answers."""

import argparse
from collections.abc import Callable
from typing import Any

import uvicorn

HEADERS = [(b"content-type", b"application/json")]


def serve(application: Callable[[str], Any]) -> None:
    """Serve the application of a database on a port, as the arguments of this program say."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--database-url", required=True)
    parser.add_argument("--port", type=int, required=True)
    options = parser.parse_args()
    uvicorn.run(
        application(options.database_url), port=options.port, access_log=False,
        log_level="warning", lifespan="off",
    )  # fmt: skip


async def send_json(send: Any, answer: bytes) -> None:
    """Send an answer with the status 200."""
    length = (b"content-length", str(len(answer)).encode())
    await send({"type": "http.response.start", "status": 200, "headers": [*HEADERS, length]})
    await send({"type": "http.response.body", "body": answer})
