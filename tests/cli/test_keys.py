"""`harken keys`."""

import json

import jwt
import pytest

SECRET = "a secret of more than thirty-two bytes"


def test_a_key_is_made_shown_once_replaced_and_revoked(harken):
    made = harken(
        "keys", "create", "shop", "--scope", "ingest", "--scope", "read", "--expires", "90d"
    )
    key = made.out.strip()
    assert key.startswith("hk_")
    assert "not shown again" in made.err
    key_id, secret = key.split("_")[1:]
    [listed] = harken("keys", "list", "--json").json
    assert (listed["id"], listed["scopes"]) == (key_id, ["ingest", "read"])
    assert listed["expires_at"] > listed["created_at"]
    table = harken("keys", "list").out
    assert all(each in table for each in (key_id, "shop", "ingest, read", "never"))
    assert secret not in table + json.dumps(listed)
    new = harken("keys", "rotate", key_id, "--json").json
    assert new["key"].startswith(f"hk_{new['id']}_")
    assert harken("keys", "revoke", new["id"]).out == f"The key {new['id']} is revoked.\n"
    assert all(each["revoked_at"] for each in harken("keys", "list", "--json").json)


def test_a_publishable_key_names_its_pages(harken):
    made = harken("keys", "create", "site", "--publishable", "--origin", "https://a.example")
    assert made.out.startswith("hp_")
    assert "https://a.example" in harken("keys", "list").out


def test_a_token_for_trials_names_a_reader(harken):
    made = harken("keys", "token", "ada", "--expires", "30min", HARKEN_TOKEN_SECRET=SECRET)
    claims = jwt.decode(made.out.strip(), SECRET, algorithms=["HS256"], audience="harken")
    assert (claims["sub"], claims["iss"], claims["exp"] - claims["iat"]) == ("ada", "harken", 1800)


@pytest.mark.parametrize("database_kind", ["sqlite"])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("create", "x"), "scopes: give at least one of ingest, read, items, admin"),
        (("create", "x" * 65, "--scope", "read"), "name: must be 1 to 64"),
        (("create", "x\ny", "--scope", "read"), "name: must be 1 to 64"),
        (("create", "x", "--publishable"), "origins: name the pages"),
        (("create", "x", "--publishable", "--origin", "a.example"), "is not an origin such as"),
        (("create", "x", "--publishable", "--scope", "read"), "scopes: go with secret keys only"),
        (("create", "x", "--scope", "read", "--expires", "soon"), "--expires: 'soon' is not"),
        (("revoke", "nobody"), "there is no key 'nobody'"),
        (("rotate", "hk_x\n"), "there is no key 'hk_x\\n'"),
        (("token", "ada"), "HARKEN_TOKEN_SECRET is not set"),
    ],
)
def test_what_is_refused_is_a_message(harken, arguments, message):
    run = harken("keys", *arguments)
    assert run.code == 1
    assert message in run.err


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_a_short_secret_is_refused_without_repeating_it(harken):
    run = harken("keys", "token", "ada", HARKEN_TOKEN_SECRET="short-secret")
    assert run.code == 1
    assert "HARKEN_TOKEN_SECRET: must have at least 32 bytes" in run.err
    assert "short-secret" not in run.err


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_a_link_has_the_token_in_its_fragment(harken):
    env = {"HARKEN_TOKEN_SECRET": SECRET, "HARKEN_PORT": "8123", "HARKEN_ROOT_PATH": "/harken"}
    made = harken("keys", "token", "ada", "--link", **env)
    address, _, token = made.out.strip().partition("#token=")
    assert address == "http://127.0.0.1:8123/harken/sign-in"
    claims = jwt.decode(token, SECRET, algorithms=["HS256"], audience="harken")
    assert (claims["sub"], claims["exp"] - claims["iat"]) == ("ada", 7 * 86_400)
    assert "to that reader only" in made.err
    made = harken("keys", "token", "ada", "--url", "https://a.example/f/", "--json", **env)
    assert made.json["link"] == f"https://a.example/f/sign-in#token={made.json['token']}"
    refused = harken("keys", "token", "ada", "--url", "a.example", **env)
    assert "--url: must be the address of a server" in refused.err
