"""An application with Harken embedded: one process, one database, one engine.

    uvicorn examples.embedded:app

The application serves `/articles` and knows its readers by a session cookie; Harken serves
`/api/feed/…`, to each reader as themselves. APP_DATABASE_URL names the database; the default is
`app.db` in the current folder. APP_SECRET signs the cookies.
"""

import os
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from starlette.middleware.sessions import SessionMiddleware

from harken import migrations
from harken.protocols.api.feed import create_feed_router

ARTICLES = [
    {"id": "hello", "title": "Hello"},
    {"id": "world", "title": "World"},
]


async def reader(request: Request) -> str | None:
    """Return the id of the signed-in reader; None for a guest."""
    name: str | None = request.session.get("reader")
    return name


def create_app() -> FastAPI:
    """Create the application."""
    engine = create_async_engine(os.environ.get("APP_DATABASE_URL", "sqlite+aiosqlite:///app.db"))
    session_factory = async_sessionmaker(engine)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        await migrations.upgrade(engine)
        yield
        await engine.dispose()

    app = FastAPI(title="A magazine", lifespan=lifespan)

    app.add_middleware(
        SessionMiddleware, secret_key=os.environ.get("APP_SECRET") or secrets.token_hex()
    )

    @app.post("/sign-in")
    async def sign_in(request: Request, name: str) -> dict[str, str]:
        """Sign a reader in. A real application checks a password here."""
        request.session["reader"] = name
        return {"reader": name}

    @app.get("/articles")
    async def articles() -> list[dict[str, str]]:
        """List the articles."""
        return ARTICLES

    # What readers need, and nothing that is for editors only.
    app.include_router(
        create_feed_router(session_factory, user=reader, include=["record", "feeds", "readers"])
    )
    return app


app = create_app()
