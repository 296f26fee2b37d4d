"""Settings say what is wrong with them."""

from datetime import timedelta

import pytest

from harken.config import Settings
from harken.errors import InvalidSettings
from harken.protocols.http.security import check_exposure
from harken.services.providers import affinity_settings


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("HARKEN_DATABSE_URL", "x", "HARKEN_DATABSE_URL; did you mean HARKEN_DATABASE_URL"),
        ("HARKEN_QQQ", "x", "there is no setting HARKEN_QQQ; known are HARKEN_"),
        ("HARKEN_PORT", "80000", "HARKEN_PORT: Input should be less than or equal to 65535"),
        ("HARKEN_DATABASE_URL", "mysql://x", "HARKEN_DATABASE_URL: must begin with sqlite"),
        ("HARKEN_DATABASE_SCHEMA", "a; DROP", "HARKEN_DATABASE_SCHEMA: must be lower-case"),
        ("HARKEN_ATTENTION_PRIOR", "0", "HARKEN_ATTENTION_PRIOR: .* greater than 0"),
        ("HARKEN_ATTENTION_PRIOR", "inf", "HARKEN_ATTENTION_PRIOR: .* finite number"),
        ("HARKEN_HALF_LIVES", "5min", "HARKEN_HALF_LIVES: .* must each be from 1h to 365d"),
        ("HARKEN_HALF_LIVES", "1h,2h,3h,4h,5h", "HARKEN_HALF_LIVES: .* must be 1 to 4 half-lives"),
        ("HARKEN_HALF_LIVES", "", "HARKEN_HALF_LIVES: .* is not a duration such as"),
        ("HARKEN_TREND_WEIGHTS", "look:1", "HARKEN_TREND_WEIGHTS: .* known are view, engage"),
        ("HARKEN_TREND_WEIGHTS", "view:nan", "trend_weights.view: must be from -1000 to 1000"),
        ("HARKEN_PERSONAL_WEIGHTS", "kinship:nan", "kinship: must be a number from -1000000"),
        ("HARKEN_PERSONAL_WEIGHTS", "tags:1e308", "tags: must be a number from -1000000"),
        ("HARKEN_PERSONAL_WEIGHTS", "tags", "'tags' is not of the form name:0.5"),
        ("HARKEN_RETRAIN_EVERY", "soon", "HARKEN_RETRAIN_EVERY: 'soon' is not a duration such as"),
        ("HARKEN_RETRAIN_EVERY", "0d", "HARKEN_RETRAIN_EVERY: must be more than 0"),
        ("HARKEN_QUEUE_LIMIT", "0", "HARKEN_QUEUE_LIMIT: .* greater than or equal to 1"),
    ],
)  # fmt: skip
def test_a_wrong_setting_is_refused(monkeypatch, name, value, message):
    monkeypatch.setenv(name, value)
    with pytest.raises(InvalidSettings, match=message):
        Settings.load()


@pytest.mark.parametrize("name", ["user_similarity", "kinship"])
def test_parts_are_weighed_under_their_names_and_their_former_ones(monkeypatch, name):
    monkeypatch.setenv("HARKEN_PERSONAL_WEIGHTS", f"{name}:0.25")
    settings = affinity_settings(Settings.load())
    assert settings.weights == {"user_similarity": 0.25}


def test_a_part_under_both_names_is_refused(monkeypatch):
    monkeypatch.setenv("HARKEN_PERSONAL_WEIGHTS", "user_similarity:1,kinship:2")
    with pytest.raises(InvalidSettings, match="PERSONAL_WEIGHTS: user_similarity has two weights"):
        affinity_settings(Settings.load())


def test_what_the_tests_read_is_no_setting(monkeypatch):
    monkeypatch.setenv("HARKEN_TEST_POSTGRES_URL", "x")
    assert Settings.load().port == 8000


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("postgresql://u:p@h/d", "postgresql+asyncpg://u:p@h/d"),
        ("postgres://u@h/d", "postgresql+asyncpg://u@h/d"),
        ("sqlite:///a.db", "sqlite+aiosqlite:///a.db"),
    ],
)
def test_a_url_without_a_driver_gets_ours(given, kept):
    assert Settings(database_url=given).database_url == kept


def test_lists_are_comma_separated_and_keys_stay_secret(monkeypatch):
    monkeypatch.setenv("HARKEN_API_KEYS", "first, second,")
    monkeypatch.setenv("HARKEN_CORS_ORIGINS", "https://a.example")
    settings = Settings.load()
    assert [key.get_secret_value() for key in settings.api_keys] == ["first", "second"]
    assert settings.cors_origins == ("https://a.example",)
    assert "first" not in repr(settings)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "127.8.8.8"])
def test_without_keys_this_machine_may_be_served(host):
    check_exposure(Settings(host=host))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.org"])
def test_without_keys_nobody_else_may(host):
    with pytest.raises(InvalidSettings, match="set HARKEN_API_KEYS, or serve on 127"):
        check_exposure(Settings(host=host))
    check_exposure(Settings(host=host, api_keys=("k",)))


def test_retraining_is_off_unless_it_is_set(monkeypatch):
    assert Settings.load().retrain_every is None
    monkeypatch.setenv("HARKEN_RETRAIN_EVERY", "")
    assert Settings.load().retrain_every is None
    monkeypatch.setenv("HARKEN_RETRAIN_EVERY", "7d")
    assert Settings.load().retrain_every == timedelta(days=7)


def test_allocations_change_daily_at_most(monkeypatch):
    assert Settings.load().allocate_every == timedelta(days=1)
    monkeypatch.setenv("HARKEN_ALLOCATE_EVERY", "")
    assert Settings.load().allocate_every is None
    monkeypatch.setenv("HARKEN_ALLOCATE_EVERY", "6h")
    with pytest.raises(
        InvalidSettings, match=r"HARKEN_ALLOCATE_EVERY.* greater than or equal to 1 day"
    ):
        Settings.load()


def test_what_must_not_be_logged():
    settings = Settings(database_url="postgresql://u:p%40ss@h/d", api_keys=("k1", "k2"))
    assert settings.secrets == ["k1", "k2", "p%40ss", "p@ss"]
    assert Settings().secrets == []
