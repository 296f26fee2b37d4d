"""The settings: read from environment variables that begin with HARKEN_."""

import os
from typing import Self
from urllib.parse import unquote, urlsplit

from pydantic import ValidationError
from pydantic_settings import SettingsConfigDict

from harken.databases.postgresql_urls import secrets_in
from harken.errors import InvalidSettings
from harken.setting_names import PREFIX, TEST_PREFIX, check_setting_name
from harken.settings.access import AccessSettings
from harken.settings.database import DatabaseSettings
from harken.settings.images import ImageSettings
from harken.settings.integrity import IntegritySettings
from harken.settings.learning import LearningSettings
from harken.settings.ranking import RankingSettings
from harken.settings.retention import RetentionSettings
from harken.settings.server import ServerSettings
from harken.settings.sources import SourceSettings
from harken.settings.stream import StreamSettings
from harken.settings.telemetry import TelemetrySettings


class Settings(
    # pydantic lists the fields of the last base first.
    TelemetrySettings,
    StreamSettings,
    ImageSettings,
    SourceSettings,
    RetentionSettings,
    IntegritySettings,
    LearningSettings,
    RankingSettings,
    AccessSettings,
    ServerSettings,
    DatabaseSettings,
):
    """Every setting, with its default. `Settings.load()` refuses unknown names."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, hide_input_in_errors=True)

    @classmethod
    def load(cls) -> Self:
        """Read the environment; raises InvalidSettings for unknown names and bad values."""
        for name in os.environ:
            if name.startswith(PREFIX) and not name.startswith(TEST_PREFIX):
                check_setting_name(name, cls.model_fields)
        try:
            return cls()
        except ValidationError as error:
            raise InvalidSettings(
                "; ".join(
                    f"{PREFIX}{'.'.join(map(str, e['loc'])).upper()}: "
                    + e["msg"].removeprefix("Value error, ")
                    for e in error.errors()
                )
            ) from None

    @property
    def secrets(self) -> list[str]:
        """Texts that must not be logged: keys and passwords, encoded and decoded."""
        hidden = [*self.api_keys, *filter(None, [self.token_secret])]
        urls = (self.database_url, *self.read_urls)
        passwords = [urlsplit(url).password or "" for url in urls]
        passwords += [each for url in urls for each in secrets_in(url)]
        words = [*(key.get_secret_value() for key in hidden), *passwords, *map(unquote, passwords)]
        return [word for word in [*words, *self.stream_secrets] if word]
