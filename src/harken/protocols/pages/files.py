"""Static files: our own, and those of installed packages, each with a digest in its address.

Under `/static/v-<digest>/` files may be kept for ever, and scripts find each other by relative
addresses. Under `/static/` alone they are asked for each time, with an ETag.
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib import metadata, resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import NamedTuple

from fastapi import HTTPException, Request, Response

PREFIX = "/static/"
MEDIA_TYPES = {
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "map": "application/json",
    "svg": "image/svg+xml",
    "png": "image/png",
    "ico": "image/x-icon",
    "txt": "text/plain; charset=utf-8",
}
FOR_EVER = "public, max-age=31536000, immutable"
ASK_AGAIN = "no-cache"


@dataclass(frozen=True)
class VendorFile:
    """A file of an installed package that browsers get, at `/static/vendor/` and its name.

    `path` is its place in the distribution, as `pip show --files` writes it.
    """

    name: str
    distribution: str
    path: str


class File(NamedTuple):
    """A static file, in memory."""

    content: bytes
    media_type: str
    etag: str


class StaticFiles:
    """All static files, read once: what an address with a digest stands for never changes."""

    def __init__(self, vendor: Iterable[VendorFile] = ()) -> None:
        folder = resources.files("harken.protocols.pages") / "static"
        found = {name: file.read_bytes() for name, file in _files(folder)}
        for each in vendor:
            content = _installed(each)
            if content is not None:
                found[f"vendor/{each.name}"] = content
        self._files = {name: _file(name, content) for name, content in found.items()}
        digests = "".join(f"{name} {self._files[name].etag}\n" for name in sorted(self._files))
        self._version = f"v-{hashlib.sha256(digests.encode()).hexdigest()[:16]}/"

    def address(self, name: str) -> str:
        """Return where a file is, without the host; raises LookupError for one that is not."""
        if name not in self._files:
            raise LookupError(f"there is no static file {name!r}")
        return PREFIX + self._version + name

    def serve(self, request: Request, path: str) -> Response:
        """Answer with the file at a path under `/static/`."""
        name = path.removeprefix(self._version)
        file = self._files.get(name)
        if file is None:
            raise HTTPException(404, f"there is no file {PREFIX}{path}")
        headers = {
            "Cache-Control": ASK_AGAIN if name == path else FOR_EVER,
            "ETag": file.etag,
            "X-Content-Type-Options": "nosniff",
        }
        known = [each.strip() for each in request.headers.get("if-none-match", "").split(",")]
        if file.etag in (each.removeprefix("W/") for each in known):
            return Response(status_code=304, headers=headers)
        return Response(file.content, headers=headers, media_type=file.media_type)


def _file(name: str, content: bytes) -> File:
    digest = hashlib.sha256(content).hexdigest()[:32]
    kind = name.rpartition(".")[2]
    return File(content, MEDIA_TYPES.get(kind, "application/octet-stream"), f'"{digest}"')


def _files(folder: Traversable, prefix: str = "") -> Iterator[tuple[str, Traversable]]:
    for each in folder.iterdir():
        if each.is_dir():
            yield from _files(each, f"{prefix}{each.name}/")
        else:
            yield prefix + each.name, each


def _installed(file: VendorFile) -> bytes | None:
    """Return a file of an installed package, which is not imported; None where it is not there."""
    try:
        found = metadata.distribution(file.distribution).locate_file(file.path)
        return Path(str(found)).read_bytes()
    except (metadata.PackageNotFoundError, FileNotFoundError):
        return None
