"""The setting of images: whether pages show those of other hosts, through this server."""

from pydantic import Field
from pydantic_settings import BaseSettings


class ImageSettings(BaseSettings):
    """The setting of images, a part of `harken.config.Settings`."""

    image_proxy: bool = Field(
        False,
        description="Whether pages show the images in notes, which this server fetches for them.",
    )
