"""The header by which a proxy says who reads is refused where everybody could send it."""

import pytest

from harken.config import Settings
from harken.errors import InvalidSettings
from harken.protocols.http.security import check_exposure
from harken.settings_check import check_settings


def load(monkeypatch, header, proxies):
    monkeypatch.setenv("HARKEN_IDENTITY_HEADER", header)
    monkeypatch.setenv("HARKEN_FORWARDED_ALLOW_IPS", proxies)
    return Settings.load()


@pytest.mark.parametrize(
    "proxies", ["*", "127.0.0.1,*", "0.0.0.0/0", "::/0", "0.0.0.0/1,128.0.0.0/1", "::/1,8000::/1"]
)
def test_it_is_not_believed_from_everybody(monkeypatch, proxies):
    with pytest.raises(InvalidSettings, match="IDENTITY_HEADER: would be believed from everybody"):
        load(monkeypatch, "X-Remote-User", proxies)


def test_it_needs_proxies(monkeypatch):
    with pytest.raises(InvalidSettings, match="goes with HARKEN_FORWARDED_ALLOW_IPS"):
        load(monkeypatch, "X-Remote-User", "")


@pytest.mark.parametrize(
    "header",
    ["Authorization", "cookie", "Host", "X-API-Key", "x-harken-user-token", "X-Forwarded-For",
     "X_Remote_User", "X-Remote-User:", "X-Ré", "Sec-Fetch-Site", "-", "User-Agent"],
)  # fmt: skip
def test_a_header_with_another_meaning_is_refused(monkeypatch, header):
    with pytest.raises(InvalidSettings, match="must be the name of a header that only your proxy"):
        load(monkeypatch, header, "127.0.0.1")


def test_it_is_accepted_from_named_proxies(monkeypatch):
    settings = load(monkeypatch, "X-Remote-User", "10.0.0.0/8,127.0.0.1,::1")
    assert settings.identity_header == "X-Remote-User"
    check_exposure(settings.model_copy(update={"host": "0.0.0.0"}))
    assert load(monkeypatch, "", "*").identity_header is None


def test_a_check_of_the_settings_reports_it_beside_wrong_proxies(monkeypatch):
    monkeypatch.setenv("HARKEN_IDENTITY_HEADER", "X-Remote-User")
    monkeypatch.setenv("HARKEN_FORWARDED_ALLOW_IPS", "somewhere")
    problems = {each.name for each in check_settings() if each.problem}
    assert problems == {"HARKEN_IDENTITY_HEADER", "HARKEN_FORWARDED_ALLOW_IPS"}
