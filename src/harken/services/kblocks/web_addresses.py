"""Addresses on the web: URLs of http and https, as documents and people write them."""

from urllib.parse import urljoin, urlsplit

WEB = ("http", "https")


def is_web(address: str) -> bool:
    """Tell whether an address is a URL of http or https."""
    try:
        parts = urlsplit(address)
        return parts.scheme in WEB and bool(parts.hostname)
    except ValueError:
        return False


def resolve(base: str, url: str) -> str:
    """Resolve a URL against its base; return it unchanged if that fails."""
    try:
        return urljoin(base, url)
    except ValueError:
        return url


def without_secrets(url: str) -> str:
    """Return a URL without the user's name and password."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
