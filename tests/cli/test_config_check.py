"""`harken config check`: each setting, its source, what is wrong, and no secret."""

import pytest

from harken.config import Settings
from harken.setting_names import PREFIX
from harken.settings_check import HIDDEN

SECRET = "s3cr3t" * 8


def check(harken, *options, **env):
    return harken("config", "check", *options, **env)


def test_every_setting_says_where_it_comes_from(harken):
    run = check(harken, "--json", HARKEN_PORT="8080", harken_weights="attention:0.5,recency:0.5")
    assert run.code == 0
    found = {each["name"]: each for each in run.json["settings"]}
    assert set(found) == {PREFIX + name.upper() for name in Settings.model_fields}
    assert found["HARKEN_PORT"] == {
        "name": "HARKEN_PORT", "value": "8080", "source": "environment", "problem": None,
    }  # fmt: skip
    assert found["HARKEN_WEIGHTS"]["value"].startswith("attention:0.5,principles:0.3,")
    assert found["HARKEN_WEIGHTS"]["source"] == "environment"
    assert found["HARKEN_HALF_LIVES"]["source"] == "default"
    assert found["HARKEN_NOTICE"]["value"] is None
    brief = check(harken, "--set", HARKEN_PORT="8080")
    assert "HARKEN_PORT" in brief.out
    assert "HARKEN_NOTICE" not in brief.out
    assert brief.out.endswith("0 problems.\n")


@pytest.mark.parametrize(
    "env",
    [
        {"HARKEN_API_KEYS": f"{SECRET},other", "HARKEN_TOKEN_SECRET": SECRET},
        {"HARKEN_DATABASE_URL": f"postgresql://harken:{SECRET}@db.example/x?password={SECRET}"},
        {"HARKEN_DATABASE_URL": f"postgresql://harken:{SECRET}@db.example:port/x"},
        {"HARKEN_PORT": SECRET},
        {"HARKEN_KEY": SECRET},
        {"HARKEN_TOKEN_SECRET": SECRET[:9]},
    ],
    ids=str,
)
def test_no_secret_is_shown(harken, env):
    for options in ((), ("--json",)):
        run = check(harken, *options, **env)
        assert SECRET[:9] not in run.out + run.err
    if "HARKEN_API_KEYS" in env:
        assert HIDDEN in run.out


def test_all_that_is_wrong_is_said_at_once(harken, tmp_path):
    run = check(
        harken,
        HARKEN_PORT="99999",
        HARKEN_WIEGHTS="attention:1",
        HARKEN_HALF_LIVES="6 parsecs",
        HARKEN_DATABASE_URL=f"sqlite:///{tmp_path}/no/x.db",
        HARKEN_TOKEN_JWKS="none.json",
    )
    assert run.code == 1
    for said in (
        "HARKEN_PORT: Input should be less than or equal to 65535",
        "there is no setting HARKEN_WIEGHTS; did you mean HARKEN_WEIGHTS?",
        "HARKEN_HALF_LIVES: ",
        "HARKEN_DATABASE_URL: there is no folder",
        "HARKEN_TOKEN_JWKS: there is no file none.json",
        "5 problems.",
    ):
        assert said in run.out, said


def test_a_server_that_others_reach_without_keys_is_remarked_on(harken):
    run = check(harken, HARKEN_HOST="0.0.0.0")
    assert run.code == 0
    assert "no API key protects it" in " ".join(run.out.split())
