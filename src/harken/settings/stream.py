"""The settings of `harken consume`: where the messages come from."""

from urllib.parse import unquote

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings


class StreamSettings(BaseSettings):
    """The part of the settings that says which stream is consumed."""

    stream_url: SecretStr | None = Field(
        None,
        description="The broker of `harken consume`, such as nats://host:4222; a secret.",
    )
    stream_subject: str = Field(
        "feedback.events",
        description="The subject (NATS) or topic (Kafka) whose messages are events.",
    )
    stream_dead_letters: str = Field(
        "feedback.dead-letters",
        description="The subject or topic for messages that hold no event.",
    )
    stream_group: str = Field(
        "harken", description="Processes of one group share the messages of a stream."
    )

    @property
    def stream_secrets(self) -> list[str]:
        """Texts of the broker's address that must not be logged: a password, or a token."""
        url = self.stream_url.get_secret_value() if self.stream_url else ""
        signed_in, _, _ = url.rpartition("://")[2].rpartition("@")
        name, _, password = signed_in.partition(":")
        secret = password or name
        return [secret, unquote(secret)]
