"""A real server as a proxy reaches it: keys, the prefix, and the addresses of clients."""

import httpx
import pytest

from tests.support.access import as_key, make_keys
from tests.support.server import HarkenServer


@pytest.mark.parametrize("database_kind", ["sqlite"])
async def test_a_server_with_keys_of_its_database_serves_others(database_url, session_factory):
    """It is reached under a prefix that the proxy strips, for clients that the proxy names."""
    keys = await make_keys(session_factory)
    env = {
        "HARKEN_HOST": "0.0.0.0",
        "HARKEN_ROOT_PATH": "/harken/",
        "HARKEN_FORWARDED_ALLOW_IPS": "127.0.0.0/8",
        "HARKEN_RATE_LIMIT_ADDRESS": "2/hour",
    }
    with HarkenServer(database_url, **env) as server:
        port = server.url.rpartition(":")[2]
        async with httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{port}", trust_env=False
        ) as client:
            page = await client.get("/")
            assert page.status_code == 200
            assert 'data-root="/harken"' in page.text
            assert "data-has-keys" in page.text
            assert 'src="/harken/static/' in page.text
            first, second = ({"X-Forwarded-For": each} for each in ("192.0.2.1", "192.0.2.2"))
            asked = [await client.get("/api/feed/cosmos", headers=first) for _ in range(3)]
            assert [each.status_code for each in asked] == [401, 401, 429]
            assert (await client.get("/api/feed/cosmos", headers=second)).status_code == 401
            opened = await client.get("/api/feed/cosmos", headers=first | as_key(keys["read"]))
            assert opened.status_code == 200
            assert (await client.get("/healthz", headers=first)).status_code == 200
        assert "refused 'GET' /api/feed/cosmos: 401" in server.output
        assert keys["read"] not in server.output
