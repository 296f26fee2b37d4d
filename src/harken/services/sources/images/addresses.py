"""Addresses of images, signed: this server fetches no address that it did not sign.

Whoever shows a note signs the addresses of the images in it. The key is in the database
(`feed_secrets`), so that every process accepts what another one signed. A signature does not
expire, as the image may be looked at as long as its note.
"""

import hashlib

from itsdangerous import BadData, URLSafeSerializer

from harken.errors import NotFound

SECRET_NAME = "images"  # noqa: S105 — the name of a secret


class SignedAddresses:
    """Signs the addresses of images (HMAC-SHA256), and reads what it signed."""

    def __init__(self, secret: str) -> None:
        self._serializer = URLSafeSerializer(
            secret, salt="harken.image.1", signer_kwargs={"digest_method": hashlib.sha256}
        )

    def sign(self, url: str) -> str:
        """Return a token for an address: letters, digits, `-`, `_` and `.`."""
        written = self._serializer.dumps(url)
        return written if isinstance(written, str) else written.decode()

    def read(self, token: str) -> str:
        """Return the address of a token. Raises NotFound for one that was not signed here."""
        try:
            return str(self._serializer.loads(token))
        except BadData:
            raise NotFound("this server did not sign this address of an image") from None
