"""Fixtures of the REST tests: the application on each database, called over ASGI."""

from contextlib import asynccontextmanager

import httpx
import pytest

from harken.protocols.api.app import create_app


@asynccontextmanager
async def client_of(app, base_url: str = "http://127.0.0.1:8000"):
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url=base_url) as client,
    ):
        yield client


@pytest.fixture
async def client(database_url, monkeypatch):
    monkeypatch.setenv("HARKEN_DATABASE_URL", database_url)
    async with client_of(create_app()) as opened:
        yield opened
