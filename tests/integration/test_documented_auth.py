"""The examples of the page on keys and tokens run, each against a real server.

Service to service: its commands, as the tutorial's. Browser: the token that the Python example
signs, sent by both examples in JavaScript in Node.js. Embedded: the lines of the page, in an
application. Behind a proxy: nginx with the configuration of the page.
"""

import os
import re
import shlex
import subprocess
import sys
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import jwt
import pytest
from fastapi import FastAPI, Request
from starlette.middleware.sessions import SessionMiddleware

from harken.protocols.api.feed import create_feed_router
from tests.api.conftest import client_of
from tests.integration.test_documented_commands import ADDRESS, commands, pattern
from tests.support.access import SITE, TOKEN_SECRET, as_key, token_of
from tests.support.chromium import program
from tests.support.nginx import location_with_readers, nginx_with
from tests.support.server import HarkenServer

ROOT = Path(__file__).parents[2]
CLIENT = ROOT / "src/harken/protocols/pages/static/harken-client.js"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.parametrize("database_kind", ["sqlite"]),
]


def section(title: str) -> str:
    """Return a section of the page."""
    text = (ROOT / "docs/auth.md").read_text("utf-8")
    return text.split(f"\n## {title}\n")[1].split("\n## ")[0]


def blocks(title: str, language: str) -> list[str]:
    """Return the examples of a section in one language."""
    return re.findall(rf"```{language}\n(.*?)```", section(title), re.DOTALL)


def run(line: str, database_url: str, folder: Path, **more: str) -> str:
    environment = {
        **os.environ, "HARKEN_DATABASE_URL": database_url, **more,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }  # fmt: skip
    done = subprocess.run(
        ["bash", "-c", line], cwd=folder, env=environment, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=100, check=False,
    )  # fmt: skip
    return done.stdout.strip()


def test_a_service_records_with_its_key(database_url, tmp_path):
    program("curl")
    made, *asked = commands(section("Service to service"))
    assert len(asked) == 2
    printed = run(made.line, database_url, tmp_path)
    key = printed.splitlines()[0]
    shown = re.sub(r"hk_\w+…", "…", made.output)
    assert pattern(shown).fullmatch(printed), printed
    with HarkenServer(database_url) as server:
        for command in asked:
            line = command.line.replace(ADDRESS, server.url).replace("curl ", "curl -sS ", 1)
            printed = run(line, database_url, tmp_path, HARKEN_KEY=key)
            assert pattern(command.output).fullmatch(printed), f"$ {line}\n{printed}"


def test_a_page_records_as_guest_and_as_its_reader(database_url, tmp_path):
    """In Node.js, whose requests have no origin; browsers are tested in tests/browser."""
    node = program("node")
    [made] = commands(section("Browser"))
    key = run(made.line, database_url, tmp_path).splitlines()[0]
    [signing] = blocks("Browser", "python")
    names = {
        "reader_id": "ada", "secret": TOKEN_SECRET, "jwt": jwt, "UTC": UTC,
        "datetime": datetime, "timedelta": timedelta,
    }  # fmt: skip
    exec(signing, names)
    token = names["token"]
    with HarkenServer(database_url, HARKEN_TOKEN_SECRET=TOKEN_SECRET) as server:
        example, own_request = blocks("Browser", "js")
        script = f"const token = {token!r};\n{example}\n{own_request}"
        script += "\nconsole.log(answer.status, client.pending);\nawait client.close();\n"
        for shown, real in (
            ('"harken-client"', f'"{CLIENT}"'),
            ('"/feed-token"', f'"data:text/plain,{token}"'),
            ("https://feedback.example.org", server.url),
        ):
            assert shown in script
            script = script.replace(shown, real)
        (tmp_path / "page.mjs").write_text(script, "utf-8")
        assert run(f"{shlex.quote(node)} page.mjs", database_url, tmp_path) == "200 0"
        guest = as_key(key) | {"Origin": "https://example.org"}
        event = {"kblock_id": "hello", "action": "view"}
        with httpx.Client(base_url=server.url, trust_env=False) as client:
            path = "/api/feed/feedback/record"
            assert client.post(path, json=event, headers=guest).status_code == 200
            assert client.post(path, json=event, headers=guest | {"Origin": SITE}).is_error
            own = client.get("/api/users/ada/profile", headers={"Authorization": f"Bearer {token}"})
        assert own.json()["interactions"] == 1


