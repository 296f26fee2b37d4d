"""Keys and user tokens for tests."""

from contextlib import asynccontextmanager
from datetime import timedelta

from harken.config import Settings
from harken.protocols.api.app import create_app
from harken.services.access.key_store import KeyStore
from harken.services.access.rights import KeyKind, Scope
from harken.services.access.user_tokens import UserTokens
from tests.api.conftest import client_of

TOKEN_SECRET = "a secret of more than thirty-two bytes"
SITE = "https://site.example"


async def make_keys(session_factory) -> dict[str, str]:
    """Make a key of each scope, and a publishable one; returns their texts by scope."""
    store = KeyStore(session_factory)
    made = {scope.value: (await store.create(scope.value, scopes=[scope])).text for scope in Scope}
    public = await store.create("site", KeyKind.PUBLISHABLE, origins=[SITE])
    return made | {"publishable": public.text}


A_DAY = 24 * 60
"""In minutes: tests make tokens when they are collected, and may run an hour later."""


def token_of(user_id, minutes=A_DAY, secret=TOKEN_SECRET):
    tokens = UserTokens.of(Settings(token_secret=secret))
    return tokens.sign(user_id, timedelta(minutes=minutes))


def as_key(key):
    return {"X-API-Key": key}


def as_reader(user_id):
    """Return the headers of a reader with a token and no key."""
    return {"Authorization": f"Bearer {token_of(user_id)}"}


def as_page(key, user_id=None):
    """Return the headers of a request of a page, with the token of a reader."""
    token = {} if user_id is None else {"X-Harken-User-Token": token_of(user_id)}
    return {"X-API-Key": key, "Origin": SITE} | token


BY_PROXY = {
    "HARKEN_FORWARDED_ALLOW_IPS": "127.0.0.1",
    "HARKEN_IDENTITY_HEADER": "X-Remote-User",
}
"""Settings of a server whose proxy says who reads; clients of tests are at 127.0.0.1."""


def as_proxied(user_id):
    """Return the headers of a request that the proxy says is a reader's."""
    return {"X-Remote-User": user_id}


def signed_in(user_id, minutes=A_DAY, secret=TOKEN_SECRET):
    """Return the headers of a browser in which a reader signed in by a link."""
    return {"Cookie": f"harken_sign_in_8000={token_of(user_id, minutes, secret)}"}


@asynccontextmanager
async def service(database_url, monkeypatch, **env):
    """Serve the application on a database with user tokens set up."""
    monkeypatch.setenv("HARKEN_DATABASE_URL", database_url)
    monkeypatch.setenv("HARKEN_TOKEN_SECRET", TOKEN_SECRET)
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    async with client_of(create_app()) as client:
        yield client
