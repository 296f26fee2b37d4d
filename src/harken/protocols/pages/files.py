"""Static files of Harken and of installed packages, with a digest in their addresses.

Below `/static/v-<digest>/`, caches may keep files for ever, and scripts import each other by
relative addresses. Below `/static/` alone, files are revalidated by their ETag.
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
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
    """A file of an installed package, served as `/static/vendor/{name}`.

    `path` is its path in the distribution, as `pip show --files` lists it.
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
    """All static files, read once: the file at an address with a digest never changes."""

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
        """Return the path of the address of a file; raises LookupError if there is no such file."""
        if name not in self._files:
            raise LookupError(f"there is no static file {name!r}")
        return PREFIX + self._version + name

    def serve(self, request: Request, path: str) -> Response:
        """Return the response for a path below `/static/`; raises HTTPException (404)."""
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


@cache
def static_files(vendor: tuple[VendorFile, ...]) -> StaticFiles:
    """Return the static files of this process, with those of packages.

    They are some megabytes, and FastAPI keeps the functions of an application, with all that they
    refer to, after it has ended.
    """
    return StaticFiles(vendor)


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
    """Return a file of a package without importing it; None if it is not installed."""
    try:
        found = metadata.distribution(file.distribution).locate_file(file.path)
        return Path(str(found)).read_bytes()
    except (metadata.PackageNotFoundError, FileNotFoundError):
        return None