def test_a_link_signs_in_and_its_token_is_in_no_log(database_url, tmp_path):
    [made] = commands(section("Sign-in by link"))
    secret = {"HARKEN_TOKEN_SECRET": TOKEN_SECRET}
    run("harken keys create owner --scope read", database_url, tmp_path)
    printed = run(made.line, database_url, tmp_path, **secret)
    assert pattern(made.output).fullmatch(printed), printed
    address, _, token = printed.splitlines()[0].partition("#token=")
    assert address == "https://feeds.example.org/sign-in"
    with HarkenServer(database_url, **secret) as server:
        with httpx.Client(base_url=server.url, trust_env=False) as client:
            assert client.get("/sign-in").status_code == 200
            assert client.get("/api/users/ada/profile").status_code == 401
            assert client.post("/sign-in", json={"token": token}).status_code == 204
            assert client.get("/api/users/ada/profile").status_code == 200
            assert client.get("/api/users/bob/profile").status_code == 403
            expired = token_of("ada", minutes=-5)
            assert client.post("/sign-in", json={"token": expired}).status_code == 401
        assert "refused a sign-in: the user token has expired" in server.output
        for each in (token, expired):
            assert each not in server.output
            assert each.rpartition(".")[2] not in server.output


def test_a_proxy_that_knows_its_readers_says_who_reads(database_url, tmp_path):
    nginx = program("nginx", "/usr/sbin/nginx")
    [command] = commands(section("Sign-in by proxy"))
    settings = dict(re.findall(r"\b(HARKEN_\w+)=(\S+)", command.line))
    with ExitStack() as stack:
        server = stack.enter_context(HarkenServer(database_url, **settings))
        assert command.output in server.output.replace("\n", " ")
        location = location_with_readers(tmp_path, server.url)
        proxy = stack.enter_context(nginx_with(nginx, tmp_path, location))
        client = stack.enter_context(httpx.Client(base_url=proxy, trust_env=False))
        path, event = "/api/feed/feedback/record", {"kblock_id": "hello", "action": "view"}
        assert client.get("/").status_code == 401  # of nginx
        client.auth = ("ada", "a password")
        forged = {"X-Remote-User": "bob", "X-Forwarded-For": "127.0.0.1"}
        for headers in ({}, forged):
            assert client.post(path, json=event, headers=headers).status_code == 200
        assert client.get("/api/users/ada/profile").json()["interactions"] == 2
        assert client.get("/api/users/bob/profile", headers=forged).status_code == 403
        # Who reaches the server past the proxy is nobody, or has to be a proxy.
        with httpx.Client(base_url=server.url, trust_env=False) as past:
            assert past.get("/api/feed/cosmos").status_code == 401
            assert past.get("/api/feed/cosmos", auth=client.auth).status_code == 401


async def test_an_application_with_sessions_serves_its_readers(session_factory):
    [shown] = blocks("Embedded", "python")
    app = FastAPI()

    @app.post("/sign-in")
    async def sign_in(request: Request, name: str) -> None:
        request.session["reader"] = name

    names = {
        "app": app, "session_factory": session_factory, "Request": Request,
        "SessionMiddleware": SessionMiddleware, "create_feed_router": create_feed_router,
    }  # fmt: skip
    assert "secret_key=…" in shown
    exec(shown.replace("secret_key=…", "secret_key='of the session'"), names)
    async with client_of(app) as client:
        path, event = "/api/feed/feedback/record", {"kblock_id": "hello", "action": "view"}
        await client.post("/sign-in", params={"name": "ada"})
        assert (await client.post(path, json=event)).status_code == 200
        assert (await client.post(path, json=event | {"user_id": "bob"})).status_code == 403
        assert (await client.get("/api/users/ada/profile")).json()["interactions"] == 1
        assert (await client.get("/api/users/bob/profile")).status_code == 403


def test_a_server_behind_nginx_under_a_prefix(database_url, tmp_path):
    nginx = program("nginx", "/usr/sbin/nginx")
    [command] = commands(section("Behind a proxy"))
    settings = dict(re.findall(r"\b(HARKEN_\w+)=(\S+)", command.line))
    assert command.line.endswith("harken serve")
    key = run("harken keys create proxied --scope read", database_url, tmp_path).splitlines()[0]
    [location] = blocks("Behind a proxy", "nginx")
    settings["HARKEN_RATE_LIMIT_ADDRESS"] = "3/hour"  # so that the addresses of clients are seen
    with ExitStack() as stack:
        server = stack.enter_context(HarkenServer(database_url, **settings))
        assert f"{ADDRESS}/" in location
        proxy = stack.enter_context(
            nginx_with(nginx, tmp_path, location.replace(ADDRESS, server.url))
        )
        client = stack.enter_context(httpx.Client(base_url=proxy, trust_env=False))
        page = client.get("/harken/")
        assert 'src="/harken/static/' in page.text
        script = re.search(r'src="(/harken/static/\S+?)"', page.text)
        assert script is not None
        assert client.get(script[1]).status_code == 200
        feed = client.get("/harken/api/feed/cosmos", headers=as_key(key))
        assert feed.status_code == 200
        asked = [client.get("/harken/api/feed/cosmos").status_code for _ in range(4)]
        assert asked[0] == 401
        assert asked[-1] == 429
        spoofed = {"X-Forwarded-For": "192.0.2.1"}  # the proxy says which address it is
        assert client.get("/harken/api/feed/cosmos", headers=spoofed).status_code == 429
