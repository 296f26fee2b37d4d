"""An application with Harken embedded: one process, one database, one engine.

    uvicorn examples.embedded:app

The application serves `/articles`; Harken serves `/api/feed/…`. APP_DATABASE_URL names the
database; the default is `app.db` in the current folder.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine

from harken import migrations
from harken.protocols.api.feed import create_feed_router

ARTICLES = [
    {"id": "hello", "title": "Hello"},
    {"id": "world", "title": "World"},
]


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

    @app.get("/articles")
    async def articles() -> list[dict[str, str]]:
        """List the articles."""
        return ARTICLES

    app.include_router(create_feed_router(session_factory))
    return app


app = create_app()
